"""Overlap of two sets, as a loss: Dice and Tversky, used for segmentation."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras import config
from minikeras.losses.function import LossFunctionWrapper, loss_function, matched
from minikeras.registry import public


class OverlapResiduals(NamedTuple):
    """What `dice` and `tversky` keep."""

    y_true: np.ndarray
    above: np.ndarray  # the numerator of each value
    below: np.ndarray  # its denominator
    axis: Any


def _expand(values: np.ndarray, axis: Any) -> np.ndarray:
    """Puts the summed axes back as axes of length 1."""
    if axis is None:
        return values
    return np.expand_dims(values, axis)


@public("keras.losses")
@loss_function
def dice(y_true, y_pred, axis=None):
    """One minus the Dice coefficient, which is 1 if the two sets are the same.

    Args:
        y_true, y_pred: arrays of the same shape.
        axis: the axis or axes of the sums; None: all of them, for one value in all.

    Output shape:
        That of y_pred without `axis`; () for None.

    **Formula** `1 - 2 * sum(t * p) / (sum(t) + sum(p) + epsilon)`

    **Gradient** with value `1 - a / b`: `dp = dvalue * (a / b - 2 * t) / b`

    **Keeps** t, a and b.

    Reference: Milletari et al., "V-Net" (2016), section 3.

    >>> dice([[1.0, 0.0]], [[0.5, 0.5]]).round(4)
    np.float32(0.5)
    """
    y_true, y_pred = matched(y_true, y_pred)
    above = 2.0 * (y_true * y_pred).sum(axis=axis)
    epsilon = y_pred.dtype.type(config.epsilon())
    below = y_true.sum(axis=axis) + y_pred.sum(axis=axis) + epsilon
    residuals = OverlapResiduals(y_true, above, below, axis)
    return 1 - above / below, residuals


@dice.gradient
def _(dvalues, residuals):
    y_true, above, below, axis = residuals
    dvalues, above, below = (_expand(a, axis) for a in (dvalues, above, below))
    # 1 - above / below; above = 2 * sum(t * p), below = sum(t) + sum(p) + epsilon
    return dvalues * (above / below - 2 * y_true) / below


class TverskyResiduals(NamedTuple):
    """What `tversky` keeps."""

    overlap: OverlapResiduals
    alpha: float
    beta: float


@public("keras.losses")
@loss_function
def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """One minus the Tversky index: Dice with two weights for the two kinds of error.

    Args:
        y_true, y_pred: arrays of the same shape.
        alpha: weight of `sum(t * (1 - p))`. NB: Keras's docs call it the weight of
            false positives; it is that of what was missed.
        beta: weight of `sum((1 - t) * p)`.
        axis: the axis or axes of the sums; None: all of them, for one value in all.

    Output shape:
        That of y_pred without `axis`; () for None.

    **Formula** `1 - a / (a + alpha * sum((1 - p) * t) + beta * sum(p * (1 - t)) +
    epsilon)` with `a = sum(t * p)`

    **Gradient** with value `1 - a / b` and
    `db/dp = t - alpha * t + beta * (1 - t)`: `dp = dvalue * (a / b * db/dp - t) / b`

    **Keeps** t, a and b.

    Reference: Salehi et al., "Tversky loss function for image segmentation" (2017).

    >>> tversky([[1.0, 0.0]], [[0.5, 0.5]]).round(4)
    np.float32(0.5)
    """
    y_true, y_pred = matched(y_true, y_pred)
    above = (y_true * y_pred).sum(axis=axis)
    missed = ((1 - y_pred) * y_true).sum(axis=axis)
    invented = (y_pred * (1 - y_true)).sum(axis=axis)
    epsilon = y_pred.dtype.type(config.epsilon())
    below = above + missed * alpha + invented * beta + epsilon
    overlap = OverlapResiduals(y_true, above, below, axis)
    return 1 - above / below, TverskyResiduals(overlap, alpha, beta)


@tversky.gradient
def _(dvalues, residuals):
    (y_true, above, below, axis), alpha, beta = residuals
    dvalues, above, below = (_expand(a, axis) for a in (dvalues, above, below))
    # below = sum(t * p) + alpha * sum((1 - p) * t) + beta * sum(p * (1 - t)) + epsilon
    below_slope = y_true - alpha * y_true + beta * (1 - y_true)
    return dvalues * (above / below * below_slope - y_true) / below


dice.default_axis = tversky.default_axis = None


@public("keras.losses")
class Dice(LossFunctionWrapper):
    """`dice` as a Loss.

    Args:
        axis: as in the function.
        reduction, name, dtype: as in `Loss`.

    >>> Dice(axis=-1)([[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0]]).round(4)
    np.float32(0.25)
    """

    config_keys: ClassVar = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=_tuple(axis))


@public("keras.losses")
class Tversky(LossFunctionWrapper):
    """`tversky` as a Loss.

    Args:
        alpha, beta, axis: as in the function.
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        options = {"alpha": alpha, "beta": beta, "axis": _tuple(axis)}
        super().__init__(tversky, reduction, name, dtype, **options)


def _tuple(axis: Any) -> Any:
    """A config read from JSON has lists for tuples."""
    return tuple(axis) if isinstance(axis, list) else axis
