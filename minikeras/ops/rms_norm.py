"""Normalization without a mean subtracted: by the root mean square, or the stddev."""

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


class StddevNormResiduals(NamedTuple):
    """What `stddev_norm_grad` needs.

    Attributes:
        x: the input.
        inverse_stddev: per example; size 1 along the normalized axes.
        gamma: broadcast against x.
        axes: the normalized axes.
    """

    x: np.ndarray
    inverse_stddev: np.ndarray
    gamma: np.ndarray
    axes: tuple[int, ...]


def stddev_norm(
    x: np.ndarray, gamma: np.ndarray, axes: tuple[int, ...], epsilon: float
) -> tuple[np.ndarray, StddevNormResiduals]:
    """Divides by the standard deviation: Keras's deprecated `rms_scaling`.

    **Formula**: `y = gamma * x / sqrt(variance + epsilon)`, the variance over `axes`.
    """
    variance = x.var(axis=axes, keepdims=True)
    inverse_stddev = 1 / np.sqrt(variance + epsilon)
    residuals = StddevNormResiduals(x, inverse_stddev, gamma, axes)
    return x * inverse_stddev * gamma, residuals


def stddev_norm_grad(
    dy: np.ndarray, residuals: StddevNormResiduals
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `stddev_norm`.

    **Gradient**: with `r = 1 / sqrt(variance + epsilon)` and `dn = dy * gamma`, since
    `dr = -r**3 / 2 * dvariance` and `dvariance = 2 * mean((x - mean) * dx)`,

        dgamma = sum(dy * x * r)           over the axes not normalized
        dx     = r * dn - r**3 * (x - mean) * mean(dn * x)

    Returns:
        dx, and dgamma with size 1 along the axes that are not normalized.
    """
    x, r, gamma, axes = residuals
    inside = {axis % dy.ndim for axis in axes}
    others = tuple(axis for axis in range(dy.ndim) if axis not in inside)
    dgamma = np.sum(dy * x * r, axis=others, keepdims=True)
    # in forward: y = x * r * gamma
    dn = dy * gamma
    through = r**3 * np.mean(dn * x, axis=axes, keepdims=True)
    return dn * r - (x - x.mean(axis=axes, keepdims=True)) * through, dgamma
