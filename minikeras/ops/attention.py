"""Attention: scores of queries and keys, their softmax, and a mean of values.

Arrays are (..., T, D) for queries and (..., S, D) for keys and values; scores and
weights are (..., T, S): how much query t looks at value s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class SoftmaxResiduals(NamedTuple):
    """Kept by `masked_softmax`.

    Attributes:
        weights: the softmax, before anything was set to zero.
        mask: booleans that broadcast to the weights, or None.
        zeroed: whether the weights are 0 where the mask is False.
    """

    weights: np.ndarray
    mask: np.ndarray | None
    zeroed: bool


def masked_softmax(
    scores: np.ndarray,
    mask: np.ndarray | None = None,
    fill: float = -1e9,
    zeroed: bool = False,
) -> tuple[np.ndarray, SoftmaxResiduals]:
    """The softmax over the last axis, of what a mask leaves.

    Args:
        scores: (..., T, S).
        mask: broadcasts to scores; where False, the score is `fill`.
        zeroed: whether the result is 0 there; this differs from a very small number
            only where a whole row is masked, whose softmax is 1 / S everywhere.

    **Formula** `weights = exp(scores) / sum(exp(scores))`, the largest score of a row
    being subtracted first, which changes nothing but keeps exp from overflowing.

    **Gradient** `dscores = weights * (dweights - sum(dweights * weights))`: raising one
    score raises its weight and lowers all others of the row in proportion to them. 0
    where the mask is False.

    **Keeps** the weights.

    >>> masked_softmax(np.zeros((1, 2)), np.array([[True, False]]))[0]
    array([[1., 0.]])
    """
    if mask is not None:
        scores = np.where(mask, scores, scores.dtype.type(fill))
    weights = scores - scores.max(axis=-1, keepdims=True, initial=-np.inf)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    residuals = SoftmaxResiduals(weights, mask, zeroed)
    if mask is not None and zeroed:
        weights = np.where(mask, weights, scores.dtype.type(0))
    return weights, residuals


def masked_softmax_grad(
    dweights: np.ndarray, residuals: SoftmaxResiduals
) -> np.ndarray:
    """The gradient of `masked_softmax` with respect to the scores."""
    weights, mask, zeroed = residuals
    zero = dweights.dtype.type(0)
    if mask is not None and zeroed:  # in forward: weights = where(mask, weights, 0)
        dweights = np.where(mask, dweights, zero)
    # in forward: weights = softmax(scores)
    common = np.einsum("...s,...s->...", dweights, weights)[..., None]
    dscores = dweights - common
    dscores *= weights
    if mask is not None:  # in forward: scores = where(mask, scores, fill)
        dscores = np.where(mask, dscores, zero)
    return dscores


def dot_scores(query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """How well each query fits each key: (..., T, D), (..., S, D) -> (..., T, S).

    **Formula** `scores = query @ key.T`

    **Gradient** `dquery = dscores @ key`, `dkey = dscores.T @ query`.
    """
    return query @ key.swapaxes(-1, -2)


def dot_scores_grad(
    dscores: np.ndarray, query: np.ndarray, key: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `dot_scores`: `dquery, dkey`."""
    # in forward: scores = query @ key.T
    return dscores @ key, dscores.swapaxes(-1, -2) @ query


def mean_of_values(weights: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The values' mean as each query weighs them: (..., T, S), (..., S, D) -> (..., T,
    D).

    **Formula** `y = weights @ value`

    **Gradient** `dweights = dy @ value.T`, `dvalue = weights.T @ dy`.
    """
    return weights @ value


def mean_of_values_grad(
    dy: np.ndarray, weights: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of `mean_of_values`: `dweights, dvalue`."""
    # in forward: y = weights @ value
    return dy @ value.swapaxes(-1, -2), weights.swapaxes(-1, -2) @ dy


class TanhScores(NamedTuple):
    """Kept by `tanh_scores`.

    Attributes:
        tanh: (..., T, S, D), the tanh of each pair.
        pairs: (..., T, S, D), what `inner` was multiplied with; None without it.
    """

    tanh: np.ndarray
    pairs: np.ndarray | None


def tanh_scores(
    query: np.ndarray, key: np.ndarray, outer: Any = None, inner: Any = None
) -> tuple[np.ndarray, TanhScores]:
    """Scores of additive attention: a small network for each pair of query and key.

    Args:
        query: (..., T, D).
        key: (..., S, D).
        outer: a number, or (D,), by which the tanh is multiplied; None: 1.
        inner: a number by which the sum is multiplied; None: 1.

    **Formula** `scores[t, s] = sum_d outer[d] * tanh(inner * (query[t, d] + key[s,
    d]))`

    **Gradient** with `du = dscores * outer * (1 - tanh**2)`, (..., T, S, D):

        dquery = inner * sum_s du            dkey = inner * sum_t du
        douter = sum dscores * tanh          dinner = sum du * (query + key)

    **Keeps** the tanh of all pairs: T * S * D numbers.

    Reference: Bahdanau, Cho and Bengio (2015), Neural machine translation by jointly
    learning to align and translate, arXiv:1409.0473.

    >>> tanh_scores(np.ones((1, 2)), -np.ones((1, 2)))[0]
    array([[0.]])
    """
    pairs = query[..., :, None, :] + key[..., None, :, :]  # (..., T, S, D)
    tanh = np.tanh(pairs if inner is None else inner * pairs)
    scores = tanh.sum(axis=-1) if np.ndim(outer) == 0 else tanh @ outer
    if outer is not None and np.ndim(outer) == 0:
        scores = outer * scores
    return scores, TanhScores(tanh, None if inner is None else pairs)


def tanh_scores_grad(
    dscores: np.ndarray, residuals: TanhScores, outer: Any = None, inner: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """The gradient of `tanh_scores`: `dquery, dkey, douter, dinner`."""
    tanh, pairs = residuals
    # in forward: scores = sum(outer * tanh)
    dtanh = dscores[..., None] * (1 if outer is None else outer)
    douter = dscores[..., None] * tanh
    if np.ndim(outer) == 0:
        douter = np.asarray(douter.sum())
    else:
        douter = douter.reshape(-1, tanh.shape[-1]).sum(axis=0)
    # in forward: tanh = np.tanh(inner * pairs)
    du = dtanh * (1 - tanh * tanh)
    dinner = None
    if inner is not None:
        dinner = np.asarray((du * pairs).sum())
        du = du * inner
    # in forward: pairs[t, s] = query[t] + key[s]
    return du.sum(axis=-2), du.sum(axis=-3), douter, dinner


def causal_mask(queries: int, values: int) -> np.ndarray:
    """(T, S): True where value s is not later than query t.

    >>> causal_mask(2, 3)
    array([[ True, False, False],
           [ True,  True, False]])
    """
    return np.tri(queries, values, dtype=bool)


def sliding_window_mask(queries: int, values: int, window: int) -> np.ndarray:
    """(T, S): True where `|t - s| < window`.

    >>> sliding_window_mask(2, 3, 2)
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    distance = np.arange(queries)[:, None] - np.arange(values)
    return np.abs(distance) < window


def combined_mask(
    sizes: tuple[int, int],
    query: Any = None,
    value: Any = None,
    key: Any = None,
    attention: Any = None,
    causal: bool = False,
    window: int | None = None,
) -> np.ndarray | None:
    """All masks as one, that broadcasts to (N, T, S); None if there are none.

    Args:
        sizes: (T, S).
        query, value, key: (N, T), (N, S), (N, S) or None: what counts at all.
        attention: (N, T, S) or None: what each query may look at.
        causal: whether `causal_mask` is among them.
        window: of `sliding_window_mask`; None: it is not among them.

    >>> combined_mask((1, 2), value=[[True, False]], causal=True)
    array([[[ True, False]]])
    """
    query, value, key, attention = (
        None if m is None else np.asarray(m).astype(bool)
        for m in (query, value, key, attention)
    )
    parts = [
        None if query is None else query[..., None],  # (N, T) -> (N, T, 1)
        None if value is None else value[..., None, :],  # (N, S) -> (N, 1, S)
        None if key is None else key[..., None, :],
        causal_mask(*sizes)[None] if causal else None,
        None if window is None else sliding_window_mask(*sizes, window)[None],
        attention,
    ]
    found = None
    for part in parts:
        if part is not None:
            found = part if found is None else found & part
    return found
