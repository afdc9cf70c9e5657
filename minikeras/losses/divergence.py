"""Losses between distributions and rates: KL divergence and Poisson."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras import config
from minikeras.losses.function import LossFunctionWrapper, loss_function, matched
from minikeras.ops.stable import gate
from minikeras.registry import public


class SlopeResiduals(NamedTuple):
    """What these losses keep."""

    slope: np.ndarray  # d term / d y_pred, element by element


@public("keras.losses")
@loss_function
def kl_divergence(y_true, y_pred):
    """Kullback-Leibler divergence of the predicted from the true distribution.

    Args:
        y_true, y_pred: probabilities, (..., D). Both are clipped to [epsilon, 1].

    Output shape:
        (...,): one value for each distribution.

    **Formula** `sum(y_true * log(y_true / y_pred))`

    **Gradient** `dy_pred = -dvalue * y_true / y_pred`, and 0 where y_pred was clipped

    **Keeps** the slope of each term.

    >>> kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
    array([0.1438], dtype=float32)
    """
    y_true, y_pred = matched(y_true, y_pred)
    epsilon = config.epsilon()
    p = np.clip(y_pred, epsilon, 1)
    t = np.clip(y_true, epsilon, 1)
    passes = (y_pred >= y_pred.dtype.type(epsilon)) & (y_pred <= 1)
    slope = gate(np.broadcast_to(passes, np.broadcast_shapes(t.shape, p.shape)), -t / p)
    return (t * np.log(t / p)).sum(axis=-1), SlopeResiduals(slope)


@kl_divergence.gradient
def _(dvalues, residuals):
    return dvalues[..., None] * residuals.slope


@public("keras.losses")
@loss_function
def poisson(y_true, y_pred):
    """Negative log-likelihood of counts under predicted rates, without its constant.

    Args:
        y_true: counts, (..., D).
        y_pred: rates, positive, (..., D).

    Output shape:
        (...,): one value for each vector.

    **Formula** `mean(y_pred - y_true * log(y_pred + epsilon))`

    **Gradient** `dy_pred = dvalue / D * (1 - y_true / (y_pred + epsilon))`

    **Keeps** the slope of each term.

    >>> poisson([[2.0, 0.0]], [[1.0, 3.0]])
    array([1.9999999], dtype=float32)
    """
    y_true, y_pred = matched(y_true, y_pred)
    rate = y_pred + config.epsilon()
    with np.errstate(invalid="ignore", divide="ignore"):  # a negative rate gives NaN
        values = (y_pred - y_true * np.log(rate)).mean(axis=-1)
        return values, SlopeResiduals(1 - y_true / rate)


@poisson.gradient
def _(dvalues, residuals):
    return (dvalues / residuals.slope.shape[-1])[..., None] * residuals.slope


@public("keras.losses")
class KLDivergence(LossFunctionWrapper):
    """`kl_divergence` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(kl_divergence, reduction, name, dtype)


@public("keras.losses")
class Poisson(LossFunctionWrapper):
    """`poisson` as a Loss.

    Args:
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ):
        super().__init__(poisson, reduction, name, dtype)
