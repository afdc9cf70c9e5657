"""The circle loss: examples with the same label shall lie close together."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.losses.function import LossFunctionWrapper, loss_function
from minikeras.ops.stable import gate, log_one_plus_exp, logistic
from minikeras.registry import public


class CircleResiduals(NamedTuple):
    """What `circle` keeps."""

    slope: np.ndarray  # d value[i] / d cosine[i, j], (N, M)
    y_pred: np.ndarray  # (N, D)
    others: np.ndarray  # (M, D)
    same: bool  # others is y_pred


@public("keras.losses")
@loss_function
def circle(
    y_true,
    y_pred,
    ref_labels=None,
    ref_embeddings=None,
    remove_diagonal=True,
    gamma=80,
    margin=0.4,
):
    """The circle loss of embeddings of length 1.

    Args:
        y_true: integer labels, (N,) or (N, 1).
        y_pred: embeddings, (N, D), each of Euclidean length 1.
        ref_labels, ref_embeddings: what to compare with; None: the batch itself.
        remove_diagonal: whether an example is not compared with itself.
        gamma: the scale.
        margin: from 0 to 1; larger means stricter.

    Output shape:
        (N,); 0 for an example without a partner of the same label, or without one of
        another.

    **Formula** with the distances `d = max(1 - y_pred @ others.T, 0)`,
    `P = logsumexp(-gamma * (margin + d) * (margin - d))` over the partners of the same
    label and `N = logsumexp(gamma * max(1 + margin - d, 0) * (1 - margin - d))` over
    all other ones: `log(1 + exp(P + N))`

    **Gradient** each factor of the two products depends on d:
    `d/dd [-gamma*(m+d)*(m-d)] = 2*gamma*d` and
    `d/dd [gamma*(1+m-d)*(1-m-d)] = -2*gamma*(1-d)` (without the first factor's part
    where it is cut at 0); times `sigmoid(P + N)`, times the share (softmax) of the
    pair in its sum. Then through the product of matrices, once for each side.

    **Keeps** the slope of each value with respect to each cosine, and the embeddings.

    Reference: Sun et al., "Circle Loss" (2020), equation 6.
    """
    labels = y_true.astype(np.int32).reshape(-1)
    same = ref_embeddings is None
    others = y_pred if same else np.asarray(ref_embeddings, y_pred.dtype)
    other_labels = labels if ref_labels is None else _labels(ref_labels)
    if y_pred.ndim != 2 or len(labels) != len(y_pred):
        raise ValueError(
            "circle expects a label for each embedding: y_true of shape (N,) or (N, 1) "
            f"and y_pred of shape (N, D). Received: y_true.shape={y_true.shape}, "
            f"y_pred.shape={y_pred.shape}"
        )
    cosines = y_pred @ others.T  # (N, D) @ (D, M) -> (N, M)
    d = np.maximum(1 - cosines, 0)
    positive = labels[:, None] == other_labels
    negative = ~positive
    if remove_diagonal:
        positive = positive & ~np.eye(len(labels), len(other_labels), dtype=bool)
    p, p_share = _logsumexp(-1 * gamma * (margin + d) * (margin - d), positive)
    weight = np.maximum(1 + margin - d, 0)
    n, n_share = _logsumexp(gamma * weight * (1 - margin - d), negative)
    p_slope = gamma * 2 * d
    n_slope = -gamma * (weight + gate(1 + margin >= d, 1 - margin - d))
    share = p_share * p_slope + n_share * n_slope
    # values = log(1 + exp(p + n)), d = max(1 - cosines, 0)
    slope = -gate(cosines <= 1, logistic(p + n)[:, None] * share)
    return log_one_plus_exp(p + n), CircleResiduals(slope, y_pred, others, same)


@circle.gradient
def _(dvalues, residuals):
    slope, y_pred, others, same = residuals
    dcosines = dvalues[:, None] * slope
    dy_pred = dcosines @ others  # cosines = y_pred @ others.T
    return dy_pred + dcosines.T @ y_pred if same else dy_pred


def _labels(labels: Any) -> np.ndarray:
    return np.asarray(labels).astype(np.int32).reshape(-1)


def _logsumexp(z: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log of the sum of exp(z) over the valid ones of each row, their softmax)."""
    z = np.where(valid, z, -np.inf)
    top = z.max(axis=1, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    exponentials = np.exp(z - top)
    total = exponentials.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing valid: log(0)
        share = np.where(total > 0, exponentials / total, 0)
        return (top + np.log(total))[:, 0], share.astype(z.dtype)


def _valid(y_true: np.ndarray, y_pred: np.ndarray, **parameters: Any) -> np.ndarray:
    return circle(y_true, y_pred, **parameters) > 0


circle.values_mask = _valid
circle.couples = lambda y_true: True


@public("keras.losses")
class Circle(LossFunctionWrapper):
    """`circle` as a Loss; examples of value 0 count as masked.

    Args:
        gamma, margin, remove_diagonal: as in the function.
        reduction, name, dtype: as in `Loss`.
    """

    config_keys: ClassVar = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        super().__init__(
            circle,
            reduction,
            name,
            dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )
