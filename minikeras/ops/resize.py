"""Enlarging arrays by whole factors: elements repeated, or interpolated.

**Formula** Seen from the output, position `o` of an axis enlarged by s lies at
`c = (o + 1/2) / s - 1/2` of the input (pixels are areas, their middles count). Then

    y[o] = sum over i of w(c - i) * x[i] / sum over i of w(c - i)

where w is a bump around 0 (a triangle, a cubic, a windowed sinc) and i runs over the
positions that exist: at the borders the weights that remain count for more. Repeating
is the bump that is 1 for the nearest position. All weights of an axis are one matrix
`A` (out, in) with rows of sum 1, and images are enlarged along one axis at a time:

    y = A_height @ x @ A_width.T

**Gradient** `dx = A_height.T @ dy @ A_width`; repeated elements gather what each copy
got.

**Keeps** nothing but the shape.

Reference: Keys, "Cubic convolution interpolation for digital image processing" (1981);
Duchon, "Lanczos filtering in one and two dimensions" (1979).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np

Factors = Mapping[int, int]  # axis -> how many times as long


def repeat(x: np.ndarray, factors: Factors) -> np.ndarray:
    """Each element as often as the factors say, side by side.

    >>> repeat(np.array([1, 2]), {0: 3})
    array([1, 1, 1, 2, 2, 2])
    """
    for axis in sorted(factors, reverse=True):
        x = np.repeat(x, factors[axis], axis=axis)
    return x


def repeat_grad(dy: np.ndarray, factors: Factors) -> np.ndarray:
    """dx of `repeat`: the sum over the copies, axis by axis."""
    for axis, factor in sorted(factors.items()):
        length = dy.shape[axis] // factor
        # (..., length * factor, ...) -> (..., length, factor, ...)
        copies = dy.reshape(*dy.shape[:axis], length, factor, *dy.shape[axis + 1 :])
        before = (slice(None),) * (axis + 1)
        dy = copies[(*before, 0)]
        for i in range(1, factor):
            dy = dy + copies[(*before, i)]
    return dy


def interpolate(x: np.ndarray, factors: Factors, kind: str) -> np.ndarray:
    """`x` enlarged smoothly.

    Args:
        x: floats.
        factors: by axis.
        kind: a key of `BUMPS`.

    >>> interpolate(np.array([[0.0, 1.0]]), {1: 2}, "bilinear")
    array([[0.  , 0.25, 0.75, 1.  ]])
    """
    for axis in sorted(factors, reverse=True):
        matrix = weights(x.shape[axis], factors[axis], kind, x.dtype.name)
        x = along(x, matrix, axis)  # y = A x
    return x


def interpolate_grad(dy: np.ndarray, factors: Factors, kind: str) -> np.ndarray:
    """dx of `interpolate`: the transposed matrices in reverse order."""
    for axis, factor in sorted(factors.items()):
        matrix = weights(dy.shape[axis] // factor, factor, kind, dy.dtype.name)
        dy = along(dy, matrix.T, axis)
    return dy


def along(x: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """`matrix` applied to every line of `x` along one axis."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    if math.prod(after) == 1:  # lines are rows: one large product
        rows = x.reshape(math.prod(before), x.shape[axis])
        return (rows @ matrix.T).reshape(*before, len(matrix), *after)
    lines = x.reshape(math.prod(before), x.shape[axis], math.prod(after))
    return (matrix @ lines).reshape(*before, len(matrix), *after)


@functools.lru_cache(maxsize=64)
def weights(length: int, factor: int, kind: str, dtype: str) -> np.ndarray:
    """The matrix (length * factor, length) of one axis.

    >>> weights(2, 2, "bilinear", "float64")
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    if length == 0:
        return np.zeros((0, 0), dtype)
    centers = (np.arange(length * factor) + 0.5) / factor - 0.5
    if kind == "bicubic":
        # NB: TensorFlow looks the cubic up in a table of 1024 steps.
        whole = np.floor(centers)
        centers = whole + np.rint((centers - whole) * 1024) / 1024
    matrix = BUMPS[kind](np.abs(centers[:, np.newaxis] - np.arange(length)))
    matrix /= matrix.sum(axis=1, keepdims=True)
    matrix = matrix.astype(dtype)
    matrix.setflags(write=False)  # it is kept for the next call
    return matrix


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys's cubic with a = -1/2."""
    d = distance
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _lanczos(radius: int, distance: np.ndarray) -> np.ndarray:
    """A sinc inside the middle of a wider sinc."""
    window = np.sinc(distance) * np.sinc(distance / radius)
    return np.where(distance < radius, window, 0)


BUMPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": functools.partial(_lanczos, 3),
    "lanczos5": functools.partial(_lanczos, 5),
}
