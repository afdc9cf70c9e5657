"""Gradient clipping: by value, by the norm of each gradient, by the norm of all."""

from __future__ import annotations

import numpy as np

from minikeras.row_gradient import RowGradient

Gradient = np.ndarray | RowGradient


def clip_by_value(gradient: Gradient, limit: float) -> Gradient:
    """Every element limited to [-limit, limit].

    >>> clip_by_value(np.array([-3.0, 0.5]), 1.0)
    array([-1. ,  0.5])
    """
    if isinstance(gradient, RowGradient):
        return gradient.map_rows(lambda rows: np.clip(rows, -limit, limit))
    return np.clip(gradient, -limit, limit)


def clip_by_norm(gradient: Gradient, limit: float) -> Gradient:
    """The gradient, shortened to the length `limit` if it is longer.

    **Formula**: `g * c / max(|g|, c)`, with the Euclidean norm over all elements.

    Reference: Pascanu et al. 2013, On the difficulty of training recurrent neural
    networks, algorithm 1.

    >>> clip_by_norm(np.array([3.0, 4.0]), 1.0)
    array([0.6, 0.8])
    """
    if isinstance(gradient, RowGradient):
        return gradient.map_rows(lambda rows: clip_by_norm(rows, limit))
    norm = np.sqrt(_squared_norm(gradient))
    return gradient * limit / np.maximum(norm, gradient.dtype.type(limit))


def clip_by_global_norm(gradients: list[Gradient], limit: float) -> list[np.ndarray]:
    """All gradients, shortened by one factor if together they are longer than `limit`.

    **Formula**: `g * c * min(1/n, 1/c)`, n the norm of all gradients as one vector. If
    n is not finite, everything becomes NaN, as in Keras: better seen than hidden.

    >>> clip_by_global_norm([np.array([3.0]), np.array([4.0])], 1.0)
    [array([0.6]), array([0.8])]
    """
    dtype = np.result_type(*[g.dtype for g in gradients])
    squares = np.array([_squared_norm(g) for g in gradients], dtype)
    norm = np.sqrt(squares.sum())
    factor = limit * np.minimum(1 / norm, dtype.type(1 / limit)) + (norm - norm)
    # NB: Keras measures the rows of an embedding apart, and adds them up only here.
    return [np.asarray(g) * factor.astype(g.dtype) for g in gradients]


def _squared_norm(gradient: Gradient) -> np.floating:
    rows = gradient.rows if isinstance(gradient, RowGradient) else gradient
    return np.square(rows).sum()
