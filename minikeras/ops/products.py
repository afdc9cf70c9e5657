"""Tall and flat matrix products, cut into slices that BLAS multiplies the short way.

A matrix product `(M, K) @ (K, N)` with M in the thousands and K and N small is what a
convolution makes. OpenBLAS first copies the factors into panels, which pays when they
are read many times; here they are read a few times only. For products of up to a
million multiplications it has kernels that read the factors where they are. So the rows
are cut into slices of that size, and NumPy multiplies all slices in one call. With 32
columns this takes 0.7 times as long, with few rows of K half as long (measured on a
processor with AVX-512; elsewhere it takes a few percent more or less).
"""

from __future__ import annotations

import numpy as np

from minikeras.ops.scratch import aligned_empty, scratch
from minikeras.threads import WORTH_SHARING, together

SHORT = 1_000_000  # multiplications
MOST_ROWS = 768  # more gain nothing
FEWEST_ROWS = 16
STEP = 8  # rows of a slice come in multiples of this
SMALLEST = 256  # numbers in `b`: for fewer, a slice costs more than it saves
SHORT_TRANSPOSED = 550_000  # the same, where the second factor is transposed
MOST_TRANSPOSED_ROWS = 64
FEWEST_COLUMNS = 64
SMALL_SUM = 4096  # numbers in a sum of transposed products


def slice_rows(k: int, n: int) -> int:
    """How many rows of `(M, k) @ (k, n)` make a slice; 0 if none is short enough.

    >>> slice_rows(288, 32), slice_rows(576, 64), slice_rows(1600, 128)
    (104, 24, 0)
    """
    if k * n < SMALLEST:
        return 0
    rows = min(MOST_ROWS, SHORT // (k * n)) // STEP * STEP
    return rows if rows >= FEWEST_ROWS else 0


def matmul_rows(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`np.matmul(a, b, out=out)` for a tall `a`.

    Args:
        a: (M, K), rows or columns contiguous.
        b: (K, N), best `aligned`.
        out: (M, N), rows contiguous.
    """
    rows = slice_rows(*b.shape)
    slices = len(a) // rows if rows else 0
    if slices < 2:
        return np.matmul(a, b, out=out)
    m = slices * rows
    np.matmul(_cut(a[:m], rows), b, out=_cut(out[:m], rows))
    if m < len(a):
        np.matmul(a[m:], b, out=out[m:])
    return out


def add_transposed_product(a: np.ndarray, b: np.ndarray, total: np.ndarray) -> None:
    """`total += a.T @ b` for tall `a` and `b`.

    Cut into slices this is a sum of products, one for each slice. That is worth it only
    if the sum is small: for the first layer of a ConvNet, mainly, where it takes 0.7
    times as long.

    Args:
        a, b: (M, K) and (M, N).
        total: (K, N).
    """
    rows = slice_rows(*total.shape) if total.size <= SMALL_SUM else 0
    slices = len(a) // rows if rows else 0
    if slices < 2:
        total += np.matmul(a.T, b, out=scratch("product", total.shape, total.dtype))
        return
    m = slices * rows
    products = scratch("products", (slices, *total.shape), total.dtype)
    np.matmul(_cut(a[:m], rows).swapaxes(1, 2), _cut(b[:m], rows), out=products)
    total += np.add.reduce(products, axis=0)
    if m < len(a):
        total += a[m:].T @ b[m:]


def matmul_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b.T`, the gradient of a product `x @ b` for few examples.

    Here it is the rows of `b` that are cut into slices: 1.4 times as fast for 64 rows
    of `a`, three times for 16.

    Args:
        a: (M, N).
        b: (K, N).

    Returns:
        (M, K).
    """
    (m, n), k = a.shape, len(b)
    rows = min(MOST_TRANSPOSED_ROWS, SHORT_TRANSPOSED // max(1, m * n)) // STEP * STEP
    slices = k // rows if rows else 0
    if slices < 2 or n < FEWEST_COLUMNS or not b.flags.c_contiguous:
        return a @ b.T
    out = aligned_empty((m, k), a.dtype)
    cut = slices * rows
    columns = _cut(out[:, :cut].T, rows).swapaxes(1, 2)  # (slices, M, rows), a view
    np.matmul(a, _cut(b[:cut], rows).swapaxes(1, 2), out=columns)
    if cut < k:
        np.matmul(a, b[cut:].T, out=out[:, cut:])
    return out


def matmul_tall(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` for a tall `a`; a large one in two halves, for two threads.

    Args:
        a: (M, K).
        b: (K, N).
    """
    operations = 2 * a.size * b.shape[1]
    if operations < WORTH_SHARING or a.dtype != b.dtype:
        return a @ b
    y, half = np.empty((len(a), b.shape[1]), a.dtype), len(a) // 2
    together(
        lambda: np.matmul(a[:half], b, out=y[:half]),
        lambda: np.matmul(a[half:], b, out=y[half:]),
        operations=operations,
    )
    return y


def aligned(matrix: np.ndarray) -> np.ndarray:
    """A copy with contiguous rows that begins at a multiple of 64 bytes."""
    copy = aligned_empty(matrix.shape, matrix.dtype)
    copy[...] = matrix
    return copy


def _cut(matrix: np.ndarray, rows: int) -> np.ndarray:
    """(M, K) -> (M / rows, rows, K), a view also of a transposed or strided matrix."""
    first, second = matrix.strides
    return np.lib.stride_tricks.as_strided(
        matrix,
        shape=(len(matrix) // rows, rows, matrix.shape[1]),
        strides=(rows * first, first, second),
    )
