"""How values per example become one number: weights, masks and the denominator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minikeras.registry import suggest

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def standardize_reduction(reduction: str | None) -> str | None:
    """Refuses an unknown `reduction`.

    >>> standardize_reduction("sum")
    'sum'
    """
    if reduction is not None and reduction not in REDUCTIONS:
        hint = (
            " The 'auto' of old Keras versions is 'sum_over_batch_size'."
            if reduction == "auto"
            else suggest(reduction, REDUCTIONS)
        )
        raise ValueError(
            "Invalid value for argument `reduction`. Expected one of "
            f"{REDUCTIONS} or None. Received: reduction={reduction}.{hint}"
        )
    return reduction


def squeeze_or_expand_to_same_rank(
    x1: np.ndarray, x2: np.ndarray, expand_rank_1: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Adds or drops a last axis of length 1 where two ranks differ by one.

    (N,) beside (N, 1) becomes (N, 1); otherwise the longer shape loses its last 1:
    (N, T) beside (N, T, 1) leaves (N, T) twice. Shapes that fit neither rule stay.

    >>> a, b = squeeze_or_expand_to_same_rank(np.ones(3), np.ones((3, 1)))
    >>> a.shape, b.shape
    ((3, 1), (3, 1))
    """
    if x1.ndim == x2.ndim + 1:
        x2, x1 = squeeze_or_expand_to_same_rank(x2, x1, expand_rank_1)
    elif x2.ndim == x1.ndim + 1 and x2.shape[-1] == 1:
        if x1.ndim == 1 and expand_rank_1:
            x1 = x1[:, None]  # (N,) -> (N, 1)
        else:
            x2 = x2[..., 0]  # (..., 1) -> (...)
    return x1, x2


def merge_weights(sample_weight: Any, mask: Any, dtype: str) -> np.ndarray | None:
    """`sample_weight * mask` as floats; None if there is neither."""
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype)
    if mask is None:
        return sample_weight
    valid = np.asarray(mask, bool).astype(dtype)
    if sample_weight is None:
        return valid
    valid, sample_weight = squeeze_or_expand_to_same_rank(valid, sample_weight)
    _check(sample_weight, valid, "`sample_weight`", "the mask")
    return sample_weight * valid


def align_weights(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and weights in shapes that broadcast, or a ValueError."""
    if weights is None:
        return values, None
    values, weights = squeeze_or_expand_to_same_rank(values, weights)
    _check(values, weights, "the loss values", "`sample_weight`")
    return values, weights


def _check(a: np.ndarray, b: np.ndarray, name_a: str, name_b: str) -> None:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"The shapes of {name_a} and {name_b} do not fit together. Received: "
            f"{a.shape} and {b.shape}. There is one loss value for each vector along "
            "the last axis of `y_pred`, and weights must broadcast to these values."
        ) from None


def denominator_of(
    reduction: str | None,
    shape: tuple[int, ...],
    weights: np.ndarray | None,
    mask: Any,
) -> float:
    """The number that the weighted sum is divided by.

    - `"sum"`: 1.
    - `"sum_over_batch_size"`, `"mean"`: the number of values, **not** the sum of the
      sample weights; with a mask, the number of valid values.
    - `"mean_with_sample_weight"`: the sum of weights (and mask); without, as `"mean"`.

    NB: Keras divides by the number of values always and multiplies a mask by
    total / valid beforehand; the quotient is the same. If nothing is valid it is 0,
    and then so is the loss.

    Args:
        shape: of the weighted values of the whole batch.
        weights: sample weights times mask, or None.
        mask: the mask, or None.
    """
    if reduction == "sum":
        return 1.0
    if reduction == "mean_with_sample_weight" and weights is not None:
        return float(weights.sum(dtype=np.float64))
    count = float(math.prod(shape))
    if mask is not None and reduction != "mean_with_sample_weight":
        mask = np.asarray(mask, bool)
        count = count * int(np.count_nonzero(mask)) / max(mask.size, 1)
    return count
