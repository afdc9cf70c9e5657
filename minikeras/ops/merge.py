"""Several arrays become one: largest or smallest, product, batch-wise matrix product.

The arrays have one rank and broadcast against each other; gradients are summed back
over what was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.selection import select

Masks = Sequence[np.ndarray | None]


def align_ranks(xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Views of the arrays with axes of length 1 after the batch, all of one rank.

    >>> [x.shape for x in align_ranks([np.ones((2, 3)), np.ones((2, 4, 3))])]
    [(2, 1, 3), (2, 4, 3)]
    """
    rank = max(x.ndim for x in xs)
    return [
        x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:])
        if x.ndim < rank
        else x
        for x in xs
    ]


def spread(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask (N, T) as a view for an array (N, T, ..., F) of this shape."""
    return np.broadcast_to(mask[..., np.newaxis], shape)


# --- The largest, or smallest ---------------------------------------------------------


def extremum(
    xs: Sequence[np.ndarray],
    function: Callable[..., np.ndarray],
    keeps: Callable[..., np.ndarray],
    masks: Masks,
) -> tuple[np.ndarray, np.ndarray]:
    """Elementwise maximum (or minimum) of several arrays, and who it came from.

    **Formula** `y = max(x_0, x_1, ...)`. Where a mask is False its array does not
    compete; where none competes, y is x_0's.

    **Gradient** dy goes to the winner alone; of equals the first one wins.

    **Keeps** the number of the winner, one byte per element.

    Args:
        xs: two or more arrays of one rank.
        function: `np.maximum` or `np.minimum`.
        keeps: the comparison by which the one before stays: `np.greater_equal` or
            `np.less_equal`.
        masks: per array, None or booleans that broadcast against it.

    Returns:
        y and the winners.
    """
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    y, competed = xs[0], masks[0]
    winner = np.zeros(shape, np.uint8 if len(xs) <= 256 else np.int32)
    for number, (x, mask) in enumerate(zip(xs[1:], masks[1:], strict=True), start=1):
        taken = ~keeps(y, x)  # NaN on either side: taken
        if competed is not None:
            taken |= ~competed
        if mask is not None:
            taken &= mask
        if competed is None and mask is None:
            y = function(y, x)
        else:
            y = np.where(taken, x, y)
        # A later winner has the larger number, so the largest number stands.
        winner = np.maximum(winner, np.multiply(taken, number, dtype=winner.dtype))
        # NB: beside an array without a mask the masks before it are forgotten.
        both = competed is not None and mask is not None
        competed = competed | mask if both else None
    return np.broadcast_to(y, shape), winner


def extremum_grad(
    dy: np.ndarray, winner: np.ndarray, shapes: Sequence[tuple[int, ...]]
) -> list[np.ndarray]:
    """The gradient of `extremum` for each array."""
    return [
        unbroadcast(select(dy, winner == number), shape)
        for number, shape in enumerate(shapes)
    ]


# --- The product ----------------------------------------------------------------------


class ProductResiduals(NamedTuple):
    """What `product_grad` needs.

    Attributes:
        xs: the factors, 1 where masked.
        before: before[i] is the product of the factors before i + 1.
        masks: per factor; None where there is none.
        valid: where y was not set to 0; None for everywhere.
    """

    xs: list[np.ndarray]
    before: list[np.ndarray]
    masks: Masks
    valid: np.ndarray | None


def product(
    xs: Sequence[np.ndarray], masks: Masks
) -> tuple[np.ndarray, ProductResiduals]:
    """The elementwise product.

    **Formula** `y = x_0 * x_1 * ...`. A factor counts as 1 where its mask is False. If
    all have masks, y is 0 where all are False.

    **Gradient** `dx_i = dy * (product of the others)`, without division: a factor may
    be 0. The product of those before i is known from forward, that of those after is
    gathered on the way back.

    **Keeps** the factors and the partial products.
    """
    one = xs[0].dtype.type(1)
    kept = [
        x if m is None else np.where(m, x, one) for x, m in zip(xs, masks, strict=True)
    ]
    before = [kept[0]]
    for x in kept[1:]:
        before.append(before[-1] * x)
    y = before.pop()
    valid = None
    if all(m is not None for m in masks):
        valid = masks[0]
        for m in masks[1:]:
            valid = valid | m  # type: ignore[operator]
        y = select(y, valid) if y.dtype.kind == "f" else y * valid
    return y, ProductResiduals(kept, before, masks, valid)


def product_grad(dy: np.ndarray, residuals: ProductResiduals) -> list[np.ndarray]:
    """The gradient of `product` for each factor."""
    xs, before, masks, valid = residuals
    if valid is not None:  # y = where(valid, y, 0)
        dy = select(dy, valid)
    gradients: list[np.ndarray] = []
    for i in reversed(range(1, len(xs))):
        # in forward: y[i] = y[i - 1] * xs[i]
        gradients.append(unbroadcast(dy * before[i - 1], xs[i].shape))
        dy = unbroadcast(dy * xs[i], before[i - 1].shape)
    gradients.append(dy)
    gradients.reverse()
    return [
        g if m is None else select(g, m)  # x = where(m, x, 1)
        for g, m in zip(gradients, masks, strict=True)
    ]


# --- Batch-wise matrix product --------------------------------------------------------


class DotResiduals(NamedTuple):
    """What `batch_dot_grad` needs.

    Attributes:
        x: the first array as (N, P, K).
        y: the second as (N, K, Q).
        shapes: of both arrays once the summed axis is last and first.
        axes: the summed axis of each.
    """

    x: np.ndarray
    y: np.ndarray
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    axes: tuple[int, int]


def batch_dot(
    x: np.ndarray, y: np.ndarray, axes: tuple[int, int]
) -> tuple[np.ndarray, DotResiduals]:
    """For each example, sums the products of x and y over one axis of each.

    **Formula** with the axis moved last in x and first in y, and the others of each
    read as one, it is a matrix product per example:

        z[n] = x[n] @ y[n]                 (P, K) @ (K, Q) -> (P, Q)

    The axes of z are then those left of x and those left of y; (N, 1) if none is.

    **Gradient** `dx[n] = dz[n] @ y[n].T`, `dy[n] = x[n].T @ dz[n]`.

    **Keeps** both arrays.

    >>> z, _ = batch_dot(np.ones((2, 3, 5)), np.ones((2, 4, 3)), (1, 2))
    >>> z.shape
    (2, 5, 4)
    """
    x, y = np.moveaxis(x, axes[0], -1), np.moveaxis(y, axes[1], 1)
    shapes = x.shape, y.shape
    rows, columns = x.shape[1:-1], y.shape[2:]
    x = x.reshape(len(x), math.prod(rows), x.shape[-1])  # (N, P, K)
    y = y.reshape(len(y), y.shape[1], math.prod(columns))  # (N, K, Q)
    z = (x @ y).reshape(len(x), *(rows + columns or (1,)))
    return z, DotResiduals(x, y, shapes, axes)


def batch_dot_grad(
    dz: np.ndarray, residuals: DotResiduals
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of `batch_dot` for both arrays."""
    x, y, (x_shape, y_shape), axes = residuals
    dz = dz.reshape(len(x), x.shape[1], y.shape[2])  # (N, P, Q)
    dx = (dz @ y.swapaxes(1, 2)).reshape(x_shape)  # z = x @ y
    dy = (x.swapaxes(1, 2) @ dz).reshape(y_shape)
    return np.moveaxis(dx, -1, axes[0]), np.moveaxis(dy, 1, axes[1])
