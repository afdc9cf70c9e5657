"""Group normalization: each example, over positions and the channels of a group.

The input is seen as (N, A, C, B): C channels, what lies before them in A, what lies
after them in B. All that is needed from memory are sums over positions for each channel
of each example, (N, C); the rest is arithmetic on those.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class GroupNormResiduals(NamedTuple):
    """What `group_norm_grad` needs.

    Attributes:
        x: the input as (N, A, C, B).
        mean, inverse_stddev: per channel, equal within a group: (N, C).
        gamma: (C,) or None.
        groups: how many.
        shape: of the input.
    """

    x: np.ndarray
    mean: np.ndarray
    inverse_stddev: np.ndarray
    gamma: np.ndarray | None
    groups: int
    shape: tuple[int, ...]


def group_norm(
    x: np.ndarray,
    groups: int,
    axis: int,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
) -> tuple[np.ndarray, GroupNormResiduals]:
    """Normalizes every group of channels of every example.

    **Formula**: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with mean
    and biased variance over all positions and the C / groups channels of a group.

    Args:
        x: (N, ..., C, ...).
        groups: G; a divisor of C.
        axis: that of the channels.
        gamma, beta: (C,) or None.
        epsilon: added to the variance.
    """
    shape, axis = x.shape, axis % x.ndim
    before, after = math.prod(shape[1:axis]), math.prod(shape[axis + 1 :])
    x = x.reshape(shape[0], before, shape[axis], after)  # (N, A, C, B)
    mean = group_mean(position_sums(x), groups, x)
    centered = x - per_channel(mean)
    variance = group_mean(position_sums(centered * centered), groups, x)
    inverse_stddev = 1 / np.sqrt(variance + epsilon)  # (N, C)
    scale = inverse_stddev if gamma is None else inverse_stddev * gamma
    y = centered
    y *= per_channel(scale)
    if beta is not None:
        y += per_channel(beta[np.newaxis])
    residuals = GroupNormResiduals(x, mean, inverse_stddev, gamma, groups, shape)
    return y.reshape(shape), residuals


def group_norm_grad(
    dy: np.ndarray, residuals: GroupNormResiduals
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `group_norm`.

    **Gradient**: with `r = 1 / sqrt(variance + epsilon)`, `n = (x - mean) * r` and
    `dn = dy * gamma`, as in layer normalization with means over each group:

        dgamma = sum(dy * n)        dbeta = sum(dy)
        dx     = r * (dn - mean(dn) - n * mean(dn * n))

    Returns:
        dx, dgamma (C,), dbeta (C,).
    """
    x, mean, r, gamma, groups, shape = residuals
    dy = dy.reshape(x.shape)
    centered = x - per_channel(mean)
    sums = position_sums(dy)  # (N, C)
    products = position_sums(dy * centered) * r  # sum(dy * n) over positions
    dgamma, dbeta = products.sum(axis=0), sums.sum(axis=0)
    if gamma is not None:
        sums, products = sums * gamma, products * gamma
    mean_dn = group_mean(sums, groups, x)
    mean_dn_n = group_mean(products, groups, x)
    # in forward: y = (x - mean) * r * gamma + beta
    centered *= per_channel(-r * r * mean_dn_n)
    dx = dy * per_channel(r if gamma is None else r * gamma)
    dx += centered
    dx -= per_channel(r * mean_dn)
    return dx.reshape(shape), dgamma, dbeta


def position_sums(x: np.ndarray) -> np.ndarray:
    """(N, A, C, B) -> (N, C).

    Over A as a product with a row of ones, which BLAS adds up in several partial sums:
    faster than `np.sum` over rows, and more accurate.
    """
    x = x[..., 0] if x.shape[3] == 1 else x.sum(axis=3)  # (N, A, C)
    if x.shape[1] == 1:
        return x[:, 0]
    return np.ones(x.shape[1], x.dtype) @ x


def group_mean(sums: np.ndarray, groups: int, x: np.ndarray) -> np.ndarray:
    """Sums (N, C) to means over groups, repeated for each of their channels: (N, C)."""
    size = sums.shape[1] // groups
    count = x.shape[1] * size * x.shape[3]
    means = sums.reshape(-1, groups, size).sum(axis=2) / count  # (N, G)
    return np.repeat(means, size, axis=1)


def per_channel(values: np.ndarray) -> np.ndarray:
    """(N, C) for arrays (N, A, C, B)."""
    return values[:, np.newaxis, :, np.newaxis]
