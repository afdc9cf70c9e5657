"""Normalization: subtract a mean, divide by a standard deviation, scale and shift.

Batch normalization sees its input as (A, C, B): C channels, everything before them in
A, everything after them in B. That covers every layout and every rank without a copy:
images with channels last are (N*H*W, C, 1), with channels first (N, C, H*W).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


def by_channel(x: np.ndarray, axis: int) -> np.ndarray:
    """`x` seen as (A, C, B), where C is the size of `axis`.

    >>> by_channel(np.zeros((2, 4, 4, 3)), axis=-1).shape
    (32, 3, 1)
    """
    axis %= x.ndim
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    return x.reshape(math.prod(before), x.shape[axis], math.prod(after))


def channel_sum(x: np.ndarray) -> np.ndarray:
    """The sum over everything but the channels: (A, C, B) -> (C,).

    With channels last this is a product with a row of ones: BLAS adds in several
    partial sums, which is 5 times faster than `np.sum` over rows, and more accurate.
    """
    if x.shape[2] == 1:
        return np.ones(x.shape[0], x.dtype) @ x[:, :, 0]
    return x.sum(axis=2).sum(axis=0)


class Moments(NamedTuple):
    """Mean and variance per channel, and over how many positions they were taken.

    Attributes:
        mean, variance: (C,).
        count: what the sums were divided by: A*B; with a mask (C,), the number of
            positions kept plus a small epsilon.
    """

    mean: np.ndarray
    variance: np.ndarray
    count: int | np.ndarray


def moments(
    x: np.ndarray, mask: np.ndarray | None = None, epsilon: float = 1e-7
) -> Moments:
    """Mean and (biased) variance of each channel.

    **Formula**: `mean = sum(x) / count`, `variance = sum((x - mean)**2) / count`, both
    over the positions where `mask` is True.

    Args:
        x: (A, C, B).
        mask: booleans of the shape of `x`, or None for all.
        epsilon: added to the number of kept positions, against 0 / 0. NB: Keras adds it
            always, so a masked mean is very slightly too small. Without a mask nothing
            is added, and an empty batch has the mean NaN, as in Keras.

    >>> moments(np.array([[[1.0]], [[3.0]]]))[:2]
    (array([2.]), array([1.]))
    """
    if mask is None:
        count: int | np.ndarray = x.shape[0] * x.shape[2]
        total = channel_sum(x)
    else:
        count = mask.sum(axis=(0, 2), dtype=x.dtype) + epsilon  # (C,)
        total = channel_sum(np.where(mask, x, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count
        squares = x - mean[:, None]  # (A, C, B)
        np.multiply(squares, squares, out=squares)
        if mask is not None:
            squares = np.where(mask, squares, 0)
        return Moments(mean, channel_sum(squares) / count, count)


class BatchNormResiduals(NamedTuple):
    """What `batch_norm_grad` needs.

    Attributes:
        x: the input, (A, C, B).
        mean, inverse_stddev: (C,).
        gamma: (C,), or None.
        mask: as in `moments`, or None.
        count: as in `Moments` if mean and variance are those of `x`; None if they are
            constants, which is the case in inference.
    """

    x: np.ndarray
    mean: np.ndarray
    inverse_stddev: np.ndarray
    gamma: np.ndarray | None
    mask: np.ndarray | None
    count: int | np.ndarray | None


def batch_norm(
    x: np.ndarray,
    statistics: Moments | tuple[np.ndarray, np.ndarray, None],
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, BatchNormResiduals]:
    """Normalizes each channel of (A, C, B) with the given statistics.

    **Formula**: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, computed as
    `x * s + (beta - mean * s)` with `s = gamma / sqrt(variance + epsilon)`: two numbers
    per channel, and the order of operations of TensorFlow.

    Args:
        x: (A, C, B).
        statistics: (mean, variance, count); count None if they do not depend on `x`.
        gamma, beta: (C,), or None for 1 and 0.
        epsilon: added to the variance.
        mask: the mask with which the statistics were taken.
    """
    mean, variance, count = statistics
    inverse_stddev = 1 / np.sqrt(variance + epsilon)
    scale = inverse_stddev if gamma is None else inverse_stddev * gamma
    offset = -mean * scale if beta is None else beta - mean * scale
    y = x * scale[:, None]
    y += offset[:, None]
    return y, BatchNormResiduals(x, mean, inverse_stddev, gamma, mask, count)


def batch_norm_grad(
    dy: np.ndarray, residuals: BatchNormResiduals
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `batch_norm`, through the statistics if they are those of `x`.

    **Gradient**: with `c = x - mean`, `r = 1 / sqrt(variance + epsilon)` and
    `y = gamma * c * r + beta`, per channel (sums run over A and B)

        dbeta  = sum(dy)
        dgamma = sum(dy * c) * r
        dx     = dy * gamma * r                      (constant statistics: that is all)

    With the statistics of the batch, x also acts through them. Since dr/dvariance is
    `-r**3 / 2`,

        dvariance = sum(dy * gamma * c) * -r**3 / 2  = -gamma * r**2 / 2 * dgamma
        dmean     = -gamma * r * sum(dy)             = -gamma * r * dbeta
        dx       += dvariance * 2 * c / count + dmean / count

    The variance's own dependence on the mean adds `dvariance * -2 * sum(c) / count` to
    dmean. `sum(c)` is 0, except with a mask, where `count = n + epsilon` makes it
    `epsilon * mean` (in float32 nothing but rounding, so it is summed, as Keras does).
    Masked positions get the first term only.

    Returns:
        dx (A, C, B), dgamma (C,), dbeta (C,).
    """
    x, mean, inverse_stddev, gamma, mask, count = residuals
    centered = x - mean[:, None]  # (A, C, B)
    dbeta = channel_sum(dy)
    dgamma = channel_sum(dy * centered) * inverse_stddev
    # in forward: y = x * scale + (beta - mean * scale)
    scale = inverse_stddev if gamma is None else inverse_stddev * gamma
    dx = dy * scale[:, None]
    if count is None:
        return dx, dgamma, dbeta
    # in forward: inverse_stddev = (variance + epsilon) ** -0.5
    dvariance = -0.5 * scale * inverse_stddev * dgamma
    dmean = -scale * dbeta
    if mask is not None:
        remainder = channel_sum(np.where(mask, centered, 0))
        dmean = dmean - dvariance * (2 * remainder / count)
    # in forward: variance = sum((x - mean)**2) / count, mean = sum(x) / count
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty batch
        through = centered * (2 * dvariance / count)[:, None]
        through += (dmean / count)[:, None]
    dx += through if mask is None else np.where(mask, through, 0)
    return dx, dgamma, dbeta


class LayerNormResiduals(NamedTuple):
    """What `layer_norm_grad` needs.

    Attributes:
        normalized: `(x - mean) / sqrt(variance + epsilon)`, the shape of x.
        inverse_stddev: per example; size 1 along the normalized axes.
        gamma: broadcast against x, or None.
        axes: the normalized axes.
    """

    normalized: np.ndarray
    inverse_stddev: np.ndarray
    gamma: np.ndarray | None
    axes: tuple[int, ...]


def layer_norm(
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[np.ndarray, LayerNormResiduals]:
    """Normalizes each example over `axes`.

    **Formula**: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with the
    mean and biased variance over `axes`; gamma and beta already broadcast against x.
    """
    mean = x.mean(axis=axes, keepdims=True)
    normalized = x - mean
    variance = np.mean(normalized * normalized, axis=axes, keepdims=True)
    inverse_stddev = 1 / np.sqrt(variance + epsilon)
    normalized *= inverse_stddev
    y = normalized if gamma is None else normalized * gamma
    if beta is not None:
        y = y + beta
    return y, LayerNormResiduals(normalized, inverse_stddev, gamma, axes)


def layer_norm_grad(
    dy: np.ndarray, residuals: LayerNormResiduals
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `layer_norm`.

    **Gradient**: with `n = (x - mean) * r` and `dn = dy * gamma`,

        dgamma = sum(dy * n), dbeta = sum(dy)        over the axes not normalized
        dx     = r * (dn - mean(dn) - n * mean(dn * n))   means over the normalized axes

    which is the batch normalization gradient with the roles of the axes exchanged.

    Returns:
        dx, and dgamma and dbeta with size 1 along the axes that are not normalized.
    """
    normalized, inverse_stddev, gamma, axes = residuals
    inside = {axis % dy.ndim for axis in axes}
    others = tuple(axis for axis in range(dy.ndim) if axis not in inside)
    dgamma = np.sum(dy * normalized, axis=others, keepdims=True)
    dbeta = np.sum(dy, axis=others, keepdims=True)
    # in forward: y = normalized * gamma + beta
    dnormalized = dy if gamma is None else dy * gamma
    # in forward: normalized = (x - mean) / sqrt(variance + epsilon)
    dx = dnormalized - dnormalized.mean(axis=axes, keepdims=True)
    dx -= normalized * np.mean(dnormalized * normalized, axis=axes, keepdims=True)
    dx *= inverse_stddev
    return dx, dgamma, dbeta
