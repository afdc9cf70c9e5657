"""Are the results equal, and how fast is whom: what all comparisons share."""

from __future__ import annotations

import math
import statistics
from typing import Any

OURS = "minikeras"
# Of float32 results that went through a few steps of Adam: enough to notice a wrong
# formula, wide enough for other orders of summation. `parity_tests` has the sharp ones.
TOLERANCE = 2e-3


class UnequalResults(RuntimeError):
    """Two libraries compute something else: their times mean nothing."""


def check_equal(name: str, numbers: dict[str, list[float]]) -> float:
    """The largest relative difference from the first library's numbers.

    Raises:
        UnequalResults: if it is above `TOLERANCE`, or the counts differ.
    """
    (first, expected), *others = numbers.items()
    largest = 0.0
    for other, found in others:
        scale = max((abs(e) for e in expected), default=1.0) or 1.0
        equal = len(found) == len(expected) and all(map(math.isfinite, found))
        if equal:
            pairs = zip(found, expected, strict=True)
            worst = max((abs(f - e) / scale for f, e in pairs), default=0.0)
            largest = max(largest, worst)
            equal = worst <= TOLERANCE
        if not equal:
            raise UnequalResults(
                f"{name}: {other} gives {found[:6]}, but {first} {expected[:6]}."
            )
    return largest


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    quartiles = (
        statistics.quantiles(seconds, n=4, method="inclusive")
        if len(seconds) > 1
        else seconds * 3
    )
    return {
        "median_s": statistics.median(seconds),
        "q1_s": quartiles[0],
        "q3_s": quartiles[2],
        "min_s": min(seconds),
        "max_s": max(seconds),
        "runs": len(seconds),
    }


def compare(times: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The fastest of the others, and how many times as fast minikeras is."""
    medians = {name: time["median_s"] for name, time in times.items() if name != OURS}
    if not medians or OURS not in times:
        return {}
    fastest = min(medians, key=medians.__getitem__)
    return {"fastest": fastest, "ratio": medians[fastest] / times[OURS]["median_s"]}


def geometric_mean(values: list[float]) -> float:
    """The n-th root of the product."""
    return math.exp(sum(map(math.log, values)) / len(values))


def format_seconds(seconds: float) -> str:
    """Milliseconds with two or three digits that mean something."""
    ms = seconds * 1e3
    if ms >= 1000:
        return f"{ms:,.0f}"
    return f"{ms:.3g}" if ms >= 1 else f"{ms:.2f}"
