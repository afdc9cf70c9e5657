"""Normalization by the root mean square: no mean is subtracted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class RMSNormResiduals(NamedTuple):
    """What `rms_norm_grad` needs.

    Attributes:
        normalized: `x / sqrt(mean(x**2) + epsilon)`.
        inverse_rms: per example; size 1 along the normalized axes.
        scale: broadcast against x.
        axes: the normalized axes.
    """

    normalized: np.ndarray
    inverse_rms: np.ndarray
    scale: np.ndarray
    axes: tuple[int, ...]


def rms_norm(
    x: np.ndarray, scale: np.ndarray, axes: tuple[int, ...], epsilon: float
) -> tuple[np.ndarray, RMSNormResiduals]:
    """Divides each example by its root mean square.

    **Formula**: `y = scale * x / sqrt(mean(x**2) + epsilon)`, the mean over `axes`.
    """
    squares = np.square(x)
    inverse_rms = 1 / np.sqrt(squares.mean(axis=axes, keepdims=True) + epsilon)
    normalized = np.multiply(x, inverse_rms, out=squares)
    return normalized * scale, RMSNormResiduals(normalized, inverse_rms, scale, axes)


def rms_norm_grad(
    dy: np.ndarray, residuals: RMSNormResiduals
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `rms_norm`.

    **Gradient**: with `n = x * r`, `r = 1 / sqrt(mean(x**2) + epsilon)`, `dn = dy *
    scale`: since `dr = -r**3 * mean(x * dx)`,

        dscale = sum(dy * n)               over the axes not normalized
        dx     = r * (dn - n * mean(dn * n))

    Returns:
        dx, and dscale with size 1 along the axes that are not normalized.
    """
    n, r, scale, axes = residuals
    inside = {axis % dy.ndim for axis in axes}
    others = tuple(axis for axis in range(dy.ndim) if axis not in inside)
    products = dy * n
    dscale = products.sum(axis=others, keepdims=True)
    # in forward: y = n * scale, n = x / sqrt(mean(x**2) + epsilon)
    products *= scale  # dn * n
    dx = n * products.mean(axis=axes, keepdims=True)
    np.subtract(dy * scale, dx, out=dx)
    dx *= r
    return dx, dscale
