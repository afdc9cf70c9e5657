"""The attention of all heads at once, over any axes, and its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.inner_calls import InnerCall, Penalties
from minikeras.ops.attention import (
    SoftmaxResiduals,
    dot_scores,
    dot_scores_grad,
    masked_softmax,
    masked_softmax_grad,
    mean_of_values,
    mean_of_values_grad,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class HeadsResiduals(NamedTuple):
    """Kept by `attend_heads`.

    Attributes:
        query, key, value: with the attended axes as one: (N, ..., H, T, K).
        softmax: what the softmax kept.
        weights: after dropout, (N, ..., H, T, S).
        dropout: what the dropout kept.
        axes: the attended axes.
        shapes: of query, key, value and of the returned weights, as they came.
    """

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    softmax: SoftmaxResiduals
    weights: np.ndarray
    dropout: Any
    axes: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]


class _Fields(NamedTuple):
    projections: dict[str, InnerCall]
    output: InnerCall
    heads: HeadsResiduals
    gate: tuple[np.ndarray, np.ndarray] | None
    key_given: bool
    two: bool


class MultiHeadAttentionResiduals(Penalties, _Fields):
    """What `MultiHeadAttention.backward` needs.

    Attributes:
        projections: the calls of the dense layers of query, key, value (and gate).
        output: the call of `output_dense`.
        heads: what the attention kept.
        gate: with `use_gate`: the attention's output and the gate.
        key_given: whether the call had a `key`.
        two: whether the output was a pair with the scores.
    """

    @property
    def inner_calls(self) -> list[InnerCall]:
        """Those of all dense layers."""
        return [*self.projections.values(), self.output]


def attend_heads(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    axes: tuple[int, ...],
    mask: np.ndarray | None,
    *,
    zeroed: bool,
    dropout: Any = None,
) -> tuple[tuple[np.ndarray, np.ndarray], HeadsResiduals]:
    """`(y, weights), residuals`.

    Args:
        query: (N, ..., H, K): one axis of heads, one of features; `axes` among the
            others are attended over, the rest are more examples. Already scaled.
        key, value: likewise.
        axes: from 1 up.
        mask: broadcasts to (N, ..., T, S), or has an axis for the heads too.
        zeroed: see `masked_softmax`.
        dropout: a `Dropout` layer for the weights; None: none.

    **Formula** `y = dropout(softmax(query @ key.T)) @ value`, for each head.
    """
    q, k, v = (_heads_first(x, axes) for x in (query, key, value))
    scores = dot_scores(q, k)  # (N, ..., H, T, K), (N, ..., H, S, K) -> (..., T, S)
    batch = scores.shape[:-2]
    lengths = [tuple(x.shape[a] for a in axes) for x in (query, value)]
    full = (*batch, *lengths[0], *lengths[1])
    if mask is not None:
        mask = _for_heads(mask, len(full), lengths)
    # NB: Keras's fused way fills with a number that is lower still.
    weights, softmax = masked_softmax(scores, mask, -1e9 if zeroed else -2e38, zeroed)
    returned, kept = weights.reshape(full), None
    if dropout is not None:
        weights, kept = dropout.forward(weights, training=True)
    y = mean_of_values(weights, v)  # (..., T, S) @ (..., S, V)
    shapes = (query.shape, key.shape, value.shape)
    residuals = HeadsResiduals(q, k, v, softmax, weights, kept, axes, shapes)
    return (_heads_back(y, axes, query.shape), returned), residuals


def attend_heads_grad(
    dy: np.ndarray | None,
    d_returned: np.ndarray | None,
    residuals: HeadsResiduals,
    dropout: Any,
    grads: Gradients,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `attend_heads`: `dquery, dkey, dvalue`.

    Args:
        dy: of y; None for none.
        d_returned: of the weights that were returned, which are those before dropout.
    """
    q, k, v, softmax, weights, kept, axes, shapes = residuals
    if dy is None:
        dweights, dv = np.zeros_like(weights), np.zeros_like(v)
    else:  # in forward: y = weights @ value
        dweights, dv = mean_of_values_grad(_heads_first(dy, axes), weights, v)
    if kept is not None:  # in forward: weights = dropout(weights)
        dweights = dropout.backward(dweights, kept, grads)
    if d_returned is not None:
        dweights = dweights + d_returned.reshape(dweights.shape)
    # in forward: weights = softmax(scores); scores = query @ key.T
    dq, dk = dot_scores_grad(masked_softmax_grad(dweights, softmax), q, k)
    parts = zip((dq, dk, dv), shapes, strict=True)
    return tuple(_heads_back(d, axes, shape) for d, shape in parts)


def _order(rank: int, axes: tuple[int, ...]) -> list[int]:
    """The axes in the order examples, heads, attended, features."""
    others = [i for i in range(rank - 1) if i not in axes]
    return [*others, *axes, rank - 1]


def _heads_first(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(N, T, H, K) -> (N, H, T, K), several attended axes as one; a view of one."""
    order = _order(x.ndim, axes)
    count = x.ndim - 1 - len(axes)
    x = x.transpose(order)
    if len(axes) == 1:
        return x
    length = math.prod(x.shape[count:-1])
    return x.reshape(*x.shape[:count], length, x.shape[-1])


def _heads_back(
    x: np.ndarray, axes: tuple[int, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """Undoes `_heads_first`, for an array of this shape but for the last axis."""
    order = _order(len(shape), axes)
    x = x.reshape(*(shape[i] for i in order[:-1]), x.shape[-1])
    # Contiguous: the dense layers read it three times, as rows.
    return np.ascontiguousarray(x.transpose(np.argsort(order)))


def _for_heads(
    mask: np.ndarray, rank: int, lengths: list[tuple[int, ...]]
) -> np.ndarray:
    """The mask with axes of 1 before the attended ones, which become one each."""
    attended = len(lengths[0]) + len(lengths[1])
    for _ in range(rank - mask.ndim):
        # NB: Keras puts the new axis where the heads are.
        mask = np.expand_dims(mask, max(mask.ndim - attended, 0))
    if attended == 2:
        return mask
    # (..., 1 or t1, 1 or t2, 1 or s1, 1 or s2) -> (..., T, S)
    front = mask.shape[: rank - attended]
    mask = np.broadcast_to(mask, (*front, *lengths[0], *lengths[1]))
    return mask.reshape(*front, math.prod(lengths[0]), math.prod(lengths[1]))
