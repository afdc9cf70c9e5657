"""Hinge losses: zero once a prediction is on the right side by a margin of one."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.losses.function import LossFunctionWrapper, loss_function, matched
from minikeras.registry import public


def convert_binary_labels(y_true: np.ndarray) -> np.ndarray:
    """Labels 0 and 1 become -1 and 1; anything else stays.

    NB: this looks at the whole batch: one label that is neither 0 nor 1 turns the
    conversion off for all of them.
    """
    if ((y_true == 0) | (y_true == 1)).all():
        return 2.0 * y_true - 1.0
    return y_true


def _couples(y_true: np.ndarray) -> bool:
    """Whether slices of these labels could be converted differently from the whole."""
    zeros = y_true == 0
    return bool(zeros.any() and not (zeros | (y_true == 1)).all())


class HingeResiduals(NamedTuple):
    """What the hinge losses keep."""

    y_true: np.ndarray  # labels -1 and 1
    margin: np.ndarray  # 1 - y_true * y_pred


@public("keras.losses")
@loss_function
def hinge(y_true, y_pred):
    """Mean of the shortfalls from the margin along the last axis.

    Args:
        y_true: labels -1 and 1, or 0 and 1; (..., D).
        y_pred: predictions, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean(max(1 - y_true * y_pred, 0))`

    **Gradient** `dy_pred = -dvalue / D * y_true where y_true * y_pred <= 1`; at the
    margin itself the gradient passes

    **Keeps** the labels and 1 - y_true * y_pred.

    >>> hinge([[0.0, 1.0]], [[0.5, 0.5]])
    array([1.], dtype=float32)
    """
    y_true, y_pred = matched(y_true, y_pred)
    y_true = convert_binary_labels(y_true)
    margin = 1.0 - y_true * y_pred
    return np.maximum(margin, 0).mean(axis=-1), HingeResiduals(y_true, margin)


@hinge.gradient
def _(dvalues, residuals):
    y_true, margin = residuals
    # max(1 - y_true * y_pred, 0)
    slope = np.where(margin >= 0, -y_true, 0)
    return (dvalues / margin.shape[-1])[..., None] * slope


@public("keras.losses")
@loss_function
def squared_hinge(y_true, y_pred):
    """Mean of the squared shortfalls from the margin along the last axis.

    Args:
        y_true: labels -1 and 1, or 0 and 1; (..., D).
        y_pred: predictions, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean(max(1 - y_true * y_pred, 0)^2)`

    **Gradient** `dy_pred = -dvalue * 2 / D * y_true * max(1 - y_true * y_pred, 0)`

    **Keeps** the labels and 1 - y_true * y_pred.

    >>> squared_hinge([[-1.0, 1.0]], [[0.5, 0.5]])
    array([1.25], dtype=float32)
    """
    y_true, y_pred = matched(y_true, y_pred)
    y_true = convert_binary_labels(y_true)
    margin = 1.0 - y_true * y_pred
    values = np.square(np.maximum(margin, 0)).mean(axis=-1)
    return values, HingeResiduals(y_true, margin)


@squared_hinge.gradient
def _(dvalues, residuals):
    y_true, margin = residuals
    # max(1 - y_true * y_pred, 0) ** 2
    slope = -y_true * np.maximum(margin, 0)
    return (dvalues * (2 / margin.shape[-1]))[..., None] * slope


hinge.couples = _couples
squared_hinge.couples = _couples


class CategoricalHingeResiduals(NamedTuple):
    """What `categorical_hinge` keeps."""

    y_true: np.ndarray
    wrong: np.ndarray  # (1 - y_true) * y_pred
    largest: np.ndarray  # (..., 1): its maximum
    margin: np.ndarray  # neg - pos + 1


@public("keras.losses")
@loss_function
def categorical_hinge(y_true, y_pred):
    """How far the right class is from leading the best wrong one by one.

    Args:
        y_true: one-hot labels, (..., D).
        y_pred: scores, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `max(neg - pos + 1, 0)` with `pos = sum(y_true * y_pred)` and
    `neg = max((1 - y_true) * y_pred)`

    **Gradient** where the loss is not clipped, `dpos = -dvalue` and `dneg = dvalue`;
    a maximum shares its gradient evenly among equal values.

    **Keeps** the labels, `(1 - y_true) * y_pred`, its maximum, and neg - pos + 1.

    >>> categorical_hinge([[0.0, 1.0, 0.0]], [[0.5, 1.0, 0.25]])
    array([0.5], dtype=float32)
    """
    y_true, y_pred = matched(y_true, y_pred)
    pos = (y_true * y_pred).sum(axis=-1)
    wrong = (1.0 - y_true) * y_pred
    largest = wrong.max(axis=-1, keepdims=True)
    margin = largest[..., 0] - pos + 1.0  # (..., 1) -> (...)
    residuals = CategoricalHingeResiduals(y_true, wrong, largest, margin)
    return np.maximum(margin, 0), residuals


@categorical_hinge.gradient
def _(dvalues, residuals):
    y_true, wrong, largest, margin = residuals
    dmargin = np.where(margin >= 0, dvalues, 0)[..., None]
    winners = (wrong == largest).astype(wrong.dtype)
    with np.errstate(invalid="ignore"):  # no winner beside a NaN: 0 / 0
        dwrong = dmargin * (winners / winners.sum(axis=-1, keepdims=True))
    # margin = max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1
    return dwrong * (1.0 - y_true) - dmargin * y_true


@public("keras.losses")
class Hinge(LossFunctionWrapper):
    """`hinge` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ):
        super().__init__(hinge, reduction, name, dtype)


@public("keras.losses")
class SquaredHinge(LossFunctionWrapper):
    """`squared_hinge` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(squared_hinge, reduction, name, dtype)


@public("keras.losses")
class CategoricalHinge(LossFunctionWrapper):
    """`categorical_hinge` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(categorical_hinge, reduction, name, dtype)
