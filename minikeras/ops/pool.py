"""Max and average pooling, and global pooling, for any number of spatial axes.

Layout (batch, *spatial, channels) throughout. Windows are walked tap by tap: `at_tap`
is what all windows see at one position inside them, so a loop over a handful of taps
does whole-array arithmetic.
"""

from __future__ import annotations

import numpy as np

from minikeras.ops.scratch import aligned_empty, scratch
from minikeras.ops.windows import Geometry, at_tap, pad, padded_shape, unpad


def max_pool(x: np.ndarray, g: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window.

    **Formula** `y[o] = max over taps of x[o*s + tap]`. Padding counts as -inf.

    **Gradient** dy goes to the winner alone. Of equal elements the first in row-major
    order of the window wins, as in Keras on TensorFlow.

    **Keeps** which tap won, one byte per output for windows of up to 256 elements.

    NB: NaN anywhere in a window makes it NaN, as in Keras on JAX and PyTorch, and dy
    goes to the largest element before the NaN. TensorFlow's kernel passes over NaN,
    and gives -3.4e38 where it finds nothing else.

    Returns:
        y and the winners, both (batch, *out, channels).
    """
    xp = pad(x, g.pads, lowest(x.dtype))
    first, *others = g.taps()
    y = aligned_empty((len(x), *g.out, x.shape[-1]), x.dtype)
    np.copyto(y, at_tap(xp, first, g))
    winner = first_inside(x.shape[1:-1], g, y)
    beaten = scratch("beaten", y.shape, bool)
    for number, tap in enumerate(others, start=1):
        seen = at_tap(xp, tap, g)
        np.greater(seen, y, out=beaten)
        # A later winner has the larger number, so the largest number stands.
        numbers = np.multiply(beaten.view(np.uint8), winner.dtype.type(number))
        np.maximum(winner, numbers, out=winner)
        np.maximum(y, seen, out=y)
    return y, winner


def max_pool_grad(
    dy: np.ndarray, winner: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx of `max_pool`: each window hands its dy to the element that won.

    The selection multiplies the *bits* of dy by 0 or 1: an infinite or NaN dy is then
    passed to the winner and to nobody else, which `dy * (winner == tap)` would not do.
    """
    integer = np.dtype(f"i{dy.itemsize}")
    dxp = empty_or_zeros(padded_shape(x_shape, g.pads), dy.dtype, g)
    bits = np.ascontiguousarray(dy).view(integer)
    won = scratch("won", winner.shape, bool)
    factor = scratch("factor", winner.shape, integer)
    for number, tap in enumerate(g.taps()):
        np.equal(winner, number, out=won)
        np.copyto(factor, won)  # NumPy multiplies integers faster than it mixes types
        target = at_tap(dxp, tap, g)
        if g.overlaps:  # an element may win in several windows
            target += np.multiply(bits, factor, out=factor).view(dy.dtype)
        else:
            np.multiply(bits, factor, out=target.view(integer))
    return unpad(dxp, g.pads)


def average_pool(x: np.ndarray, g: Geometry) -> np.ndarray:
    """The mean of each window.

    **Formula** `y[o] = sum over taps of x[o*s + tap] / count[o]`, where `count` is the
    number of taps that fall inside the input: padding is not averaged in.

    **Gradient** `dx[h] = sum of dy[o] / count[o]` over the windows o that contain h.

    **Keeps** nothing but the geometry.
    """
    xp = pad(x, g.pads)
    first, *others = g.taps()
    y = aligned_empty((len(x), *g.out, x.shape[-1]), x.dtype)
    np.copyto(y, at_tap(xp, first, g))
    for tap in others:
        y += at_tap(xp, tap, g)
    y /= window_counts(x.shape[1:-1], g, x.dtype)
    return y


def average_pool_grad(
    dy: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx of `average_pool`: each window shares its dy out evenly."""
    share = dy / window_counts(x_shape[1:-1], g, dy.dtype)
    dxp = empty_or_zeros(padded_shape(x_shape, g.pads), dy.dtype, g)
    for tap in g.taps():
        target = at_tap(dxp, tap, g)
        if g.overlaps:
            target += share
        else:
            target[...] = share
    return unpad(dxp, g.pads)


def empty_or_zeros(shape: tuple[int, ...], dtype: np.dtype, g: Geometry) -> np.ndarray:
    """An array (batch, *padded, channels) for what windows write to.

    Uninitialised if every element lies in exactly one window; else zeros.
    """
    axes = zip(shape[1:-1], g.out, g.size, g.strides, strict=True)
    if all(k == s and n == o * k for n, o, k, s in axes):
        return aligned_empty(shape, dtype)
    return np.zeros(shape, dtype)


def global_max_pool(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The maximum over the given axes, which stay with length 1.

    **Gradient** Equal maxima share dy evenly (`max_pool` gives all to the first; Keras
    has both, since the one is TensorFlow's reduce_max and the other its MaxPool).
    """
    return x.max(axis=axes, keepdims=True)


def global_max_pool_grad(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, axes: tuple[int, ...]
) -> np.ndarray:
    """dx of `global_max_pool`; dy and y have the axes with length 1."""
    hit = x == y
    count = hit.sum(axis=axes, keepdims=True).astype(dy.dtype)
    with np.errstate(invalid="ignore"):  # no element equals a maximum that is NaN
        return (hit / count) * dy


def global_average_pool(
    x: np.ndarray, axes: tuple[int, ...], mask: np.ndarray | None = None
) -> np.ndarray:
    """The mean over the given axes, which stay with length 1.

    The sum goes axis by axis: two short float32 sums round off less than a long one.

    Args:
        x: any shape.
        axes: which axes to average over.
        mask: booleans that broadcast against x; False is left out of the mean. The
            mean of nothing is NaN, as in Keras.

    **Gradient** every element that counted gets dy / count.
    """
    total = x if mask is None else np.where(mask, x, x.dtype.type(0))
    for axis in reversed(axes):
        total = total.sum(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / element_count(x.shape, axes, mask, x.dtype)


def global_average_pool_grad(
    dy: np.ndarray,
    x_shape: tuple[int, ...],
    axes: tuple[int, ...],
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """dx of `global_average_pool`; without a mask a read-only view that repeats."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = dy / element_count(x_shape, axes, mask, dy.dtype)
    if mask is not None:
        share = np.where(mask, share, dy.dtype.type(0))
    return np.broadcast_to(share, x_shape)


def element_count(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    mask: np.ndarray | None,
    dtype: np.dtype,
) -> np.ndarray:
    """How many elements each mean is over, as floats."""
    if mask is not None:
        return mask.sum(axis=axes, keepdims=True).astype(dtype)
    return np.asarray(np.prod([shape[axis] for axis in axes]), dtype=dtype)


def lowest(dtype: np.dtype) -> float | int:
    """What loses every comparison: -inf, or the least integer."""
    return np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else -np.inf


def inside(spatial: tuple[int, ...], g: Geometry, axis: int) -> np.ndarray:
    """(out, size) booleans: does this tap of this window fall inside the input?"""
    start = np.arange(g.out[axis]) * g.strides[axis] - g.pads[axis][0]
    position = start[:, None] + np.arange(g.size[axis])  # pooling has no dilation
    return (position >= 0) & (position < spatial[axis])


def window_counts(spatial: tuple[int, ...], g: Geometry, dtype: np.dtype) -> np.ndarray:
    """(*out, 1): how many taps of each window fall inside the input."""
    counts = np.ones((), dtype=dtype)
    for axis in range(len(g.size)):
        counts = np.multiply.outer(counts, inside(spatial, g, axis).sum(axis=1))
    return counts.astype(dtype)[..., None]


def first_inside(spatial: tuple[int, ...], g: Geometry, y: np.ndarray) -> np.ndarray:
    """Winners to begin with, in the layout of y: each window's first tap inside."""
    taps = int(np.prod(g.size))
    dtype = np.uint8 if taps <= 256 else np.int32
    winner = np.zeros_like(y, dtype=dtype)
    if any(before for before, _ in g.pads):
        number = np.zeros((), dtype=np.int64)
        for axis, size in enumerate(g.size):
            tap = inside(spatial, g, axis).argmax(axis=1)  # the first True
            number = np.add.outer(number * size, tap)
        winner[...] = number[..., None]
    return winner
