"""Crossentropy of independent yes/no decisions."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.losses.crossentropy import clip_probabilities
from minikeras.losses.function import (
    LossFunctionWrapper,
    loss_function,
    matched_shapes,
)
from minikeras.ops.stable import gate, logistic
from minikeras.registry import public


class BinaryResiduals(NamedTuple):
    """What `binary_crossentropy` keeps."""

    slope: np.ndarray  # d term / d y_pred, element by element
    axis: Any


@public("keras.losses")
@loss_function
def binary_crossentropy(
    y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1
):
    """Mean crossentropy of yes/no predictions along the last axis.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).
        from_logits: whether y_pred are logits rather than probabilities.
        label_smoothing: 0.1 makes 0 and 1 into 0.05 and 0.95.
        axis: the axis (or tuple of axes) of the mean.

    Output shape:
        That of y_pred without `axis`.

    **Formula** the mean of `-(t * log(p) + (1 - t) * log(1 - p))`, with p clipped to
    [epsilon, 1 - epsilon]; from logits x, of
    `max(x, 0) - x * t + log(1 + exp(-|x|))`, which is the same for `p = sigmoid(x)`

    **Gradient** `dy_pred = dvalue / D * ((1 - t) / (1 - p) - t / p)`, 0 where p was
    clipped; from logits `dvalue / D * (sigmoid(x) - t)`

    **Keeps** the slope of each term.

    >>> binary_crossentropy([[1.0, 0.0]], [[0.5, 0.75]]).round(4)
    array([1.0397], dtype=float32)
    """
    y_true, y_pred = matched_shapes(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        tail = np.log1p(np.exp(-np.abs(y_pred)))
        terms = np.maximum(y_pred, 0) - y_pred * y_true + tail
        slope = logistic(y_pred) - y_true
        return terms.mean(axis=axis), BinaryResiduals(slope, axis)
    p, inside = clip_probabilities(y_pred)
    q = 1 - p
    terms = -(y_true * np.log(p) + (1 - y_true) * np.log(q))
    slope = gate(inside, (1 - y_true) / q - y_true / p)
    return terms.mean(axis=axis), BinaryResiduals(slope, axis)


@binary_crossentropy.gradient
def _(dvalues, residuals):
    slope, axis = residuals
    count = slope.size / max(dvalues.size, 1)  # terms in each mean
    dterms = dvalues / count
    dterms = dterms[..., None] if axis == -1 else np.expand_dims(dterms, axis)
    return dterms * slope


binary_crossentropy.logits_of = "sigmoid"


@public("keras.losses")
class BinaryCrossentropy(LossFunctionWrapper):
    """`binary_crossentropy` as a Loss.

    Args:
        from_logits, label_smoothing, axis: as in the function.
        reduction, name, dtype: as in `Loss`.

    >>> BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]).round(4)
    np.float32(0.6931)
    """

    config_keys: ClassVar = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
