"""What this machine can do at best: NumPy's matrix product, and memory.

The best of several runs: a ceiling is what is reached when nobody is in the way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

SIZE = 1024  # of the square matrices: 4 MB each
STREAM = 1 << 24  # float32 numbers per array and thread: 64 MB


class Ceilings(NamedTuple):
    """Operations and bytes per second, of one core and of all."""

    flops_one: float
    flops_all: float
    bandwidth_one: float
    bandwidth_all: float


def measure(runs: int = 5) -> Ceilings:
    """Measures all four, each the best of `runs`."""
    cores = os.cpu_count() or 1
    return Ceilings(
        _best(_product, 1, runs),
        _best(_product, cores, runs),
        _best(_add, 1, runs),
        _best(_add, cores, runs),
    )


def _product() -> Callable[[], float]:
    a, b = (np.full((SIZE, SIZE), 0.5, np.float32) for _ in range(2))
    c = np.empty_like(a)

    def task() -> float:
        np.matmul(a, b, out=c)
        return 2.0 * SIZE**3

    return task


def _add() -> Callable[[], float]:
    a, b, c = (np.full(STREAM, 0.5, np.float32) for _ in range(3))

    def task() -> float:
        np.add(a, b, out=c)
        return 3.0 * a.nbytes  # two read, one written

    return task


def _best(make: Callable[[], Callable[[], float]], threads: int, runs: int) -> float:
    """The best rate of `threads` tasks side by side, BLAS held to one thread each."""
    from threadpoolctl import threadpool_limits

    tasks = [make() for _ in range(threads)]
    rates = []
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, "blas"):
        for _ in range(runs + 1):
            start = time.perf_counter()
            amount = sum(pool.map(lambda task: task(), tasks))
            rates.append(amount / (time.perf_counter() - start))
    return max(rates[1:])


def in_process(runs: int) -> Ceilings:
    """`measure` in a process of its own: a process that was large once passes its peak
    memory on to those it starts (Linux counts it so), which are measured later."""
    command = [sys.executable, "-m", "benchmarks.ceilings", str(runs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Ceilings(**json.loads(done.stdout))


def run(quick: bool) -> dict[str, Any]:
    """The four numbers."""
    return in_process(3 if quick else 15)._asdict()


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    r = {key: value / 1e9 for key, value in results.items()}
    return (
        "| ceiling | one core | all cores |\n|---|---:|---:|\n"
        f"| matrix products, float32 | {r['flops_one']:.0f} GFLOP/s | "
        f"{r['flops_all']:.0f} GFLOP/s |\n"
        f"| memory, `a + b` of 64 MB | {r['bandwidth_one']:.1f} GB/s | "
        f"{r['bandwidth_all']:.1f} GB/s |"
    )


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))._asdict()))
