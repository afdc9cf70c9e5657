"""Random numbers per second of one core, beside NumPy's Generator and TensorFlow.

TensorFlow computes the very numbers that minikeras computes, which is checked before
anything is timed. NumPy's are others: its generators are the ceiling for code that need
not give Keras's numbers. Each library runs in a process of its own, held to one thread,
and all take turns. `python -m benchmarks.random_streams LIBRARY` is one such process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

KINDS = ("uniform", "normal", "truncated_normal")
SEED = (1, 2)
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def functions(library: str) -> dict[str, Callable[[int], Any]]:
    """`"normal float32"` -> a function that draws so many numbers."""
    if library == "minikeras":
        from minikeras.random import streams

        def make(kind: str, dtype: str) -> Callable[[int], Any]:
            return lambda count: getattr(streams, kind)(SEED, count, dtype)

    elif library == "tensorflow":
        tf_random = importlib.import_module("tensorflow").random

        def make(kind: str, dtype: str) -> Callable[[int], Any]:
            draw = getattr(tf_random, f"stateless_{kind}")
            return lambda count: draw((count,), SEED, dtype=dtype).numpy()

    else:
        import numpy as np

        generator = np.random.default_rng(0)
        draws = {"uniform": generator.random, "normal": generator.standard_normal}

        def make(kind: str, dtype: str) -> Callable[[int], Any]:
            return lambda count: draws[kind](count, dtype=dtype)

    kinds = KINDS if library != "numpy" else KINDS[:2]
    dtypes = ("float32", "float64")
    return {f"{k} {d}": make(k, d) for k in kinds for d in dtypes}


def worker(library: str, count: int, runs: int) -> dict[str, Any]:
    """Numbers per second of each function, and the first numbers for comparison."""
    rates, first = {}, {}
    for name, draw in functions(library).items():
        first[name] = draw(1000).tolist()
        seconds = []
        for _ in range(runs + 1):
            start = time.process_time()  # of the core, whoever else is using it
            draw(count)
            seconds.append(time.process_time() - start)
        rates[name] = count / min(seconds[1:])
    return {"rates": rates, "first": first}


def run(quick: bool) -> dict[str, Any]:
    """Library -> case -> median, slowest and fastest numbers per second."""
    libraries = ["minikeras", "numpy"]
    if importlib.util.find_spec("tensorflow"):
        libraries.append("tensorflow")
    count, runs = (2**18, 3) if quick else (2**20, 7)
    found: dict[str, list[dict[str, Any]]] = {library: [] for library in libraries}
    for _ in range(1 if quick else 5):
        for library in libraries:
            found[library].append(_in_process(library, count, runs))
    if "tensorflow" in found:
        ours, theirs = (found[name][0]["first"] for name in ("minikeras", "tensorflow"))
        different = [name for name in ours if ours[name] != theirs[name]]
        if different:
            raise RuntimeError(f"Other numbers than TensorFlow's: {different}")
    return {
        library: {name: _summary(results, name) for name in results[0]["rates"]}
        for library, results in found.items()
    }


def _in_process(library: str, count: int, runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.random_streams", library]
    done = subprocess.run(
        [*command, str(count), str(runs)],
        check=True,
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(done.stdout)


def _summary(results: list[dict[str, Any]], name: str) -> dict[str, float]:
    rates = [result["rates"][name] for result in results]
    return {
        "per_second": statistics.median(rates),
        "min": min(rates),
        "max": max(rates),
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    others = [library for library in results if library != "minikeras"]
    head = " | ".join(f"{other} | times minikeras" for other in others)
    lines = [
        f"| million numbers per second | minikeras | {head} |",
        "|---|---:" + "|---:|---:" * len(others) + "|",
    ]
    for name, row in results["minikeras"].items():
        rate = row["per_second"]
        cells = [f"{rate / 1e6:.1f} ({row['min'] / 1e6:.1f} to {row['max'] / 1e6:.1f})"]
        for other in others:
            beside = results[other].get(name, {}).get("per_second")
            cells += [f"{beside / 1e6:.1f}", f"{beside / rate:.1f}"] if beside else "--"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(worker(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
