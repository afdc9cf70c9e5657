"""Category numbers as rows of zeros and ones, or of counts. Nothing has a gradient."""

from __future__ import annotations

import numpy as np


def encode(
    x: np.ndarray,
    depth: int,
    mode: str,
    dtype: str,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Encodes categories.

    Args:
        x: numbers of categories; those not below `depth` are left out.
        depth: how many categories there are.
        mode: `"one_hot"`: a row for each number (a last axis of size 1 is dropped).
            `"multi_hot"`: one row for the numbers of an example, 1 for those among
            them; `"count"`: how often each is among them.
        dtype: of the result.
        weights: for `"count"`: what each number counts.

    NB: as in Keras, the numbers of one example lie along the last axis of x for up to
    two axes, along axis 1 for more.

    >>> encode(np.array([[0, 2], [1, 1]]), 3, "count", "float32")
    array([[1., 0., 1.],
           [0., 2., 0.]], dtype=float32)
    """
    x = np.atleast_1d(x).astype(np.int64)
    if mode == "one_hot":
        if x.ndim > 1 and x.shape[-1] == 1:
            x = x[..., 0]
        return one_hot(x, depth, dtype)
    if x.ndim > 2:
        rows = one_hot(x, depth, dtype)  # (N, T, ..., depth)
        if mode == "multi_hot":
            return rows.max(axis=1, initial=0)
        rows = rows if weights is None else rows * weights[..., np.newaxis]
        return rows.sum(axis=1)
    if x.size and x.min() < 0:
        raise ValueError(
            f"Categories are numbered from 0. Received: {x.min()} among the inputs."
        )
    return _bins(x, depth, mode, dtype, weights)


def one_hot(x: np.ndarray, depth: int, dtype: str) -> np.ndarray:
    """(...) -> (..., depth); numbers outside of [0, depth) give rows of zeros."""
    flat = x.reshape(-1)
    rows = np.zeros((flat.size, depth), dtype)
    valid = np.flatnonzero((flat >= 0) & (flat < depth))
    rows[valid, flat[valid]] = 1
    return rows.reshape(*x.shape, depth)


def _bins(
    x: np.ndarray, depth: int, mode: str, dtype: str, weights: np.ndarray | None
) -> np.ndarray:
    """Counts (or presence) per row of a matrix, or of one vector."""
    matrix = np.atleast_2d(x)
    valid = matrix < depth
    places = (matrix + depth * np.arange(len(matrix))[:, np.newaxis])[valid]
    if weights is not None:
        weights = weights.reshape(matrix.shape)[valid]
    counts = np.bincount(places, weights, minlength=len(matrix) * depth)
    counts = counts.reshape(len(matrix), depth)
    if mode == "multi_hot":
        counts = counts > 0
    counts = counts.astype(dtype)
    return counts if x.ndim == 2 else counts[0]
