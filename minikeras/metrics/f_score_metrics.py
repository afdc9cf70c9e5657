"""The F score: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config
from minikeras.metrics.metric import Metric
from minikeras.ops.stable import as_array
from minikeras.registry import public, suggest

_AVERAGES = (None, "micro", "macro", "weighted")
_COUNTS = ("true_positives", "false_positives", "false_negatives")


@public("keras.metrics")
class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall, class by class.

    Args:
        average: None (one score for each class), `"micro"` (all classes counted
            together), `"macro"` (the mean over classes) or `"weighted"` (weighted by
            how often a class occurs).
        beta: how much more recall counts than precision.
        threshold: above which a prediction is a one; None: the largest is, alone.
        name, dtype: see `Metric`.

    **Formula**: `(1 + beta^2) * precision * recall / (beta^2 * precision + recall)`

    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> metric(y_true, y_pred).round(4)
    array([0.3846, 0.9091, 0.8333], dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if average not in _AVERAGES:
            raise ValueError(
                f"Invalid `average` argument value. Expected one of: {_AVERAGES}. "
                f"Received: average={average}.{suggest(average, _AVERAGES[1:])}"
            )
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(
                "Invalid `beta` argument value. It should be a Python float > 0. "
                f"Received: beta={beta} of type '{type(beta)}'"
            )
        inside = isinstance(threshold, float) and 0.0 < threshold <= 1.0
        if threshold is not None and not inside:
            raise ValueError(
                "Invalid `threshold` argument value. It should be a Python float with "
                f"0 < threshold <= 1. Received: threshold={threshold} of type "
                f"'{type(threshold)}'"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def _build(self, *shapes: tuple[int, ...]) -> None:
        if any(len(shape) != 2 for shape in shapes):
            raise ValueError(
                f"{type(self).__name__} expects 2D inputs with shape (batch_size, "
                f"output_dim). Received: y_true.shape={shapes[0]} and y_pred.shape="
                f"{shapes[1]}."
            )
        shape = () if self.average == "micro" else shapes[1][1:]
        for name in (*_COUNTS, "intermediate_weights"):
            variable = self.add_variable(shape, "zeros", dtype=self.dtype, name=name)
            setattr(self, name, variable)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: 0 or 1, (N, C).
            y_pred: predictions, (N, C).
            sample_weight: (N,), a weight for each example.
        """
        y_true = as_array(y_true).astype(self.dtype)
        y_pred = as_array(y_pred).astype(self.dtype)
        if not self._variables:
            self._build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            top = y_pred.max(axis=-1, keepdims=True)
            chosen = (y_pred >= top) & (np.abs(y_pred) > 1e-9)
        else:
            chosen = y_pred > self.threshold
        chosen = chosen.astype(self.dtype)
        found = {
            "true_positives": chosen * y_true,
            "false_positives": chosen * (1 - y_true),
            "false_negatives": (1 - chosen) * y_true,
            "intermediate_weights": y_true,
        }
        for name, values in found.items():
            if sample_weight is not None:
                values = values * np.asarray(sample_weight, self.dtype)[:, None]
            axis = None if self.average == "micro" else 0
            getattr(self, name).assign_add(values.sum(axis=axis))

    def result(self) -> Any:
        """The score, or an array with one for each class."""
        if not self._variables:
            return np.zeros((), self.dtype)[()]
        tp, fp, fn = (getattr(self, name).value for name in _COUNTS)
        epsilon = tp.dtype.type(config.epsilon())
        precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
        weighted = self.beta**2 * precision + recall
        score = precision * recall / (weighted + epsilon) * (1 + self.beta**2)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return (score * (weights / (weights.sum() + epsilon))).sum()
        return score if self.average is None else score.mean()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@public("keras.metrics")
class F1Score(FBetaScore):
    """`FBetaScore` with beta 1: the harmonic mean of precision and recall.

    Args:
        average, threshold: as in `FBetaScore`.
        name, dtype: see `Metric`.

    >>> metric = F1Score(average="micro", threshold=0.5)
    >>> round(float(metric([[1, 1], [0, 1]], [[1, 0], [0, 1]])), 4)
    0.8
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["beta"]
        return config
