"""Gradients of the operators between arrays, broadcasting undone; sums of rows."""

from __future__ import annotations

import math

import numpy as np


def unbroadcast(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums `dy` over the axes along which an array of `shape` was repeated.

    >>> unbroadcast(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    """
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)
    if extra:
        dy = dy.sum(axis=tuple(range(extra)))
    repeated = tuple(
        axis for axis, size in enumerate(shape) if size == 1 and dy.shape[axis] != 1
    )
    return dy.sum(axis=repeated, keepdims=True) if repeated else dy


def rows(x: np.ndarray) -> np.ndarray:
    """All leading axes as one: (..., D) -> (n, D), a view if x is contiguous."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def sum_rows(dy: np.ndarray) -> np.ndarray:
    """The sum over all axes but the last: the gradient of a bias.

    As a product with a row of ones: BLAS adds eight times faster than NumPy's `sum`
    over leading axes, and in several partial sums, which round off less.

    >>> sum_rows(np.array([[1.0, 10.0], [2.0, 20.0]]))
    array([ 3., 30.])
    """
    dy = rows(dy)
    return np.ones(len(dy), dy.dtype) @ dy


# Numbers in a run: NumPy works on one run at a time, and starting costs as much as 50.
RUN = 1024


def add_to_rows(y: np.ndarray, bias: np.ndarray) -> None:
    """`y += bias`, in place, for n rows (n, O) and an (O,) bias.

    NumPy would take n runs of O numbers. With the bias written out several times over,
    contiguous rows can be taken as fewer, longer runs: three times quicker for 32
    columns.
    """
    n, width = y.shape
    times = RUN // width if width else 0
    if times < 2 or n < times or not y.flags.c_contiguous:
        y += bias
        return
    m = n // times * times
    together = y[:m].reshape(-1, times * width)  # (n, O) -> (n / times, times * O)
    together += np.tile(bias, times)
    y[m:] += bias


def rectify_in_place(y: np.ndarray) -> None:
    """`y = max(y, 0)`. For `np.maximum` zeros in an array are quicker than 0."""
    if not y.flags.c_contiguous or y.size < RUN:
        np.maximum(y, 0, out=y)
        return
    flat, zeros = y.reshape(-1), np.zeros(RUN, y.dtype)
    m = flat.size // RUN * RUN
    together = flat[:m].reshape(-1, RUN)
    np.maximum(together, zeros, out=together)
    np.maximum(flat[m:], 0, out=flat[m:])


def power_grad(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`y = a ** b`: da = b a**(b-1), db = y log a (0 where a <= 0, as TensorFlow)."""
    da = dy * b * np.power(a, b - 1)
    positive = a > 0
    log_a = np.log(np.where(positive, a, 1)).astype(y.dtype)
    return da, dy * y * log_a


def matmul_grad(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`y = a @ b`: da = dy @ b.T, db = a.T @ dy, vectors and batches included."""
    a2 = a[None, :] if a.ndim == 1 else a  # (K,) -> (1, K)
    b2 = b[:, None] if b.ndim == 1 else b  # (K,) -> (K, 1)
    dy2 = dy
    if b.ndim == 1:
        dy2 = dy2[..., None]
    if a.ndim == 1:
        dy2 = dy2[..., None, :]
    da = unbroadcast(dy2 @ np.swapaxes(b2, -1, -2), a2.shape)
    db = unbroadcast(np.swapaxes(a2, -1, -2) @ dy2, b2.shape)
    return da.reshape(a.shape), db.reshape(b.shape)


def getitem_grad(dy: np.ndarray, key: object, shape: tuple[int, ...]) -> np.ndarray:
    """`y = x[key]`: dy goes back to where it was read, zero elsewhere."""
    dx = np.zeros(shape, dy.dtype)
    np.add.at(dx, key, dy)
    return dx
