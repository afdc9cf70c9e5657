"""How long `import minikeras` takes, beside NumPy and Keras."""

from __future__ import annotations

import importlib.util
from typing import Any

from benchmarks.processes import time_python

CODES = {
    "python": "pass",
    "numpy": "import numpy",
    "minikeras": "import numpy, minikeras",
    "minikeras, a model built": (
        "import minikeras as keras\n"
        "keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])"
    ),
    "keras": "import keras",
}


def run(quick: bool) -> dict[str, Any]:
    """Median seconds of each process, and the ratio to importing NumPy."""
    codes = dict(CODES)
    if importlib.util.find_spec("keras") is None:
        del codes["keras"]
    timings = time_python(codes, runs=3 if quick else 11)
    numpy_seconds = timings["numpy"].median
    return {
        name: {
            "median_s": timing.median,
            "min_s": timing.spread[0],
            "max_s": timing.spread[1],
            "ratio_to_numpy": timing.median / numpy_seconds,
        }
        for name, timing in timings.items()
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| process | median | fastest to slowest | beside `import numpy` |",
        "|---|---:|---:|---:|",
    ]
    for name, row in results.items():
        lines.append(
            f"| {name} | {row['median_s'] * 1e3:.0f} ms | {row['min_s'] * 1e3:.0f} to "
            f"{row['max_s'] * 1e3:.0f} ms | {row['ratio_to_numpy']:.2f} |"
        )
    return "\n".join(lines)
