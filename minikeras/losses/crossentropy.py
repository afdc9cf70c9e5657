"""Crossentropies of classes: with one-hot targets and with integer labels."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras import config
from minikeras.losses.function import (
    LossFunctionWrapper,
    loss_function,
    matched_shapes,
)
from minikeras.messages import warn
from minikeras.ops.stable import gate
from minikeras.registry import public


def clip_probabilities(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p clipped to [epsilon, 1 - epsilon], where it was inside, ends included)."""
    low, high = config.epsilon(), 1.0 - config.epsilon()
    low, high = p.dtype.type(low), p.dtype.type(high)
    return np.clip(p, low, high), (p >= low) & (p <= high)


def _log_softmax(logits: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """(log of the softmax, the softmax)."""
    shifted = logits - logits.max(axis=axis, keepdims=True, initial=-math.inf)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=axis, keepdims=True)
    return shifted - np.log(total), exponentials / total


class CategoricalResiduals(NamedTuple):
    """What `categorical_crossentropy` keeps."""

    y_true: np.ndarray  # smoothed
    p: np.ndarray  # probabilities: the softmax, or y_pred / total, not clipped
    slope: np.ndarray | None  # d value / d p, where not clipped; None from logits
    total: np.ndarray | None  # sum of y_pred; None from logits
    axis: int


@public("keras.losses")
@loss_function
def categorical_crossentropy(
    y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1
):
    """Crossentropy with targets that are distributions (one-hot, usually).

    Args:
        y_true, y_pred: arrays of the same shape, (..., C).
        from_logits: whether y_pred are logits rather than probabilities.
        label_smoothing: 0.1 takes 0.1 from the targets and shares it among the C
            classes. NB: C is always the length of the last axis.
        axis: the axis of the classes.

    Output shape:
        That of y_pred without `axis`.

    **Formula** `-sum(y_true * log(q))`. From logits, q is their softmax; else it is
    `p = y_pred / sum(y_pred)` clipped to [epsilon, 1 - epsilon].

    **Gradient** from logits `dy_pred = dvalue * (softmax - y_true)`. NB: TensorFlow
    takes for granted that y_true sums to 1. From probabilities with `dp = -dvalue *
    y_true / q`, 0 where clipped, `dy_pred = (dp - sum(dp * p)) / sum(y_pred)`.

    **Keeps** the targets and the softmax, or p, its slope and the sum.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.6931], dtype=float32)
    """
    axis = checked_axis(y_pred, axis, "categorical_crossentropy")
    y_true, y_pred = matched_shapes(
        y_true,
        y_pred,
        " For integer labels use sparse_categorical_crossentropy.",
    )
    if label_smoothing:
        share = label_smoothing / y_true.shape[-1]
        y_true = y_true * (1.0 - label_smoothing) + share
    if from_logits:
        log_p, p = _log_softmax(y_pred, axis)
        values = -(y_true * log_p).sum(axis=axis)
        return values, CategoricalResiduals(y_true, p, None, None, axis)
    total = y_pred.sum(axis=axis, keepdims=True)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # total 0 gives NaN, as it must
        p = y_pred / total
    q, inside = clip_probabilities(p)
    slope = gate(inside, -y_true / q)
    values = -(y_true * np.log(q)).sum(axis=axis)
    return values, CategoricalResiduals(y_true, p, slope, total, axis)


@categorical_crossentropy.gradient
def _(dvalues, residuals):
    y_true, p, slope, total, axis = residuals
    dvalues = np.expand_dims(dvalues, axis)
    if slope is None:  # -sum(y_true * log(softmax(y_pred)))
        return dvalues * (p - y_true)
    dp = dvalues * slope  # -sum(y_true * log(clip(p)))
    # p = y_pred / sum(y_pred)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (dp - (dp * p).sum(axis=axis, keepdims=True)) / total


def checked_axis(y_pred: np.ndarray, axis: Any, function: str) -> int:
    """The axis, which must be an int; a warning if there is but one class."""
    if isinstance(axis, bool):
        raise ValueError(
            f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}"
        )
    if y_pred.ndim and y_pred.shape[-1] == 1:
        warn(
            f"{function} expects a column for each class, more than one. "
            f"Received: y_pred.shape={y_pred.shape}. With two classes in one column, "
            "use 'binary_crossentropy'.",
            SyntaxWarning,
        )
    return axis


class SparseResiduals(NamedTuple):
    """What `sparse_categorical_crossentropy` keeps."""

    softmax: np.ndarray  # (..., C)
    labels: np.ndarray  # (...)
    slope: np.ndarray | None  # d logits / d y_pred from probabilities
    valid: np.ndarray | None  # booleans; None: all


@public("keras.losses")
@loss_function
def sparse_categorical_crossentropy(
    y_true, y_pred, from_logits=False, ignore_class=None, axis=-1
):
    """Crossentropy with integer labels.

    Args:
        y_true: labels from 0 to C - 1, (...) or (..., 1). Fractions are cut off.
        y_pred: (..., C).
        from_logits: whether y_pred are logits rather than probabilities.
        ignore_class: a label that does not count, such as -1 or 255, or None.
        axis: the axis of the classes; only the last one, as in Keras on TensorFlow.

    Output shape:
        That of y_pred without the last axis.

    **Formula** `-log(softmax(z)[label])`; from probabilities, z is the logarithm of
    y_pred clipped to [epsilon, 1 - epsilon]

    **Gradient** `dz = dvalue * (softmax(z) - onehot(label))`; from probabilities,
    `dy_pred = dz / y_pred`, 0 where clipped. 0 where ignored.

    **Keeps** the softmax and the labels.

    Raises:
        ValueError: for a label out of range, naming the first.

    >>> sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [1.0, 0.0]]).round(4)
    array([0.6931, 0.    ], dtype=float32)
    """
    y_true, valid = _labels(y_true, y_pred, ignore_class, axis)
    if valid is not None:
        y_true = np.where(valid, y_true, 0)
        y_pred = np.where(valid[..., None], y_pred, 0)
    labels = _checked_labels(y_true, y_pred.shape[-1], ignore_class)
    slope = None
    logits = y_pred
    if not from_logits:
        clipped, inside = clip_probabilities(y_pred)
        logits, slope = np.log(clipped), gate(inside, 1 / clipped)
    log_p, softmax = _log_softmax(logits, -1)
    # (N, C) -> (N,): the entry of each row at its label
    rows = log_p.reshape(-1, log_p.shape[-1])
    values = -rows[np.arange(labels.size), labels.ravel()].reshape(labels.shape)
    if valid is not None:
        values = np.where(valid, values, 0)
    return values, SparseResiduals(softmax, labels, slope, valid)


@sparse_categorical_crossentropy.gradient
def _(dvalues, residuals):
    softmax, labels, slope, valid = residuals
    if valid is not None:
        dvalues = gate(valid, dvalues)
    dz = np.multiply(softmax, dvalues[..., None], order="C")
    rows = dz.reshape(-1, dz.shape[-1])  # (..., C) -> (N, C), a view
    rows[np.arange(labels.size), labels.ravel()] -= dvalues.ravel()
    return dz if slope is None else dz * slope  # z = log(clip(y_pred))


def _labels(
    y_true: np.ndarray, y_pred: Any, ignore_class: int | None, axis: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """(labels without the last 1, where they are valid), shapes checked."""
    if axis not in (-1, y_pred.ndim - 1):
        raise ValueError(
            "sparse_categorical_crossentropy supports only the last axis, axis=-1. "
            f"Received: axis={axis} and y_pred.shape={y_pred.shape}"
        )
    if y_true.ndim == y_pred.ndim and y_true.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]  # (..., 1) -> (...)
    if y_pred.ndim < 1 or y_true.shape != y_pred.shape[:-1]:
        hint = ""
        if y_true.shape == y_pred.shape:
            hint = " For one-hot targets use categorical_crossentropy."
        raise ValueError(
            "`y_true` must have the shape of `y_pred` without the last axis. Received: "
            f"y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}.{hint}"
        )
    if ignore_class is None:
        return y_true, None
    return y_true, y_true != ignore_class


def _checked_labels(
    y_true: np.ndarray, classes: int, ignore_class: int | None
) -> np.ndarray:
    wrong = ~((y_true > -1) & (y_true < classes))  # NaN is wrong too
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        label = y_true[index]
        label = int(label) if label == np.trunc(label) else float(label)
        hint = "" if ignore_class is not None else " (or set `ignore_class`)"
        raise ValueError(
            f"sparse_categorical_crossentropy: label {label} at index {index} of "
            f"`y_true` is outside the valid range [0, {classes}): `y_pred` has "
            f"{classes} classes. Relabel the data or give the model more outputs{hint}."
        )
    return y_true.astype(np.int64)


def _values_mask(y_true, y_pred, ignore_class=None, axis=-1, **_):
    return _labels(y_true, y_pred, ignore_class, axis)[1]


categorical_crossentropy.logits_of = "softmax"
sparse_categorical_crossentropy.logits_of = "softmax"
sparse_categorical_crossentropy.values_mask = _values_mask


@public("keras.losses")
class CategoricalCrossentropy(LossFunctionWrapper):
    """`categorical_crossentropy` as a Loss.

    Args:
        from_logits, label_smoothing, axis: as in the function.
        reduction, name, dtype: as in `Loss`.

    >>> loss = CategoricalCrossentropy(from_logits=True)
    >>> loss([[0.0, 1.0]], [[3.0, 3.0]]).round(4)
    np.float32(0.6931)
    """

    config_keys: ClassVar = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@public("keras.losses")
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy` as a Loss; ignored labels count as masked.

    Args:
        from_logits, ignore_class, axis: as in the function. NB: Keras leaves `axis`
            out of the config.
        reduction, name, dtype: as in `Loss`.

    >>> loss = SparseCategoricalCrossentropy(ignore_class=-1)
    >>> loss([0, -1], [[0.5, 0.5], [0.9, 0.1]]).round(4)
    np.float32(0.6931)
    """

    config_keys: ClassVar = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
