"""The area under a curve of rates over all thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config
from minikeras.metrics.confusion import (
    ConfusionMetric,
    evenly_spaced,
    ratio,
    spread_thresholds,
)
from minikeras.ops.stable import as_array, floats, logistic
from minikeras.registry import public, suggest

_CURVES = ("ROC", "PR", "PRGAIN")
_METHODS = ("interpolation", "majoring", "minoring")


@public("keras.metrics")
class AUC(ConfusionMetric):
    """The area under the ROC or the precision-recall curve, by a sum over thresholds.

    Args:
        num_thresholds: how many points of the curve to compute, more than 1.
        curve: `"ROC"` (true over false positive rate), `"PR"` (precision over recall)
            or `"PRGAIN"` (precision gain over recall gain).
        summation_method: `"interpolation"` (for ROC the trapezoidal rule, for PR that
            of Davis and Goadrich), `"minoring"` or `"majoring"` (the lower or the
            higher of two neighbouring points).
        name, dtype: see `Metric`.
        thresholds: the inner thresholds themselves, instead of a number of them.
        multi_label: whether each label (column) has a curve of its own; the result is
            then their mean.
        num_labels: how many, if known; only with `multi_label`.
        label_weights: a weight for each label: of its area with `multi_label`, else of
            its predictions.
        from_logits: whether predictions are logits, which a sigmoid is applied to.

    Reference: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC
    Curves" (2006); Flach and Kull, "Precision-Recall-Gain Curves" (2015).

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        inner: list[float]
        if thresholds is not None:
            inner = sorted(float(t) for t in thresholds)
            num_thresholds = len(inner) + 2
            even = evenly_spaced([0.0, *inner, 1.0])
        elif num_thresholds <= 1:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 1. Received: "
                f"num_thresholds={num_thresholds}"
            )
        else:
            inner, even = spread_thresholds(num_thresholds), True
        super().__init__(name=name, dtype=dtype)
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        self._evenly_spaced = even
        self._inner = inner if thresholds is not None else None
        self.num_thresholds = num_thresholds
        epsilon = config.epsilon()
        self.thresholds = [0.0 - epsilon, *inner, 1.0 + epsilon]
        self.curve = _choice("AUC curve", curve, _CURVES)
        method = _choice("AUC summation method", summation_method, _METHODS)
        self.summation_method = method
        self.multi_label = multi_label
        self.num_labels = num_labels
        if label_weights is not None:
            label_weights = np.asarray(label_weights, self.dtype)
        self.label_weights = label_weights
        self.from_logits = from_logits
        if not multi_label:
            self._add_counts((num_thresholds,))
        elif num_labels:
            self._add_counts((num_thresholds, num_labels))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account, see `ConfusionMetric`."""
        if not self._variables:  # multi_label without num_labels
            shape = np.shape(y_pred)
            if len(shape) != 2:
                raise ValueError(
                    "`y_pred` must have rank 2 when `multi_label=True`. Found rank "
                    f"{len(shape)}. Full shape received for `y_pred`: {shape}"
                )
            self._add_counts((self.num_thresholds, shape[1]))
        if self.from_logits:
            y_pred = logistic(floats(as_array(y_pred)))
        weights = None if self.multi_label else self.label_weights
        options = {"multi_label": self.multi_label, "label_weights": weights}
        self._count(y_true, y_pred, sample_weight, **options)

    def result(self) -> Any:
        """The area."""
        if not self._variables:
            return np.zeros((), self.dtype)[()]
        counts = [getattr(self, name).value for name in self.counted]
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            pieces = _interpolated_pr(*counts)
        else:
            x, y = _points(self.curve, *counts)
            left, right = y[:-1], y[1:]
            height = {
                "interpolation": (left + right) / 2,
                "minoring": np.minimum(left, right),
                "majoring": np.maximum(left, right),
            }[self.summation_method]
            pieces = (x[:-1] - x[1:]) * height
        area = pieces.sum(axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return area.mean()
        weights = self.label_weights
        return ratio((area * weights).sum(), weights.sum())[()]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        weights = self.label_weights
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(),
            "from_logits": self.from_logits,
        }
        return config if self._inner is None else {**config, "thresholds": self._inner}


def _choice(what: str, value: Any, choices: tuple[str, ...]) -> str:
    for choice in choices:
        # NB: Keras knows "roc" and "ROC", "interpolation" and "Interpolation".
        if value in (choice, choice.lower(), choice.capitalize()):
            return choice
    raise ValueError(
        f'Invalid {what} value: "{value}". Expected values are {list(choices)}.'
        f"{suggest(value, choices)}"
    )


def _points(curve: str, tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    """(x, y) of the curve at each threshold."""
    recall = ratio(tp, tp + fn)
    if curve == "ROC":
        return ratio(fp, fp + tn), recall
    if curve == "PR":
        return recall, ratio(tp, tp + fp)
    odds = ratio(tp + fn, tn + fp)
    recall_gain = np.where(tp == 0, 0, 1 - odds * ratio(fn, tp)).astype(tp.dtype)
    precision_gain = np.where(tp == 0, 1, 1 - odds * ratio(fp, tp)).astype(tp.dtype)
    return np.maximum(recall_gain, 0), precision_gain


def _interpolated_pr(tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
    """The area between two thresholds, with tp a linear function of tp + fp there.

    With `tp = slope * p + intercept` for p = tp + fp, precision is tp / p, and its
    integral over tp is `slope * (dtp + intercept * log(p / p_next))`, by the number of
    positives.
    """
    p = tp + fp
    dtp, dp = tp[:-1] - tp[1:], p[:-1] - p[1:]
    slope = ratio(dtp, np.maximum(dp, 0))
    intercept = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    step = np.where(both, ratio(p[:-1], np.maximum(p[1:], 0)), 1).astype(tp.dtype)
    area = slope * (dtp + intercept * np.log(step))
    return ratio(area, np.maximum(tp[1:] + fn[1:], 0))
