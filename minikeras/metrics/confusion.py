"""Counts of right and wrong yes/no decisions, at one threshold or at many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras import config
from minikeras.losses.reduction import squeeze_or_expand_to_same_rank
from minikeras.metrics.metric import Metric
from minikeras.ops.stable import as_array

NEVER = -1e10  # a prediction that is above no threshold
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class ConfusionCounts(NamedTuple):
    """Weighted counts, one for each threshold: (T,), or (T, L) for L labels apart."""

    true_positives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray
    false_negatives: np.ndarray


def as_thresholds(thresholds: Any, default: float = 0.5) -> list[Any]:
    """`thresholds` as a list, checked.

    >>> as_thresholds(None), as_thresholds(0.3), as_thresholds([0.2, 0.7])
    ([0.5], [0.3], [0.2, 0.7])
    """
    if thresholds is None:
        return [default]
    found = list(thresholds) if isinstance(thresholds, list | tuple) else [thresholds]
    bad = [t for t in found if t is None or t < 0 or t > 1]
    if bad:
        raise ValueError(f"Threshold values must be in [0, 1]. Received: {bad}")
    return found


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether they are 0, 1/n, 2/n, ..., 1, at least three of them."""
    count = len(thresholds)
    if count < 3:
        return False
    even = np.arange(count, dtype=np.float32) / (count - 1)
    return np.allclose(thresholds, even, atol=config.epsilon())


def confusion_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    *,
    dtype: str,
    sample_weight: Any = None,
    label_weights: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    even: bool | None = None,
) -> ConfusionCounts:
    """How often `y_pred > threshold` is right and wrong, for each threshold.

    Args:
        y_true: what is true; everything but 0 is a yes.
        y_pred: predictions from 0 to 1, (N, ..., L).
        thresholds: T numbers.
        dtype: in which everything is computed.
        sample_weight: a weight for each example (or value).
        label_weights: (L,), a weight for each label.
        top_k: only the k largest predictions of each example can be a yes.
        class_id: look at this column alone.
        multi_label: whether to count for each label (the last axis) apart.
        even: whether the thresholds are evenly spaced; None: look.
    """
    y_true, y_pred = as_array(y_true).astype(dtype), as_array(y_pred).astype(dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            "`y_true` and `y_pred` must have the same shape, up to a last axis of "
            f"length 1. Received: y_true.shape={y_true.shape}, y_pred.shape="
            f"{y_pred.shape}"
        )
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight).astype(dtype)[..., None]
        _, weights = squeeze_or_expand_to_same_rank(y_true, weights, False)
    if top_k is not None:
        y_pred = _only_top(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise ValueError(
                "When class_id is provided, y_pred must be a 2D array with shape "
                f"(num_samples, num_classes), found shape: {y_pred.shape}"
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    if label_weights is not None:
        label_weights = np.asarray(label_weights, dtype)
        weights = label_weights if weights is None else weights * label_weights
    if weights is None:
        weights = np.ones((), dtype)
    weights = np.broadcast_to(weights, y_pred.shape)
    rows = (-1, y_pred.shape[-1] if multi_label else 1)  # (N, ..., L) -> (N, L)
    yes, weights, y_pred = (a.reshape(rows) for a in (y_true != 0, weights, y_pred))
    positives = np.where(yes, weights, 0).astype(dtype)
    negatives = np.where(yes, 0, weights).astype(dtype)
    even = evenly_spaced(thresholds) if even is None else even
    count = _counts_in_buckets if even else _counts_above
    tp, fp = (count(y_pred, part, thresholds) for part in (positives, negatives))
    tn, fn = negatives.sum(axis=0) - fp, positives.sum(axis=0) - tp
    found = ConfusionCounts(tp, fp, tn, fn)
    return found if multi_label else ConfusionCounts(*(a[:, 0] for a in found))


def _only_top(y_pred: np.ndarray, k: int) -> np.ndarray:
    """The k largest of each row; the others become NEVER. Of equals, the first."""
    order = np.argsort(-y_pred, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(y_pred, NEVER)
    np.put_along_axis(kept, order, np.take_along_axis(y_pred, order, -1), -1)
    return kept


def _counts_above(
    y_pred: np.ndarray, weights: np.ndarray, thresholds: Sequence[float]
) -> np.ndarray:
    """The weights of all predictions above each threshold: (N, L) -> (T, L)."""
    limits = np.asarray(thresholds, y_pred.dtype)[:, None, None]
    return np.where(y_pred > limits, weights, 0).sum(axis=1).astype(y_pred.dtype)


def _counts_in_buckets(
    y_pred: np.ndarray, weights: np.ndarray, thresholds: Sequence[float]
) -> np.ndarray:
    """The same for evenly spaced thresholds, in O(N + T) steps.

    Prediction p is above the thresholds 0, ..., b with `b = ceil(p * (T - 1)) - 1`: add
    its weight to bucket b, then sum the buckets from the end. NB: rounding can place a
    p that equals a threshold on either side, as it does in Keras.
    """
    count = len(thresholds)
    scaled = np.clip(y_pred, 0, 1) * y_pred.dtype.type(count - 1)
    bucket = np.ceil(np.nan_to_num(scaled, nan=0.0)).astype(np.int64) - 1
    if thresholds[0] < 0 or thresholds[-1] > 1:  # the first is below 0: all are above
        bucket = np.maximum(bucket, 0)
    totals = np.zeros((count, y_pred.shape[1]), y_pred.dtype)
    for label in range(y_pred.shape[1]):
        inside = bucket[:, label] >= 0
        found = bucket[inside, label]
        totals[:, label] = np.bincount(found, weights[inside, label], count)
    return np.cumsum(totals[::-1], axis=0)[::-1]


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a / b`, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a * b), where=b != 0)


class ConfusionMetric(Metric):
    """A metric that is computed from such counts.

    Attributes:
        thresholds: list of numbers.
        counted: which counts it keeps, in the order of its variables.
    """

    counted: tuple[str, ...] = COUNTS
    thresholds: list[Any]
    top_k: int | None = None
    class_id: int | None = None
    _evenly_spaced: bool | None = None  # None: look

    def _add_counts(self, shape: Sequence[int]) -> None:
        for name in self.counted:
            setattr(self, name, self.add_variable(tuple(shape), "zeros", name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, 0 or 1 (or booleans).
            y_pred: predictions from 0 to 1, of the same shape.
            sample_weight: one weight per example or per value.
        """
        self._count(y_true, y_pred, sample_weight)

    def _count(
        self, y_true: Any, y_pred: Any, sample_weight: Any, **options: Any
    ) -> None:
        variables = self._variables_of_counts()
        counts = confusion_counts(
            y_true,
            y_pred,
            self.thresholds,
            dtype=next(iter(variables.values())).dtype,
            even=self._evenly_spaced,
            sample_weight=sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
            **options,
        )
        for name, variable in variables.items():
            variable.assign_add(getattr(counts, name))

    def _variables_of_counts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.counted}

    def _one_or_all(self, values: np.ndarray) -> Any:
        """A number if there is one threshold."""
        return values[0] if len(self.thresholds) == 1 else np.array(values)


def spread_thresholds(count: int) -> list[float]:
    """The inner ones of `count` evenly spaced thresholds from 0 to 1.

    >>> spread_thresholds(5)
    [0.25, 0.5, 0.75]
    """
    return [(i + 1) / (count - 1) for i in range(count - 2)]


def checked_share(name: str, value: float) -> float:
    """A number from 0 to 1, or a ValueError."""
    if not 0 <= value <= 1 or math.isnan(value):
        raise ValueError(
            f"Argument `{name}` must be in the range [0, 1]. Received: {name}={value}"
        )
    return value
