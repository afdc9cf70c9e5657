"""Borders added to arrays and cut off: each is the gradient of the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Widths = Mapping[int, tuple[int, int]]  # axis -> (before, after)


def add_border(x: np.ndarray, widths: Widths) -> np.ndarray:
    """`x` inside zeros.

    **Gradient** the zeros are constants: `cut_border(dy, widths)`.

    >>> add_border(np.array([1.0, 2.0]), {0: (1, 2)})
    array([0., 1., 2., 0., 0.])
    """
    shape = list(x.shape)
    for axis, (before, after) in widths.items():
        shape[axis] += before + after
    y = np.zeros(shape, x.dtype)
    cut_border(y, widths)[...] = x
    return y


def cut_border(x: np.ndarray, widths: Widths) -> np.ndarray:
    """`x` without its border, as a view.

    **Gradient** what was cut off has no influence: `add_border(dy, widths)`.

    >>> cut_border(np.array([1, 2, 3, 4, 5]), {0: (1, 2)})
    array([2, 3])
    """
    index = [slice(None)] * x.ndim
    for axis, (before, after) in widths.items():
        index[axis] = slice(before, x.shape[axis] - after)
    return x[tuple(index)]
