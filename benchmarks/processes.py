"""Timing whole processes, in turn, so that all see the same state of the machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import NamedTuple


class Timing(NamedTuple):
    """Seconds of several runs of one command."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The fastest and the slowest."""
        return min(self.seconds), max(self.seconds)


def time_python(codes: dict[str, str], runs: int) -> dict[str, Timing]:
    """Runs `python -c code` for each code in turn: A B C A B C ..., after one warm-up.

    Args:
        codes: name -> Python code.
        runs: counted runs of each.
    """
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for run in range(runs + 1):
        for name, code in codes.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code],
                check=True,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if run:  # the first run fills the disk cache
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(values) for name, values in seconds.items()}
