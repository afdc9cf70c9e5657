"""Focal crossentropies, which weigh down the examples that are already right."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.losses.crossentropy import checked_axis, clip_probabilities
from minikeras.losses.function import (
    LossFunctionWrapper,
    loss_function,
    matched_shapes,
)
from minikeras.losses.loss import Loss
from minikeras.ops.stable import gate, logistic
from minikeras.registry import public


class SlopeResiduals(NamedTuple):
    """What a loss of independent terms keeps."""

    slope: np.ndarray  # d term / d y_pred, element by element
    axis: Any


def _power(base: np.ndarray, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """(base ** exponent, its derivative), without NumPy's warnings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return base**exponent, exponent * base ** (exponent - 1)


@public("keras.losses")
@loss_function
def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Crossentropy of yes/no predictions, times `(1 - p_t) ** gamma`.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).
        apply_class_balancing: whether to weigh the ones with `alpha` and the zeros
            with `1 - alpha`.
        alpha: that weight.
        gamma: how much the easy examples are weighed down; 0 is no focus at all.
        from_logits: whether y_pred are logits rather than probabilities.
        label_smoothing: 0.1 makes 0 and 1 into 0.05 and 0.95.
        axis: the axis (or tuple of axes) of the mean.

    Output shape:
        That of y_pred without `axis`.

    **Formula** the mean of `w * (1 - p_t)^gamma * bce`, with
    `p_t = t*p + (1-t)*(1-p)` the probability of the right answer and `bce` the term of
    `binary_crossentropy`. From logits x, `p = sigmoid(x)` and bce is computed from x.

    **Gradient** a product has two:
    `dterm/dp = w * ((1-p_t)^gamma * dbce/dp - gamma*(1-p_t)^(gamma-1)*(2t-1) * bce)`.
    From logits, `dbce/dx = p - t`, and the second part gets a factor
    `dp/dx = p*(1-p)`.

    **Keeps** the slope of each term.

    Reference: Lin et al., "Focal Loss for Dense Object Detection" (2017).

    >>> binary_focal_crossentropy([[1.0, 0.0]], [[0.5, 0.75]]).round(4)
    array([0.4765], dtype=float32)
    """
    t, y_pred = matched_shapes(y_true, y_pred)
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        tail = np.log1p(np.exp(-np.abs(y_pred)))
        terms = np.maximum(y_pred, 0) - y_pred * t + tail
        p = logistic(y_pred)
        terms_slope, p_slope = p - t, p * (1 - p)
    else:
        p, p_slope = y_pred, 1
        clipped, inside = clip_probabilities(p)
        terms = -(t * np.log(clipped) + (1 - t) * np.log(1 - clipped))
        terms_slope = gate(inside, (1 - t) / (1 - clipped) - t / clipped)
    p_t = t * p + (1 - t) * (1 - p)
    focus, focus_slope = _power(1 - p_t, gamma)
    values = focus * terms
    slope = focus * terms_slope - terms * focus_slope * (2 * t - 1) * p_slope
    if apply_class_balancing:
        weight = t * alpha + (1 - t) * (1 - alpha)
        values, slope = weight * values, weight * slope
    return values.mean(axis=axis), SlopeResiduals(slope, axis)


@binary_focal_crossentropy.gradient
def _(dvalues, residuals):
    slope, axis = residuals
    count = slope.size / max(dvalues.size, 1)  # terms in each mean
    return np.expand_dims(dvalues / count, axis) * slope


binary_focal_crossentropy.logits_of = "sigmoid"


class CategoricalFocalResiduals(NamedTuple):
    """What `categorical_focal_crossentropy` keeps."""

    p: np.ndarray  # y_pred / total, not clipped
    slope: np.ndarray  # d value / d p
    total: np.ndarray  # the sum of the probabilities
    softmax: np.ndarray | None  # from logits
    axis: int


@public("keras.losses")
@loss_function
def categorical_focal_crossentropy(
    y_true,
    y_pred,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Crossentropy of classes, each term times `alpha * (1 - p) ** gamma`.

    Args:
        y_true, y_pred: arrays of the same shape, (..., C).
        alpha: a weight, a number or one for each class.
        gamma: how much the easy examples are weighed down.
        from_logits: whether y_pred are logits rather than probabilities.
        label_smoothing: as in `categorical_crossentropy`.
        axis: the axis of the classes.

    Output shape:
        That of y_pred without `axis`.

    **Formula** `-sum(alpha * (1 - q)^gamma * y_true * log(q))`, with q the
    probabilities (the softmax of logits) divided by their sum and clipped to
    [epsilon, 1 - epsilon]

    **Gradient** `dq = -dvalue * alpha * y_true *
    ((1-q)^gamma / q - gamma * (1-q)^(gamma-1) * log(q))`, 0 where clipped; then as in
    `categorical_crossentropy` through the division and, from logits, the softmax.

    **Keeps** p, its slope and the sum; the softmax if from logits.

    Reference: Lin et al., "Focal Loss for Dense Object Detection" (2017).

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    array([0.0433], dtype=float32)
    """
    axis = checked_axis(y_pred, axis, "categorical_focal_crossentropy")
    y_true, y_pred = matched_shapes(y_true, y_pred)
    if label_smoothing:
        share = label_smoothing / y_true.shape[-1]
        y_true = y_true * (1.0 - label_smoothing) + share
    softmax = None
    if from_logits:
        y_pred = np.exp(y_pred - y_pred.max(axis=axis, keepdims=True))
        softmax = y_pred = y_pred / y_pred.sum(axis=axis, keepdims=True)
    total = y_pred.sum(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):  # total 0 gives NaN
        p = y_pred / total
    q, inside = clip_probabilities(p)
    weighted = y_true * np.asarray(alpha, y_pred.dtype)
    focus, focus_slope = _power(1 - q, gamma)
    log_q = np.log(q)
    values = -(weighted * focus * log_q).sum(axis=axis)
    slope = gate(inside, weighted * (focus_slope * log_q - focus / q))
    return values, CategoricalFocalResiduals(p, slope, total, softmax, axis)


@categorical_focal_crossentropy.gradient
def _(dvalues, residuals):
    p, slope, total, softmax, axis = residuals
    dp = np.expand_dims(dvalues, axis) * slope
    # p = y_pred / sum(y_pred)
    with np.errstate(invalid="ignore", divide="ignore"):
        dy_pred = (dp - (dp * p).sum(axis=axis, keepdims=True)) / total
    if softmax is None:
        return dy_pred
    along = (dy_pred * softmax).sum(axis=axis, keepdims=True)
    return softmax * (dy_pred - along)  # y_pred = softmax(logits)


@public("keras.losses")
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`binary_focal_crossentropy` as a Loss.

    Args:
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis: as in
            the function.
        reduction, name, dtype: as in `Loss`.

    >>> BinaryFocalCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]).round(4)
    np.float32(0.1733)
    """

    config_keys: ClassVar = (
        "apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing",
        "axis",
    )  # fmt: skip

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def on_logits(self, activation: str, *shapes: Any, **kwargs: Any) -> Loss | None:
        """See `Loss.on_logits`. NB: with `from_logits=True`, Keras applies the sigmoid
        to the model's outputs whatever they are."""
        if self._fn_kwargs["from_logits"]:
            return None
        return super().on_logits(activation, *shapes, **kwargs)


@public("keras.losses")
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`categorical_focal_crossentropy` as a Loss.

    Args:
        alpha, gamma, from_logits, label_smoothing, axis: as in the function.
        reduction, name, dtype: as in `Loss`.

    >>> CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
    np.float32(0.0433)
    """

    config_keys: ClassVar = (
        "alpha", "gamma", "from_logits", "label_smoothing", "axis",
    )  # fmt: skip

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
