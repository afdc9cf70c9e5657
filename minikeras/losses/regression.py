"""Losses for regression: distances between numbers."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras import config
from minikeras.casting import cast
from minikeras.losses.function import LossFunctionWrapper, loss_function, matched_ranks
from minikeras.ops.stable import gate, log_one_plus_exp
from minikeras.registry import public


@public("keras.losses")
@loss_function
def mean_squared_error(y_true, y_pred):
    """Mean of the squared errors along the last axis.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean((y_pred - y_true)^2)`

    **Gradient** `dy_pred = dvalue * 2 * (y_pred - y_true) / D`

    **Keeps** the errors.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]])
    array([2.5], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    error = y_pred - y_true
    return (error * error).mean(axis=-1), error


@mean_squared_error.gradient
def _(dvalues, error):
    return (dvalues * (2 / error.shape[-1]))[..., None] * error


@public("keras.losses")
@loss_function
def mean_absolute_error(y_true, y_pred):
    """Mean of the absolute errors along the last axis.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean(|y_pred - y_true|)`

    **Gradient** `dy_pred = dvalue * sign(y_pred - y_true) / D`; 0 where they are equal

    **Keeps** the errors.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]])
    array([1.5], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    error = y_pred - y_true
    return np.abs(error).mean(axis=-1), error


@mean_absolute_error.gradient
def _(dvalues, error):
    return (dvalues / error.shape[-1])[..., None] * np.sign(error)


@public("keras.losses")
@loss_function
def mean_absolute_percentage_error(y_true, y_pred):
    """Mean of the absolute errors as percentages of the true values.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))`

    **Gradient** `dy_pred = dvalue * 100 / D * sign(y_pred - y_true) / max(|y_true|,
    epsilon)`; 0 where they are equal

    **Keeps** the slope of each term.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]])
    array([37.5], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    size = np.maximum(np.abs(y_true), config.epsilon())
    error = (y_pred - y_true) / size
    return 100.0 * np.abs(error).mean(axis=-1), np.sign(error) / size


@mean_absolute_percentage_error.gradient
def _(dvalues, slope):
    return (dvalues * (100.0 / slope.shape[-1]))[..., None] * slope


@public("keras.losses")
@loss_function
def mean_squared_logarithmic_error(y_true, y_pred):
    """Mean of the squared differences of log(1 + y).

    Args:
        y_true, y_pred: arrays of the same shape, (..., D). Values below epsilon count
            as epsilon.

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean((log(a) - log(b))^2)` with `a = max(y_pred, epsilon) + 1` and
    `b = max(y_true, epsilon) + 1`

    **Gradient** `dy_pred = dvalue * 2 / D * (log(a) - log(b)) / a where
    y_pred >= epsilon, 0 elsewhere`

    **Keeps** the slope of each term.

    >>> mean_squared_logarithmic_error([[0.0]], [[1.7182817]]).round(3)
    array([1.], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    epsilon = cast(config.epsilon(), y_pred.dtype)  # NB: Keras: through float32
    a = np.maximum(y_pred, epsilon) + 1.0
    error = np.log(a) - np.log(np.maximum(y_true, epsilon) + 1.0)
    return (error * error).mean(axis=-1), gate(y_pred >= epsilon, error / a)


@mean_squared_logarithmic_error.gradient
def _(dvalues, slope):
    return (dvalues * (2 / slope.shape[-1]))[..., None] * slope


class HuberResiduals(NamedTuple):
    """What `huber` keeps."""

    error: np.ndarray
    delta: float


@public("keras.losses")
@loss_function
def huber(y_true, y_pred, delta=1.0):
    """Squared error for small errors, absolute error for large ones.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).
        delta: where the parabola becomes a line.

    Output shape:
        (...,): one value for each vector.

    **Formula** with `e = y_pred - y_true`, the mean of `e^2 / 2 where |e| <= delta,
    delta * |e| - delta^2 / 2 elsewhere`; both are `c * (|e| - c / 2)` with
    `c = min(|e|, delta)`

    **Gradient** `dy_pred = dvalue / D * clip(e, -delta, delta)`

    **Keeps** the errors.

    Reference: Huber, 1964, Robust Estimation of a Location Parameter.

    >>> huber([[0.0, 0.0]], [[0.5, 2.5]])
    array([1.0625], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    delta = float(delta)
    error = y_pred - y_true
    size = np.abs(error)
    c = np.minimum(size, delta)
    values = c * (size - 0.5 * c)
    return values.mean(axis=-1), HuberResiduals(error, delta)


@huber.gradient
def _(dvalues, residuals):
    error, delta = residuals
    # the slope of e^2 / 2 is e, that of delta * |e| is delta * sign(e)
    slope = np.clip(error, -delta, delta)
    return (dvalues / error.shape[-1])[..., None] * slope


@public("keras.losses")
@loss_function
def log_cosh(y_true, y_pred):
    """Logarithm of the hyperbolic cosine of the error: a smooth absolute error.

    Args:
        y_true, y_pred: arrays of the same shape, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** with `e = y_pred - y_true`, `mean(log(cosh(e)))`, computed as
    `mean(e + softplus(-2 e) - log(2))`

    **Gradient** `dy_pred = dvalue / D * tanh(e)`

    **Keeps** the errors.

    >>> log_cosh([[0.0]], [[1.0]]).round(4)
    array([0.4338], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    error = y_pred - y_true
    # NB: Keras takes log(2) in float32, in float64 runs too.
    log_2 = cast(math.log(2.0), y_pred.dtype)
    return (error + log_one_plus_exp(-2.0 * error) - log_2).mean(axis=-1), error


@log_cosh.gradient
def _(dvalues, error):
    return (dvalues / error.shape[-1])[..., None] * np.tanh(error)


@public("keras.losses")
class MeanSquaredError(LossFunctionWrapper):
    """`mean_squared_error` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 3.0], [0.0, 0.0]])
    np.float32(1.25)
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(mean_squared_error, reduction, name, dtype)


@public("keras.losses")
class MeanAbsoluteError(LossFunctionWrapper):
    """`mean_absolute_error` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(mean_absolute_error, reduction, name, dtype)


@public("keras.losses")
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`mean_absolute_percentage_error` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@public("keras.losses")
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean_squared_logarithmic_error` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@public("keras.losses")
class Huber(LossFunctionWrapper):
    """`huber` as a Loss.

    Args:
        delta: where the parabola becomes a line. NB: Keras leaves it out of the config.
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=delta)


@public("keras.losses")
class LogCosh(LossFunctionWrapper):
    """`log_cosh` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ):
        super().__init__(log_cosh, reduction, name, dtype)
