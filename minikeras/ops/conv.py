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

from collections.abc import Iterator

import numpy as np

from minikeras.ops.windows import (
    Geometry,
    at_tap,
    geometry,
    pad,
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
    xp = pad(x, g.pads)
    filters = kernel.shape[-1]
    y = np.empty((len(x) * int(np.prod(g.out)), filters), dtype=x.dtype)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        matrix = as_matrix(kernel[..., outputs])  # (taps*Cg, Og)
        for rows, columns in column_pieces(xp[..., channels], g):
            np.matmul(columns, matrix, out=y[rows, outputs])
    return y.reshape(len(x), *g.out, filters)


def conv_grad_kernel(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, g: Geometry
) -> np.ndarray:
    """The gradient of `conv` with respect to the kernel: `columns.T @ dy`."""
    xp = pad(x, g.pads)
    dy_rows = dy.reshape(-1, dy.shape[-1])  # (N, *out, O) -> (N*out, O)
    dkernel = np.empty_like(kernel)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        part = kernel[..., outputs]
        total = np.zeros(as_matrix(part).shape, dtype=kernel.dtype)
        for rows, columns in column_pieces(xp[..., channels], g):
            total += columns.T @ dy_rows[rows, outputs]  # y = columns @ kernel
        dkernel[..., outputs] = total.reshape(part.shape)
    return dkernel


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
    *size, group_channels, filters = kernel.shape
    groups = x_shape[-1] // group_channels
    flipped = np.flip(kernel, axis=tuple(range(len(size))))
    # (*size, Cg, G*Og) -> (*size, Og, G*Cg): inputs and outputs change places.
    flipped = flipped.reshape(*size, group_channels, groups, filters // groups)
    flipped = np.moveaxis(flipped, -1, -3).swapaxes(-1, -2)
    flipped = flipped.reshape(*size, filters // groups, x_shape[-1])
    spans = [(k - 1) * d for k, d in zip(size, g.dilation, strict=True)]
    pads = [(n - b, n - a) for n, (b, a) in zip(spans, g.pads, strict=True)]
    return conv(dy, flipped, g._replace(pads=tuple(pads), out=x_shape[1:-1]))


def scatter_grad(
    dy: np.ndarray, kernel: np.ndarray, g: Geometry, x_shape: tuple[int, ...]
) -> np.ndarray:
    """dx by adding, for each tap, dy @ kernel[tap].T where that tap looked."""
    lengths = [b + n + a for n, (b, a) in zip(x_shape[1:-1], g.pads, strict=True)]
    dxp = np.zeros((len(dy), *lengths, x_shape[-1]), dtype=dy.dtype)
    row_bytes = dy[:1].nbytes + dxp[:1].nbytes
    step = max(1, PIECE_BYTES // max(row_bytes, 1))
    for channels, outputs in group_slices(x_shape[-1], kernel):
        for n in range(0, len(dy), step):
            dy_piece = dy[n : n + step, ..., outputs]  # (n, *out, Og)
            dx_piece = dxp[n : n + step, ..., channels]  # (n, *padded, Cg)
            dy_rows = dy_piece.reshape(-1, dy_piece.shape[-1])
            for tap in g.taps():
                seen = at_tap(dx_piece, tap, g)  # y += at_tap(x) @ kernel[tap]
                dx_rows = dy_rows @ kernel[tap][:, outputs].T  # (n*out, Cg)
                seen += dx_rows.reshape(seen.shape)
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
    correlate = np.prod(x_shape[1:-1]) * filters * (channels + 15)
    scatter = np.prod(g.out) * channels * (filters + 42)
    return bool(correlate < scatter)


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


def column_pieces(xp: np.ndarray, g: Geometry) -> Iterator[tuple[slice, np.ndarray]]:
    """The columns of a padded input, in pieces: (which rows of y, columns).

    A piece is a few examples, or a few output rows of one example, so that its columns
    stay in the cache between being written and being multiplied.

    The copy follows whichever runs of consecutive elements are longer: along a window
    (its last axis with the channels: size * C), or, for few channels, along a row of
    outputs. In the second case the piece is the transpose of a contiguous matrix, which
    suits BLAS as well. A kernel of size 1 needs no copy at all.
    """
    view = windows(xp, g)  # (N, *out, *size, C)
    batch, first, *_ = view.shape
    rank, width = len(g.size), int(np.prod(view.shape[1 + len(g.size) :]))
    line = int(np.prod(g.out[1:]))  # outputs per step along the first output axis
    along_outputs = g.size[-1] * xp.shape[-1] < g.out[-1] and width > xp.shape[-1]
    lines = max(1, PIECE_BYTES // max(1, line * width * xp.itemsize))
    examples = max(1, lines // max(1, first))
    row = 0
    for n in range(0, batch, examples):
        for p in range(0, first, max(1, min(lines, first))):
            piece = view[n : n + examples, p : p + lines]
            rows = piece.shape[0] * piece.shape[1] * line
            if along_outputs:
                axes = (*range(1 + rank, 2 + 2 * rank), *range(1 + rank))
                columns = piece.transpose(axes).reshape(width, rows).T
            else:
                columns = piece.reshape(rows, width)
            yield slice(row, row + rows), columns
            row += rows
