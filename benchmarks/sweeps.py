"""How the time of a step grows with the batch, the time steps and the units.

minikeras alone. A cost that is linear lies on a line `fixed + slope * size`; what is
reported is the slope between the larger sizes over that between the smaller ones: 1 for
a line, 2 and more where the cost grows faster.
"""

from __future__ import annotations

import statistics
from contextlib import closing
from typing import Any

from benchmarks.backends import Process
from benchmarks.comparison import OURS, format_seconds

# title -> (workload, what changes, its values, the rest)
SWEEPS: dict[str, tuple[str, str, list[int], dict[str, int]]] = {
    "mlp, batch": ("mlp", "batch", [64, 128, 256, 512, 1024], {"steps": 6}),
    "cnn, batch": ("cnn", "batch", [32, 64, 128, 256, 512], {"steps": 3}),
    "lstm_ts, batch": ("lstm_ts", "batch", [32, 64, 128, 256, 512], {"steps": 3}),
    "lstm, time steps": ("lstm", "length", [50, 100, 200, 400, 800], {"steps": 3}),
    "Dense 784-units-10, units": (
        "one_hidden",
        "units",
        [256, 512, 1024, 2048, 4096],
        {"steps": 4},
    ),
}


def run(quick: bool) -> dict[str, Any]:
    """Title -> sizes and median seconds."""
    results = {}
    with closing(Process(OURS)) as process:
        for title, (name, field, sizes, rest) in SWEEPS.items():
            sizes = sizes[:4] if quick else sizes
            seconds: dict[int, list[float]] = {size: [] for size in sizes}
            for _ in range(2 if quick else 5):
                for size in sizes:
                    process.ask("prepare", name=name, **{**rest, field: size})
                    for _ in range(2):
                        answer = process.ask("time", name=name)
                        seconds[size].append(answer["seconds"])
            found = [statistics.median(seconds[size]) for size in sizes]
            results[title] = {
                "size": field,
                "sizes": sizes,
                "seconds": found,
                "bend": bend(sizes, found),
            }
    return results


def bend(sizes: list[int], seconds: list[float]) -> float:
    """The slope between the two largest sizes over that from the first to the third."""
    early = (seconds[2] - seconds[0]) / (sizes[2] - sizes[0])
    late = (seconds[-1] - seconds[-2]) / (sizes[-1] - sizes[-2])
    return late / early


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["| sweep | size: ms per step | bend |", "|---|---|---:|"]
    for title, row in results.items():
        pairs = zip(row["sizes"], row["seconds"], strict=True)
        cells = ", ".join(f"{n}: {format_seconds(s)}" for n, s in pairs)
        lines.append(f"| {title} | {cells} | {row['bend']:.2f} |")
    return "\n".join(lines)
