"""The results as pictures; needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.comparison import OURS

COLORS = {
    "minikeras": "#d62728",
    "tensorflow": "#ff7f0e",
    "jax": "#1f77b4",
    "torch": "#7f7f7f",
}


def save_all(results: dict[str, Any], folder: Path) -> list[Path]:
    """Writes a picture for each part of the results that has one."""
    import matplotlib

    matplotlib.use("Agg")
    written = []
    if "workloads" in results:
        written.append(_workloads(results["workloads"], folder / "workloads.png"))
    if "layers" in results:
        written.append(_layers(results["layers"], folder / "layers.png"))
    if "sweeps" in results:
        written.append(_sweeps(results["sweeps"], folder / "sweeps.png"))
    return written


def _workloads(results: dict[str, Any], path: Path) -> Path:
    """Bars: how many times as long as minikeras each backend takes."""
    rows = results["workloads"]
    bars = {
        name: {b: _relative(row["times"], b) for b in row["times"]}
        for name, row in rows.items()
    }
    return _bars(bars, "Time per step, in times of minikeras's", path)


def _layers(results: dict[str, Any], path: Path) -> Path:
    bars = {
        f"{name}\n{text}": {
            b: _relative(row[part]["times"], b) for b in row[part]["times"]
        }
        for name, row in results.items()
        for part, text in (("forward", "forward"), ("both", "and backward"))
    }
    return _bars(bars, "Time of one layer, in times of minikeras's", path)


def _relative(times: dict[str, Any], backend: str) -> float:
    ours = times.get(OURS, next(iter(times.values())))
    return times[backend]["median_s"] / ours["median_s"]


def _bars(bars: dict[str, dict[str, float]], title: str, path: Path) -> Path:
    from matplotlib import pyplot

    names = dict.fromkeys(b for row in bars.values() for b in row)
    backends = [name for name in names if name != OURS] or [OURS]
    height = 0.8 / len(backends)
    figure, axes = pyplot.subplots(figsize=(8, 1.3 + 0.5 * len(bars)))
    for number, backend in enumerate(backends):
        places = [i + number * height for i in range(len(bars))]
        values = [row.get(backend, float("nan")) for row in bars.values()]
        axes.barh(
            places,
            [value - 1 for value in values],
            height,
            left=1,
            label=backend,
            color=COLORS.get(backend),
        )
        for place, value in zip(places, values, strict=True):
            side = "left" if value >= 1 else "right"
            axes.annotate(
                f"{value:.2g}",
                (value, place),
                (3 if value >= 1 else -3, 0),
                textcoords="offset points",
                horizontalalignment=side,
                verticalalignment="center",
                fontsize=7,
            )
    middle = 0.4 - height / 2
    axes.set_yticks([i + middle for i in range(len(bars))], list(bars), fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.02)
    axes.axvline(1, color=COLORS[OURS], linewidth=1.5)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("minikeras = 1; to the right: slower than minikeras", fontsize=8)
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def _sweeps(results: dict[str, Any], path: Path) -> Path:
    """Lines: seconds against size, both linear, from zero."""
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(
        1, len(results), figsize=(3.2 * len(results), 2.8), squeeze=False
    )
    for axes, (title, row) in zip(all_axes[0], results.items(), strict=True):
        ms = [1e3 * s for s in row["seconds"]]
        axes.plot(row["sizes"], ms, "o-", color=COLORS[OURS])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel({"length": "time steps"}.get(row["size"], row["size"]))
        axes.set_ylabel("ms per step")
        axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
