"""Adaptive pooling: as many windows as results are wanted, whatever the input's length.

The windows of `length` elements for `count` results are

    window p = elements floor(p * length / count) to ceil((p + 1) * length / count) - 1

They cover everything, overlap by at most one element, and differ in size by at most
one. Along several axes they are pooled one axis after the other, the first axis first:
the maximum of maxima is the maximum, and as all windows of a result are full, the mean
of means is the mean.
"""

from __future__ import annotations

import numpy as np


def adaptive_windows(length: int, count: int) -> list[slice]:
    """The windows, first to last.

    >>> adaptive_windows(5, 3)
    [slice(0, 2, None), slice(1, 4, None), slice(3, 5, None)]
    """
    return [
        slice(p * length // count, -(-(p + 1) * length // count)) for p in range(count)
    ]


def adaptive_average(x: np.ndarray, axis: int, count: int) -> np.ndarray:
    """The mean of each window along one axis.

    Args:
        x: (..., L, ...), floats.
        axis: where L is.
        count: P, how many windows.

    Returns:
        (..., P, ...)

    >>> adaptive_average(np.arange(5.0), 0, 3)
    array([0.5, 2. , 3.5])
    """
    x = np.moveaxis(x, axis, 0)  # (L, ...)
    y = np.empty((count, *x.shape[1:]), x.dtype)
    for p, window in enumerate(adaptive_windows(len(x), count)):
        y[p] = x[window].mean(axis=0)
    return np.moveaxis(y, 0, axis)


def adaptive_average_grad(dy: np.ndarray, axis: int, length: int) -> np.ndarray:
    """dx of `adaptive_average`: each dy in equal parts to its window.

    Args:
        dy: (..., P, ...).
        axis: where P is.
        length: L.
    """
    dy = np.moveaxis(dy, axis, 0)  # (P, ...)
    dx = np.zeros((length, *dy.shape[1:]), dy.dtype)
    for p, window in enumerate(adaptive_windows(length, len(dy))):
        # in forward: y[p] = sum(x[window]) / size
        dx[window] += dy[p] / (window.stop - window.start)
    return np.moveaxis(dx, 0, axis)


def adaptive_max(x: np.ndarray, axis: int, count: int) -> np.ndarray:
    """The maximum of each window along one axis: (..., L, ...) -> (..., P, ...).

    >>> adaptive_max(np.array([3, 1, 4, 1, 5]), 0, 3)
    array([3, 4, 5])
    """
    x = np.moveaxis(x, axis, 0)  # (L, ...)
    y = np.empty((count, *x.shape[1:]), x.dtype)
    for p, window in enumerate(adaptive_windows(len(x), count)):
        y[p] = x[window].max(axis=0)
    return np.moveaxis(y, 0, axis)


def adaptive_max_grad(
    dy: np.ndarray, x: np.ndarray, axis: int, all_win: bool = False
) -> np.ndarray:
    """dx of `adaptive_max`: each dy to the element that was the maximum.

    Args:
        dy: (..., P, ...).
        x: the input, (..., L, ...).
        axis: where P and L are.
        all_win: whether of equal elements each gets all of dy, or only the first one.
    """
    dy, x = np.moveaxis(dy, axis, 0), np.moveaxis(x, axis, 0)
    dx = np.zeros(x.shape, dy.dtype)  # (L, ...)
    for p, window in enumerate(adaptive_windows(len(x), len(dy))):
        # in forward: y[p] = max(x[window])
        if all_win:
            won = x[window] == x[window].max(axis=0)
        else:
            place = np.arange(window.stop - window.start)
            place = place.reshape(-1, *[1] * (x.ndim - 1))
            won = place == x[window].argmax(axis=0)
        dx[window] += np.where(won, dy[p], 0)
    return np.moveaxis(dx, 0, axis)
