"""Axes to draw on, and the colours that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Okabe and Ito, "Color universal design" (2008): distinct for all colour sight.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, GREY, PALE = "#cc79a7", "#56b4e9", "#808080", "#c8c8c8"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

TWO_SIDED = "RdBu_r"  # for values of both signs: 0 is white
ONE_SIDED = "viridis"


def pyplot() -> Any:
    """`matplotlib.pyplot`, or an error that says how to get it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "`minikeras.plot` needs matplotlib, which is not installed: "
            'pip install "minikeras-numpy[plot]" (or pip install matplotlib)'
        ) from error
    return pyplot


def one(ax: Any, size: tuple[float, float] = (6.4, 4.0)) -> Any:
    """`ax` itself, or new Axes of this size in inches."""
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not hasattr(ax, "get_figure"):
        raise TypeError(
            "`ax` must be matplotlib's Axes, such as `plt.subplots()[1]`. Received: "
            f"{type(ax).__name__}"
        )
    return ax


def several(
    axes: Any,
    count: int,
    columns: int,
    panel: tuple[float, float],
    least: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """A flat array of `count` Axes: the given ones, or a new grid.

    Args:
        axes: Axes, or an array or list of them; None for new ones.
        count: how many are needed.
        columns: of a new grid.
        panel: width and height of each, in inches.
        least: width and height that the figure has at least.
    """
    plt = pyplot()
    if axes is not None:
        given = np.ravel(np.asarray(axes, object))
        if not all(hasattr(ax, "get_figure") for ax in given):
            raise TypeError(
                "`axes` must be Axes of matplotlib, such as `plt.subplots(2, 3)[1]`. "
                f"Received: {[type(ax).__name__ for ax in given]}"
            )
        if len(given) < count:
            raise ValueError(
                f"This picture has {count} panels and needs as many Axes. Received: "
                f"{len(given)} in `axes`"
            )
        return given[:count]
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    size = (max(columns * panel[0], least[0]), max(rows * panel[1], least[1]))
    figure, grid = plt.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False
    )
    for spare in grid.ravel()[count:]:
        figure.delaxes(spare)
    return grid.ravel()[:count]


def square(count: int) -> int:
    """How many columns make `count` panels a grid that is about square."""
    return max(1, int(np.ceil(np.sqrt(count))))


def numbers(values: Any, name: str) -> np.ndarray:
    """`values` as an array of numbers, or an error that names them."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be one array. Received: lists of different lengths"
        ) from error
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"`{name}` must hold numbers. Received: {type(values).__name__} of "
            f"dtype {array.dtype}"
        )
    return array


def limits(arrays: Sequence[np.ndarray]) -> tuple[float, float, str]:
    """(lowest, highest, colour map): around 0 if there are values of both signs."""
    finite = [a[np.isfinite(a)] for a in map(np.asarray, arrays)]
    low = min((float(a.min()) for a in finite if a.size), default=0.0)
    high = max((float(a.max()) for a in finite if a.size), default=0.0)
    if low < 0 < high:
        far = max(-low, high)
        return -far, far, TWO_SIDED
    return low, high, ONE_SIDED


def plain(ax: Any) -> None:
    """Without the upper and right spine."""
    ax.spines[["top", "right"]].set_visible(False)


def whole_numbers(axis: Any) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))
