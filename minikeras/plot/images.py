"""Arrays as pictures: one coloured cell for each number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.plot.canvas import limits, numbers, one, whole_numbers

WRITTEN = 300  # an array of at most so many cells has its numbers written in them


def heatmap(
    array: Any,
    ax: Any = None,
    *,
    title: str | None = None,
    rows: str = "row",
    columns: str = "column",
    write: bool | None = None,
    digits: int = 2,
    bar: bool = True,
) -> Any:
    """One array, a cell for each number, and the number written in it.

    Blue is negative, red positive and white zero, if there are both signs; else dark is
    low and bright is high.

    Args:
        array: a matrix; a vector is drawn as one row.
        ax: matplotlib's Axes; new ones by default.
        title: what is drawn; the shape by default.
        rows, columns: what the two axes count, such as "input" and "unit".
        write: whether to write the numbers; by default if there are at most 300.
        digits: how many digits to write of each.
        bar: whether to draw the scale of the colours.

    Returns:
        The Axes.

    >>> ax = heatmap([[1.0, -2.0], [0.5, 0.0]], rows="input", columns="unit")
    >>> [text.get_text() for text in ax.texts]
    ['1', '-2', '0.5', '0']
    """
    array = matrix(array)
    height, width = array.shape
    if ax is None:
        # As large as the cells need, within reason.
        size = (min(max(0.62 * width + 1.9, 3.6), 11), min(max(0.45 * height, 1), 7))
        ax = one(None, (size[0], size[1] + 1.2))
    ax = one(ax)
    image = draw(ax, array, limits([array]))
    if array.size <= WRITTEN if write is None else write:
        write_numbers(ax, array, image, digits)
    ax.set_title(f"{array.shape}" if title is None else title)
    ax.set_xlabel(columns)
    ax.set_ylabel(rows)
    if height == 1:
        ax.set_yticks([])
        ax.set_ylabel("")
    if bar:
        ax.get_figure().colorbar(image, ax=ax, label="value")
    return ax


def matrix(array: Any) -> np.ndarray:
    """The array as one with two axes, or an error that says how to cut it."""
    array = numbers(array, "array")
    if array.ndim == 1:
        array = array[None]  # (D,) -> (1, D)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            "`heatmap` draws a vector or a matrix. Received: shape "
            f"{array.shape}. Take a part, such as array[0], or reshape it; "
            "`plot.filters` and `plot.feature_maps` draw kernels and images."
        )
    return array


def draw(ax: Any, array: np.ndarray, scale: tuple[float, float, str]) -> Any:
    """The image of a matrix, in the colours of `canvas.limits`."""
    low, high, colours = scale
    image = ax.imshow(
        array, cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    whole_numbers(ax.xaxis)
    whole_numbers(ax.yaxis)
    return image


def write_numbers(
    ax: Any, array: np.ndarray, image: Any, digits: int, labels: Sequence[str] = ()
) -> None:
    """Each number in its cell, black or white, whichever can be read."""
    colours = image.cmap(image.norm(array))[..., :3]  # (rows, columns, 3)
    bright = colours @ np.array([0.299, 0.587, 0.114]) > 0.5
    size = "small" if array.shape[1] <= 12 else 6.5
    for k, (i, j) in enumerate(np.ndindex(array.shape)):
        text = labels[k] if labels else short(array[i, j], digits)
        colour = "black" if bright[i, j] else "white"
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)


def short(number: Any, digits: int) -> str:
    """A number in few letters.

    >>> short(np.float32(0.123456), 2), short(-0.0, 2), short(7, 2), short(1234.5, 2)
    ('0.12', '0', '7', '1.2e+03')
    """
    if isinstance(number, int | np.integer | bool | np.bool_):
        return str(int(number))
    return f"{number + 0.0:.{digits}g}"  # + 0.0: no "-0"
