"""N-dimensional convolution and its two gradients, as matrix products.

What the field calls convolution is correlation: the kernel is not flipped.

**Formula** for two spatial axes, with stride s and dilation d, on the padded input:

    y[n, p, q, o] = sum over i, j, c of
                    x[n, p*s + i*d, q*s + j*d, c] * kernel[i, j, c, o]

Write the window of inputs that output (n, p, q) sees as one row of a matrix, the
*columns* (N*P*Q, I*J*C), and the kernel as a matrix (I*J*C, O). Then

    y = columns @ kernel                    (N*P*Q, O)

**Gradient** A matrix product has two gradients:

    dkernel  = columns.T @ dy               (I*J*C, O)
    dcolumns = dy @ kernel.T                (N*P*Q, I*J*C)

and `columns` is a copy of elements of x, so dx gathers for each element of x what its
copies got. This can be read in two ways, and each is a function below:

- *scatter*: for each tap (i, j), add `dy @ kernel[i, j].T` to the places that the tap
  looked at.
- *correlate*: if s = 1, element h of x is tap i of the output p = h - i*d. So
  `dx[h] = sum over i of dy[h - i*d] @ kernel[i].T`, which is the formula of the
  forward pass with the kernel flipped, its channel axes swapped, and dy padded.

A convolution in `groups` is that many convolutions side by side, each with its own
slice of the input channels and of the filters. The kernel's shape says how many there
are: (*size, channels / groups, filters).

**Keeps** x, and not the columns, which are `size` times larger: they are made again in
backward, in pieces that fit in the cache, which is cheaper than reading them back from
memory. `conv_plain.py` has the same three functions as loops; a test holds them equal.

Reference: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning"
(2016), sections 2 and 4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from minikeras.ops.elementwise import sum_rows
from minikeras.ops.products import add_transposed_product, aligned, matmul_rows
from minikeras.ops.scratch import aligned_empty, scratch
from minikeras.ops.windows import (
    Geometry,
    at_tap,
    geometry,
    pad,
    padded_shape,
    unpad,
    windows,
)

# Columns are made in pieces of about this many bytes: half of a common L2 cache.
PIECE_BYTES = 1 << 20


def conv(x: np.ndarray, kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """Convolves x with the kernel.

    Args:
        x: (N, *spatial, C).
        kernel: (*size, C / groups, O).
        g: what `conv_geometry` returns for these two.

    Returns:
        (N, *out, O).

    >>> x = np.arange(4.0).reshape(1, 4, 1)
    >>> kernel = np.array([1.0, 10.0]).reshape(2, 1, 1)
    >>> conv(x, kernel, conv_geometry(x, kernel)).ravel()  # 0 + 10*1, 1 + 10*2, ...
    array([10., 21., 32.])
    """
    filters = kernel.shape[-1]
    y = aligned_empty((len(x) * math.prod(g.out), filters), x.dtype)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        matrix = aligned(as_matrix(kernel[..., outputs]))  # (taps*Cg, Og)
        for rows, columns in column_pieces(x[..., channels], g):
            matmul_rows(columns, matrix, out=y[rows, outputs])
    return y.reshape(len(x), *g.out, filters)


def conv_grad_kernel(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, g: Geometry
) -> np.ndarray:
    """The gradient of `conv` with respect to the kernel: `columns.T @ dy`."""
    dy_rows = dy.reshape(-1, dy.shape[-1])  # (N, *out, O) -> (N*out, O)
    dkernel = np.empty_like(kernel)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        part = kernel[..., outputs]
        total = np.zeros(as_matrix(part).shape, dtype=kernel.dtype)
        for rows, columns in column_pieces(x[..., channels], g):
            # in forward: y[rows] = columns @ kernel
            add_transposed_product(columns, dy_rows[rows, outputs], total)
        dkernel[..., outputs] = total.reshape(part.shape)
    return dkernel


def conv_grad_bias(dy: np.ndarray) -> np.ndarray:
    """The gradient of `conv(...) + bias` with respect to the bias: the sum of all rows.

    As a product with a row of ones, see `sum_rows`.
    """
    return sum_rows(dy)


def conv_grads(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    g: Geometry,
    need_dx: bool = True,
    need_dkernel: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(dx, dkernel), each None if it is not wanted. Neither depends, not even in the
    last bit, on whether the other is."""
    if need_dkernel and correlation_is_cheaper(kernel, g, x.shape):
        return correlate_grads(dy, x, kernel, g, need_dx)
    dkernel = conv_grad_kernel(dy, x, kernel, g) if need_dkernel else None
    dx = conv_grad_input(dy, kernel, g, x.shape) if need_dx else None
    return dx, dkernel


def conv_grad_input(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """The gradient of `conv` with respect to x, by the cheaper of the two readings."""
    if correlation_is_cheaper(kernel, g, x_shape):
        return correlate_grad(dy, kernel, g, x_shape)
    return scatter_grad(dy, kernel, g, x_shape)


def correlate_grad(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx as a correlation of the padded dy with the flipped kernel, for strides of 1.

    With b positions of padding before x, `dx[h] = sum over i of
    dy[h + b - i*d] @ kernel[i].T`. Count the taps from the other end, i = I-1 - t, and
    the index becomes `h + t*d - ((I-1)*d - b)`: a correlation of dy with (I-1)*d - b
    zeros before it. In the same way (I-1)*d - a zeros go after it.
    """
    return conv(dy, *correlation(kernel, g, x_shape))


def correlate_grads(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, g: Geometry, need_dx: bool = True
) -> tuple[np.ndarray | None, np.ndarray]:
    """(dx, dkernel), for strides of 1: both from the columns of dy.

    `dkernel[i, c, o]` is the sum over h of `x[h, c] * dy[h + b - i*d, o]`, and that is
    the dy that the correlation for `dx[h]` meets at tap I-1 - i. So the columns of dy,
    once made, serve both, which takes a tenth off a backward pass.
    """
    flipped, seen = correlation(kernel, g, x.shape)
    x_rows = x.reshape(-1, x.shape[-1])  # (N, *spatial, C) -> (N*spatial, C)
    dx = aligned_empty(x_rows.shape if need_dx else (0, 0), dy.dtype)
    dkernel = np.empty_like(kernel)
    taps = tuple(range(len(g.size)))
    for filters, channels in group_slices(dy.shape[-1], flipped):
        part = flipped[..., channels]  # (*size, Og, Cg)
        matrix = aligned(as_matrix(part))
        total = np.zeros(matrix.shape, kernel.dtype)  # (taps*Og, Cg)
        for rows, columns in column_pieces(dy[..., filters], seen):
            if need_dx:
                matmul_rows(columns, matrix, out=dx[rows, channels])
            add_transposed_product(columns, x_rows[rows, channels], total)
        by_tap = total.reshape(part.shape).swapaxes(-1, -2)  # (*size, Cg, Og)
        dkernel[..., filters] = np.flip(by_tap, axis=taps)
    return (dx.reshape(x.shape) if need_dx else None), dkernel


def correlation(
    kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> tuple[np.ndarray, Geometry]:
    """(kernel, geometry) of the convolution of dy that is dx: see `correlate_grad`."""
    *size, group_channels, filters = kernel.shape
    groups = x_shape[-1] // group_channels
    flipped = np.flip(kernel, axis=tuple(range(len(size))))
    # (*size, Cg, G*Og) -> (*size, Og, G*Cg): inputs and outputs change places.
    flipped = flipped.reshape(*size, group_channels, groups, filters // groups)
    flipped = np.moveaxis(flipped, -1, -3).swapaxes(-1, -2)
    flipped = flipped.reshape(*size, filters // groups, x_shape[-1])
    spans = [(k - 1) * d for k, d in zip(size, g.dilation, strict=True)]
    pads = [(n - b, n - a) for n, (b, a) in zip(spans, g.pads, strict=True)]
    return flipped, g._replace(pads=tuple(pads), out=x_shape[1:-1])


def scatter_grad(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx by adding, for each tap, dy @ kernel[tap].T where that tap looked."""
    dxp = np.zeros(padded_shape(x_shape, g.pads), dtype=dy.dtype)
    example_bytes = max(1, dy[:1].nbytes + dxp[:1].nbytes)
    step = max(1, PIECE_BYTES // example_bytes)
    for channels, outputs in group_slices(x_shape[-1], kernel):
        part = kernel[..., outputs]  # (*size, Cg, Og)
        transposed = aligned(part.swapaxes(-1, -2))  # (*size, Og, Cg)
        for n in range(0, len(dy), step):
            dy_piece = dy[n : n + step, ..., outputs]  # (n, *out, Og)
            dx_piece = dxp[n : n + step, ..., channels]  # (n, *padded, Cg)
            dy_rows = dy_piece.reshape(-1, dy_piece.shape[-1])  # (n*out, Og)
            found = scratch("taps", (len(dy_rows), part.shape[-2]), dy.dtype)
            for tap in g.taps():
                seen = at_tap(dx_piece, tap, g)  # (n, *out, Cg)
                matmul_rows(dy_rows, transposed[tap], out=found)
                seen += found.reshape(seen.shape)  # y += at_tap(x) @ kernel[tap]
    return unpad(dxp, g.pads)


def correlation_is_cheaper(
    kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> bool:
    """Chooses between the two readings of dx.

    Per tap, correlating multiplies for every input position and copies dy; scattering
    multiplies for every output position, and reads and writes dx. One copied number
    takes the time of about 15 multiplications, one read, added to and written 42
    (measured; only the ratio matters, and both ways give the same dx).
    """
    if max(g.strides) > 1:
        return False
    if max(g.size) == 1:
        return True  # dy @ kernel.T, nothing is copied
    *_, channels, filters = kernel.shape
    filters //= x_shape[-1] // channels
    correlate = math.prod(x_shape[1:-1]) * filters * (channels + 15)
    scatter = math.prod(g.out) * channels * (filters + 42)
    return correlate < scatter


def conv_geometry(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: tuple[int, ...] | None = None,
    padding: str = "valid",
    dilation_rate: tuple[int, ...] | None = None,
    caller: str = "This convolution",
) -> Geometry:
    """The `Geometry` of `conv(x, kernel, ...)`; one stride and dilation per axis."""
    size = kernel.shape[:-2]
    strides = strides or (1,) * len(size)
    return geometry(x.shape[1:-1], size, strides, padding, dilation_rate, caller)


def group_slices(channels: int, kernel: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """For each group, its slice of the input channels and its slice of the filters."""
    *_, group_channels, filters = kernel.shape
    groups = channels // group_channels
    group_filters = filters // groups
    for i in range(groups):
        yield (
            slice(i * group_channels, (i + 1) * group_channels),
            slice(i * group_filters, (i + 1) * group_filters),
        )


def as_matrix(kernel: np.ndarray) -> np.ndarray:
    """(*size, C, O) -> (taps*C, O)."""
    return kernel.reshape(-1, kernel.shape[-1])


def column_pieces(x: np.ndarray, g: Geometry) -> Iterator[tuple[slice, np.ndarray]]:
    """The columns of an input, in pieces: (which rows of y, columns).

    A piece is a few examples, or a few output rows of one example, so that its columns
    stay in the cache between being written and being multiplied. Each piece overwrites
    the one before.

    The copy goes in runs along a window (its last axis with the channels: size * C
    consecutive elements), or, for one to three channels, along a row of outputs. In the
    second case the piece is the transpose of a contiguous matrix, which suits BLAS as
    well. A kernel of size 1 needs no copy at all.
    """
    first, *others = g.out
    line = math.prod(others)  # outputs per step along the first output axis
    width = math.prod(g.size) * x.shape[-1]  # taps * C
    room = PIECE_BYTES // max(1, line * width * x.itemsize)  # lines that fit
    examples = even_step(len(x), room // max(1, first))
    lines = even_step(first, room)
    row = 0
    for n in range(0, len(x), examples):
        xp = pad(x[n : n + examples], g.pads, empty=functools.partial(scratch, "pad"))
        view = windows(xp, g)  # (n, *out, *size, C)
        for p in range(0, first, lines):
            columns = unfold(view[:, p : p + lines], len(g.size), width)
            yield slice(row, row + len(columns)), columns
            row += len(columns)


def even_step(total: int, room: int) -> int:
    """The step that cuts `total` into the fewest pieces of `room`, of even size."""
    pieces = -(-total // max(1, room))
    return max(1, -(-total // max(1, pieces)))


def unfold(view: np.ndarray, rank: int, width: int) -> np.ndarray:
    """(n, *out, *size, C) -> (n*out, taps*C), as a copy unless the size is 1."""
    channels, taps, outputs = view.shape[-1], view.shape[-2], view.shape[rank]
    if width == channels:
        return view.reshape(-1, width)
    if channels <= 3 and taps * channels < outputs:
        # (*size, C, n, *out): the matrix (taps*C, n*out), seen from the side.
        axes = (*range(1 + rank, 2 + 2 * rank), *range(1 + rank))
        view = view.transpose(axes)
        columns = scratch("columns", view.shape, view.dtype)
        np.copyto(columns, view)
        return columns.reshape(width, -1).T
    columns = scratch("columns", view.shape, view.dtype)
    np.copyto(columns, view)
    return columns.reshape(-1, width)
