"""The cosine of the angle between two vectors, as a loss."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras import config
from minikeras.losses.function import LossFunctionWrapper, loss_function, matched_ranks
from minikeras.registry import public


class CosineResiduals(NamedTuple):
    """What `cosine_similarity` keeps."""

    direction: np.ndarray  # y_true, normalized
    y_pred: np.ndarray
    inverse_norm: np.ndarray  # of y_pred, after clipping
    clipped: np.ndarray  # booleans: the norm was below epsilon
    axis: Any


@public("keras.losses")
@loss_function
def cosine_similarity(y_true, y_pred, axis=-1):
    """Minus the cosine of the angle: -1 for the same direction, 1 for the opposite.

    Args:
        y_true, y_pred: arrays of the same shape.
        axis: the axis along which the vectors lie.

    Output shape:
        That of y_pred without `axis`.

    **Formula** `-sum(t * p)` with `t = y_true / |y_true|` and `p = y_pred / |y_pred|`;
    1 / norm is at most 1 / epsilon, so the zero vector stays zero

    **Gradient** `dy_pred = -dvalue / |y_pred| * (t - p * sum(t * p))`: the part of t
    at right angles to p. A norm below epsilon is a constant: `-dvalue * t / epsilon`.

    **Keeps** t, y_pred and the inverse norm.

    >>> cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 3.0], [-2.0, 0.0]])
    array([-1.,  1.], dtype=float32)
    """
    y_true, y_pred = matched_ranks(y_true, y_pred)
    inverse_norm, clipped = _inverse_norm(y_pred, axis)
    direction = y_true * _inverse_norm(y_true, axis)[0]
    values = -(y_pred * inverse_norm * direction).sum(axis=axis)
    return values, CosineResiduals(direction, y_pred, inverse_norm, clipped, axis)


def _inverse_norm(x: np.ndarray, axis: Any) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore"):  # the zero vector: infinity, then clipped
        inverse = 1 / np.sqrt((x * x).sum(axis=axis, keepdims=True))
    largest = x.dtype.type(1.0 / config.epsilon())
    return np.minimum(inverse, largest), inverse > largest


@cosine_similarity.gradient
def _(dvalues, residuals):
    t, y_pred, inverse_norm, clipped, axis = residuals
    dvalues = np.expand_dims(dvalues, axis)
    p = y_pred * inverse_norm
    along = np.where(clipped, 0, (t * p).sum(axis=axis, keepdims=True))
    # -sum(t * y_pred * inverse_norm), where inverse_norm depends on y_pred too
    return -dvalues * inverse_norm * (t - p * along)


@public("keras.losses")
class CosineSimilarity(LossFunctionWrapper):
    """`cosine_similarity` as a Loss.

    Args:
        axis: the axis along which the vectors lie. NB: Keras leaves it out of the
            config.
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ()

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
