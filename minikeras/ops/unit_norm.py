"""Vectors scaled to length 1, and the gradient of that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikeras import config


class UnitNormResiduals(NamedTuple):
    """What `unit_norm_grad` needs.

    Attributes:
        y: the normalized vectors.
        inverse: what they were multiplied by, with the normalized axes of length 1.
        turning: where the length is not below epsilon, so that it counts as a variable.
        axes: that are normalized together.
    """

    y: np.ndarray
    inverse: np.ndarray
    turning: np.ndarray
    axes: tuple[int, ...]


def unit_norm(
    x: np.ndarray, axes: tuple[int, ...], epsilon: float | None = None
) -> tuple[np.ndarray, UnitNormResiduals]:
    """`x` divided by its length over `axes`.

    **Formula** `y = x * min(1 / |x|, 1 / epsilon)`, with `|x| = sqrt(sum(x**2))` over
    `axes`. A vector of zeros stays one.

    **Gradient** Moving x along itself does not change y, so that part of dy is lost:

        dx = (dy - y * sum(dy * y)) / |x|       dx = dy / epsilon where |x| <= epsilon

    NB: for a vector of zeros Keras's gradient is NaN (zero times infinity).

    **Keeps** y and 1 / |x|.

    Args:
        x: floats.
        axes: that are normalized together.
        epsilon: the length below which 1 / |x| no longer grows; None is
            `config.epsilon()`.

    >>> unit_norm(np.array([[3.0, 4.0]]), (1,))[0]
    array([[0.6, 0.8]])
    """
    squares = np.square(x)
    with np.errstate(divide="ignore"):
        inverse = 1 / np.sqrt(squares.sum(axis=axes, keepdims=True))
    most = x.dtype.type(1.0 / (config.epsilon() if epsilon is None else epsilon))
    turning = inverse <= most
    inverse = np.minimum(inverse, most)
    y = np.multiply(x, inverse, out=squares)
    return y, UnitNormResiduals(y, inverse, turning, axes)


def unit_norm_grad(dy: np.ndarray, residuals: UnitNormResiduals) -> np.ndarray:
    """dx of `unit_norm`."""
    y, inverse, turning, axes = residuals
    along = (dy * y).sum(axis=axes, keepdims=True)
    dx = y * np.where(turning, along, dy.dtype.type(0))
    np.subtract(dy, dx, out=dx)
    dx *= inverse
    return dx
