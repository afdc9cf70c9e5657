"""N-dimensional depthwise convolution: every channel with kernels of its own.

**Formula** for two spatial axes, with stride s and dilation d, on the padded input, for
channel c and its m-th kernel (m < M):

    y[n, p, q, c*M + m] = sum over i, j of
                          x[n, p*s + i*d, q*s + j*d, c] * kernel[i, j, c, m]

Nothing is summed over channels, so there is no matrix product in it: each number read
is multiplied once per tap, and the work is to go through memory in long runs. NumPy's
`einsum` over the windows (a view, nothing is copied) multiplies and adds in one pass.
With a stride of 1 along the last axis, what all windows of a row see at one tap lies in
one run of Q*C numbers; the kernel's tap, repeated Q times, goes along with it.

With M > 1 the channels of x are repeated M times first; then M is 1.

**Gradient** with the windows of x as in forward,

    dkernel[i, j, c, m] = sum over n, p, q of x[n, p*s + i*d, q*s + j*d, c] * dy
    dx[n, h, w, c]      = sum over the (p, i) and (q, j) that met there, and m,
                          of dy[n, p, q, c*M + m] * kernel[i, j, c, m]

where `dy` is dy[n, p, q, c*M + m]. For a stride of 1 dx is a depthwise convolution of
the padded dy with the flipped kernel (see `correlate_grad` in `conv.py`); for others
each tap adds to the places where it looked.

**Keeps** x.

Reference: Chollet, "Xception: deep learning with depthwise separable convolutions"
(2017), section 2.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minikeras.ops.scratch import scratch
from minikeras.ops.windows import (
    Geometry,
    at_tap,
    pad,
    padded_shape,
    unpad,
    windows,
)

# Examples are taken in pieces of about this many bytes: half of a common L2 cache.
PIECE_BYTES = 1 << 20
# From so many channels on a run of one window is long enough for the kernel's gradient.
LONG_RUN = 64


def depthwise(x: np.ndarray, kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """Convolves every channel of x with its kernels.

    Args:
        x: (N, *spatial, C).
        kernel: (*size, C, M).
        g: what `geometry` returns for the two.

    Returns:
        (N, *out, C * M).

    >>> from minikeras.ops.windows import geometry
    >>> x = np.array([[1.0, 10.0], [2.0, 20.0]]).reshape(1, 2, 2)
    >>> kernel = np.ones((2, 2, 1))
    >>> depthwise(x, kernel, geometry((2,), (2,), (1,), "valid"))
    array([[[ 3., 30.]]])
    """
    kernel, repeats = single(kernel)
    y = np.empty((len(x), *g.out, kernel.shape[-1]), x.dtype)
    tiled = tile(kernel, g)
    axes, taps, run = labels(g)
    for piece, xp in padded_pieces(x, repeats, g):
        np.einsum(
            rows(xp, g),
            [*axes, *taps, run],
            tiled,
            [*taps, run],
            [*axes, run],
            out=y[piece].reshape(len(xp), *lines(g), tiled.shape[-1]),
        )
    return y


def depthwise_grad_kernel(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, g: Geometry
) -> np.ndarray:
    """The gradient of `depthwise` with respect to the kernel."""
    flat, repeats = single(kernel)
    channels = flat.shape[-1]
    as_rows = g.strides[-1] == 1 and channels < LONG_RUN
    axes, taps, run = labels(g, as_rows)
    shape = (*g.size, g.out[-1] * channels if as_rows else channels)
    total = np.zeros(shape, kernel.dtype)
    for piece, xp in padded_pieces(x, repeats, g):
        # in forward: y = sum over taps of seen * kernel[tap]
        if not as_rows:
            total += np.einsum(
                windows(xp, g),
                [*axes, *taps, run],
                dy[piece],
                [*axes, run],
                [*taps, run],
            )
            continue
        seen = rows(xp, g)
        dy_rows = dy[piece].reshape(len(xp), *lines(g), -1)
        for tap in g.taps():  # one by one: their sums do not all fit the first cache
            at = (*[slice(None)] * len(axes), *tap)
            product = np.einsum(seen[at], [*axes, run], dy_rows, [*axes, run], [run])
            total[tap] += product
    if as_rows:  # (*size, Q*C) -> (*size, C)
        total = total.reshape(*g.size, g.out[-1], channels).sum(axis=-2)
    return total.reshape(kernel.shape)


def depthwise_grad_input(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """The gradient of `depthwise` with respect to x."""
    flat, repeats = single(kernel)
    if max(g.strides) == 1:
        dx = correlate(dy, flat, g, x_shape)
    else:
        dx = scatter(dy, flat, g, x_shape)
    if repeats > 1:  # x was repeated: (..., C*M) -> (..., C)
        copies = dx.reshape(*x_shape, repeats)
        dx = np.copy(copies[..., 0])
        for m in range(1, repeats):  # `sum` over so short an axis is slow
            dx += copies[..., m]
    return dx


def correlate(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx for strides of 1: the padded dy with the flipped kernel, as in `conv.py`."""
    flipped = np.flip(kernel, axis=tuple(range(len(g.size))))
    spans = [(k - 1) * d for k, d in zip(g.size, g.dilation, strict=True)]
    pads = [(n - b, n - a) for n, (b, a) in zip(spans, g.pads, strict=True)]
    back = g._replace(pads=tuple(pads), out=x_shape[1:-1])
    return depthwise(dy, flipped[..., np.newaxis], back)


def scatter(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx by adding, for each tap, dy * kernel[tap] where that tap looked."""
    dxp = np.zeros(padded_shape((*x_shape[:-1], dy.shape[-1]), g.pads), dy.dtype)
    for piece in pieces(len(dy), dxp[:1].nbytes):
        dy_piece = dy[piece]
        found = scratch("taps", dy_piece.shape, dy.dtype)
        for tap in g.taps():
            np.multiply(dy_piece, kernel[tap], out=found)
            seen = at_tap(dxp[piece], tap, g)
            seen += found  # in forward: y += at_tap(x) * kernel[tap]
    return unpad(dxp, g.pads)


def single(kernel: np.ndarray) -> tuple[np.ndarray, int]:
    """(*size, C, M) as one kernel for each of C*M channels, and M."""
    *size, channels, repeats = kernel.shape
    return kernel.reshape(*size, channels * repeats), repeats


def pieces(examples: int, example_bytes: int) -> Iterator[slice]:
    """Slices of the batch that stay in the cache while all taps go over them."""
    step = max(1, PIECE_BYTES // max(1, example_bytes))
    for n in range(0, examples, step):
        yield slice(n, min(n + step, examples))


def padded_pieces(
    x: np.ndarray, repeats: int, g: Geometry
) -> Iterator[tuple[slice, np.ndarray]]:
    """The padded input piece by piece, its channels repeated; each overwrites the last.

    Rows of output are runs of input, so the input has to be contiguous.
    """
    size = math.prod(padded_shape(x.shape, g.pads)[1:]) * repeats * x.itemsize
    for piece in pieces(len(x), size):
        part = np.ascontiguousarray(x[piece])
        if repeats > 1:
            part = repeat_channels(part, repeats)
        yield piece, pad(part, g.pads, empty=functools.partial(scratch, "pad"))


def repeat_channels(x: np.ndarray, repeats: int) -> np.ndarray:
    """`np.repeat(x, repeats, axis=-1)`, some times faster.

    >>> repeat_channels(np.array([[1, 2]]), 2)
    array([[1, 1, 2, 2]])
    """
    y = np.empty((*x.shape, repeats), x.dtype)
    for m in range(repeats):
        y[..., m] = x
    return y.reshape(*x.shape[:-1], x.shape[-1] * repeats)


def lines(g: Geometry) -> tuple[int, ...]:
    """The output axes that are walked; a last one of stride 1 is part of the run."""
    return g.out[:-1] if g.strides[-1] == 1 else g.out


def labels(g: Geometry, as_rows: bool = True) -> tuple[list[int], list[int], int]:
    """Numbers that name the axes for `einsum`: (batch and lines, taps, run)."""
    count = 1 + (len(lines(g)) if as_rows else len(g.out))
    taps = range(count, count + len(g.size))
    return list(range(count)), list(taps), count + len(g.size)


def rows(xp: np.ndarray, g: Geometry) -> np.ndarray:
    """The windows of a padded input, with neighbouring windows in one run.

    Returns:
        A view (N, *out but the last, *size, Q*C) if the last stride is 1, otherwise
        `windows(xp, g)`: (N, *out, *size, C).
    """
    view = windows(xp, g)
    if g.strides[-1] != 1:
        return view
    rank = len(g.size)  # (N, *out, *size, C): the last output axis is axis `rank`
    shape, strides = list(view.shape), list(view.strides)
    shape[-1] *= shape.pop(rank)
    del strides[rank]
    strides[-1] = xp.itemsize  # NB: that of an axis of length 1 may be anything
    return as_strided(xp, shape, strides, writeable=False)


def tile(kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """The kernel in runs as long as those of `rows`: (*size, Q*C) or (*size, C)."""
    if g.strides[-1] != 1:
        return kernel
    shape = (*g.size, g.out[-1], kernel.shape[-1])
    tiled = np.broadcast_to(kernel[..., np.newaxis, :], shape)
    return tiled.reshape(*g.size, shape[-2] * shape[-1])
