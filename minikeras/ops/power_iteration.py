"""The largest singular value of a matrix, by power iteration."""

from __future__ import annotations

import numpy as np

from minikeras import config


def unit(x: np.ndarray) -> np.ndarray:
    """x divided by its length; zeros stay zeros.

    >>> unit(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    with np.errstate(divide="ignore"):
        inverse = 1 / np.sqrt(np.square(x).sum(keepdims=True))
    return x * np.minimum(inverse, x.dtype.type(1 / config.epsilon()))


def spectral_norm(
    matrix: np.ndarray, u: np.ndarray, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """One or more rounds towards the largest singular value.

    Each round multiplies a guess by the matrix and back: the part of it along the
    largest singular value grows most.

    Args:
        matrix: W, (rows, columns).
        u: the guess so far, (1, columns): the right singular vector.
        iterations: rounds, at least 1.

    Returns:
        (sigma, u): sigma of shape (1, 1), and the better guess.

    >>> sigma, u = spectral_norm(np.diag([3.0, 1.0]), np.array([[0.6, 0.8]]), 20)
    >>> sigma.round(6), abs(u).round(6)
    (array([[3.]]), array([[1., 0.]]))
    """
    for _ in range(iterations):
        v = unit(u @ matrix.T)  # (1, columns) @ (columns, rows) -> (1, rows)
        u = unit(v @ matrix)  # (1, rows) @ (rows, columns) -> (1, columns)
    return v @ matrix @ u.T, u
