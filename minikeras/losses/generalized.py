"""Generalized crossentropy, which tolerates wrong labels."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.losses.function import LossFunctionWrapper, loss_function
from minikeras.registry import public


class GeneralizedResiduals(NamedTuple):
    """What `categorical_generalized_cross_entropy` keeps."""

    slope: np.ndarray  # d value / d p
    one_hot: np.ndarray  # (..., C)


@public("keras.losses")
@loss_function
def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """`(1 - p ** q) / q` of the probability p of the label.

    Args:
        y_true: integer labels, (...).
        y_pred: probabilities, (..., C).
        q: between 0 (crossentropy) and 1 (absolute error).

    Output shape:
        That of y_pred without the last axis.

    **Formula** `(1 - p^q) / q`. A label out of range has p = 0, as in Keras.

    **Gradient** `dp = -dvalue * p^(q-1)` for the label, 0 for the other classes

    **Keeps** the slope and the one-hot labels.

    Reference: Zhang and Sabuncu, "Generalized Cross Entropy Loss" (2018).

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)
    array([1.], dtype=float32)
    """
    labels = y_true.astype(np.int64)
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(
            "`y_true` must be integer labels, with the shape of `y_pred` without the "
            f"last axis. Received: y_true.shape={y_true.shape}, y_pred.shape="
            f"{y_pred.shape}"
        )
    one_hot = (labels[..., None] == np.arange(y_pred.shape[-1])).astype(y_pred.dtype)
    p = (y_pred * one_hot).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 - p**q) / q, GeneralizedResiduals(-(p ** (q - 1)), one_hot)


@categorical_generalized_cross_entropy.gradient
def _(dvalues, residuals):
    with np.errstate(invalid="ignore"):
        dp = dvalues * residuals.slope
        return dp[..., None] * residuals.one_hot  # p = sum(y_pred * one_hot)


@public("keras.losses")
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`categorical_generalized_cross_entropy` as a Loss.

    Args:
        q: as in the function.
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ValueError(f"q must be in the interval (0, 1). Received: q={q}")
        function = categorical_generalized_cross_entropy
        super().__init__(function, reduction, name, dtype, q=q)
