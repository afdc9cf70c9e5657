"""How often predictions are right, example by example: 1.0 or 0.0."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config
from minikeras.losses.reduction import squeeze_or_expand_to_same_rank
from minikeras.ops.stable import as_array
from minikeras.registry import public


def accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where prediction and target are equal.

    >>> accuracy([1, 2], [1, 3])
    array([1., 0.], dtype=float32)
    """
    y_pred = as_array(y_pred)
    y_true = as_array(y_true).astype(y_pred.dtype, copy=False)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return (y_true == y_pred).astype(config.floatx())


@public("keras.metrics")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> np.ndarray:
    """1 where `y_pred > threshold` is what the target, 0 or 1, says.

    >>> binary_accuracy([[1], [0]], [[0.5], [0.4]])
    array([[0.],
           [1.]], dtype=float32)
    """
    y_pred, y_true = as_array(y_pred), as_array(y_true)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    # NB: Keras compares with a float32 threshold, and casts the answer to the dtype of
    # the targets: a target of 0.7 is never met.
    above = (y_pred > np.float32(threshold)).astype(y_true.dtype)
    return (y_true == above).astype(config.floatx())


@public("keras.metrics")
def categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the largest prediction is at the largest target.

    Args:
        y_true: one-hot targets, (..., C).
        y_pred: probabilities or logits, (..., C).

    >>> categorical_accuracy([[0, 1], [0, 1]], [[0.1, 0.9], [0.8, 0.2]])
    array([1., 0.], dtype=float32)
    """
    y_pred = as_array(y_pred)
    # NB: through the dtype of y_pred, as in Keras; (..., C) -> (...)
    y_true = argmax(as_array(y_true)).astype(y_pred.dtype)
    return _matches(y_true, y_pred)


@public("keras.metrics")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> np.ndarray:
    """1 where the largest prediction is at the target.

    Args:
        y_true: class numbers, (...) or (..., 1).
        y_pred: probabilities or logits, (..., C).

    >>> sparse_categorical_accuracy([1, 1], [[0.1, 0.9], [0.8, 0.2]])
    array([1., 0.], dtype=float32)
    """
    y_pred = as_array(y_pred)
    y_true = as_array(y_true).astype(y_pred.dtype, copy=False)
    matches = _matches(y_true, y_pred)
    if matches.ndim > 1 and matches.shape[-1] == 1:
        matches = matches[..., 0]  # (..., 1) -> (...)
    return matches


def _matches(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    shape = y_true.shape
    squeezed = y_true.ndim == y_pred.ndim and shape[-1] == 1
    if squeezed:
        y_true = y_true[..., 0]  # (N, 1) -> (N,)
    found = argmax(y_pred).astype(y_true.dtype)  # (..., C) -> (...)
    matches = (y_true == found).astype(config.floatx())
    return matches.reshape(shape) if squeezed else matches


@public("keras.metrics")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> np.ndarray:
    """1 where the largest target is among the `k` largest predictions.

    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2)
    array([1.], dtype=float32)
    """
    y_pred = as_array(y_pred)
    y_true = argmax(as_array(y_true).astype(y_pred.dtype, copy=False))
    return _top_k(y_true, y_pred, k)


@public("keras.metrics")
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> np.ndarray:
    """1 where the target is among the `k` largest predictions.

    Args:
        y_true: class numbers, (...).
        y_pred: scores of the classes, (..., C); or, with `from_sorted_ids`, the numbers
            of the best classes, best first.
        k: how many count.
        from_sorted_ids: see `y_pred`.

    >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.2, 0.3]], k=2)
    array([1.], dtype=float32)
    """
    y_pred, y_true = as_array(y_pred), as_array(y_true)
    if not from_sorted_ids:
        return _top_k(y_true.astype("int32", copy=False), y_pred, k)
    y_true = y_true.astype(y_pred.dtype, copy=False)
    ids = y_pred.reshape(-1, y_pred.shape[-1])[:, :k]  # (..., C) -> (N, k)
    matches = (y_true.reshape(-1, 1) == ids).any(axis=1)
    return matches.astype(config.floatx()).reshape(y_true.shape)


def _top_k(y_true: np.ndarray, y_pred: np.ndarray, k: int) -> np.ndarray:
    """NB: a target counts if fewer than k predictions are larger, so ties are kind.

    A row with a number that is not finite, or a target that is no class, never counts.
    """
    scores = y_pred.reshape(-1, y_pred.shape[-1])  # (..., C) -> (N, C)
    targets = y_true.reshape(-1)
    classes = scores.shape[-1]
    known = (targets >= 0) & (targets < classes)
    safe = np.where(known, targets, 0)[:, None]
    larger = (scores > np.take_along_axis(scores, safe, axis=1)).sum(axis=1)
    matches = known & (larger < k) & np.isfinite(scores).all(axis=1)
    return matches.astype(config.floatx()).reshape(y_true.shape)


def argmax(x: np.ndarray) -> np.ndarray:
    """Where the largest element of the last axis is, the first one of several.

    NB: to Keras on TensorFlow, -0.0 is smaller than 0.0, and NaN is never the largest.

    >>> argmax(np.array([[-0.0, 0.0], [np.nan, 1.0]]))
    array([1, 1])
    """
    found = x.argmax(axis=-1)
    if x.dtype.kind != "f":
        return found
    largest = x.max(axis=-1)  # NaN if there is one
    doubtful = (largest == 0) | np.isnan(largest)
    if doubtful.any():
        rows = x[doubtful]
        rows = np.where(np.isnan(rows), -np.inf, rows)
        minus_zero = (rows == 0) & np.signbit(rows)
        rows = np.where(minus_zero, -np.finfo(x.dtype).tiny, rows)
        found[doubtful] = rows.argmax(axis=-1)
    return found
