"""How well predictions follow the targets: R2, and two correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config
from minikeras.losses.reduction import squeeze_or_expand_to_same_rank
from minikeras.messages import warn
from minikeras.metrics.metric import Metric
from minikeras.metrics.reduction_metrics import FunctionMetric
from minikeras.ops.stable import as_array, floats
from minikeras.registry import public, suggest

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")
_SUMS = {
    "squared_sum": "squared_sum",
    "sum": "sum",
    "total_mse": "residual",
    "count": "count",
}


@public("keras.metrics")
class R2Score(Metric):
    """The coefficient of determination: the part of the variance that is explained.

    Args:
        class_aggregation: `"uniform_average"` (the mean over outputs),
            `"variance_weighted_average"`, or None: one score for each output.
        num_regressors: the number of independent variables, for the adjusted score; 0:
            the plain one.
        name, dtype: see `Metric`.

    **Formula**: `1 - sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)`

    >>> metric = R2Score()
    >>> round(float(metric([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(
                "Invalid value for argument `class_aggregation`. Expected one of "
                f"{_AGGREGATIONS}. Received: class_aggregation={class_aggregation}."
                f"{suggest(class_aggregation, _AGGREGATIONS[1:])}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. "
                f"Received: num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")

    def _build(self, *shapes: tuple[int, ...]) -> None:
        if any(len(shape) != 2 for shape in shapes):
            raise ValueError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). "
                f"Received input shapes: y_pred.shape={shapes[1]} and "
                f"y_true.shape={shapes[0]}."
            )
        for attribute, name in _SUMS.items():
            variable = self.add_variable(shapes[1][1:], "zeros", name=name)
            setattr(self, attribute, variable)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true, y_pred: (N, outputs).
            sample_weight: (N,), a weight for each example.
        """
        y_true = as_array(y_true).astype(self.dtype)
        y_pred = as_array(y_pred).astype(self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if "squared_sum" not in self.__dict__:
            self._build(y_true.shape, y_pred.shape)
        weights = np.asarray(1 if sample_weight is None else sample_weight, self.dtype)
        weights = weights[:, None] if weights.ndim == 1 else weights
        weights = np.broadcast_to(weights, y_true.shape)
        weighted = y_true * weights
        self.sum.assign_add(weighted.sum(axis=0))
        self.squared_sum.assign_add((y_true * weighted).sum(axis=0))
        self.total_mse.assign_add(((y_true - y_pred) ** 2 * weights).sum(axis=0))
        self.count.assign_add(weights.sum(axis=0))
        self.num_samples.assign_add(y_true.size)

    def result(self) -> Any:
        """The score; NaN or 0 for outputs that never change."""
        if "squared_sum" not in self.__dict__:
            return np.zeros((), self.dtype)[()]
        names = (*_SUMS, "num_samples")
        squares, total, errors, count, samples = (getattr(self, n).value for n in names)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * (total / count)
            scores = 1 - errors / variance
            scores = np.where(np.isinf(scores), 0, scores).astype(scores.dtype)
            if self.class_aggregation == "uniform_average":
                score = scores.mean()
            elif self.class_aggregation is None:
                score = scores
            else:
                score = (variance * scores).sum() / variance.sum()
        return self._adjusted(score, float(samples)) if self.num_regressors else score

    def _adjusted(self, score: Any, samples: float) -> Any:
        if self.num_regressors >= samples - 1:
            what = (
                "Division by zero in Adjusted R2 score"
                if self.num_regressors == samples - 1
                else "More independent predictors than datapoints in adjusted R2 score"
            )
            message = f"{what}. Falling back to standard R2 score."
            warn(message)
            return score
        below = samples - self.num_regressors - 1
        return 1 - (1 - score) * (samples - 1) / below

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }


def _pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    y_pred = floats(as_array(y_pred))
    y_true = as_array(y_true).astype(y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)


@public("keras.metrics")
def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> np.ndarray:
    """The mean of the product of both, each with mean 0 and standard deviation 1.

    >>> pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4)
    array([1.], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    parts = [y - y.mean(axis=axis, keepdims=True) for y in (y_true, y_pred)]
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant: NaN, as Keras
        parts = [y / y.std(axis=axis, keepdims=True) for y in parts]
    return (parts[0] * parts[1]).mean(axis=axis)


@public("keras.metrics")
def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> np.ndarray:
    """Lin's coefficient: correlation that also wants the same mean and variance.

    **Formula**: the mean of `2 (y_true - m)(y_pred - m) / (var(y_true) + var(y_pred) +
    (mean(y_true) - m)^2 + epsilon)` with m the mean of y_pred. NB: Keras takes that
    mean for both.

    >>> concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(4)
    array([0.9756], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    mean_true, mean_pred = (y.mean(axis=axis, keepdims=True) for y in (y_true, y_pred))
    variance_true = (y_true - mean_true).var(axis=axis, keepdims=True)
    variance_pred = (y_pred - mean_pred).var(axis=axis, keepdims=True)
    below = variance_true + variance_pred + (mean_true - mean_pred) ** 2
    below = below + y_pred.dtype.type(config.epsilon())
    return (2 * (y_true - mean_pred) * (y_pred - mean_pred) / below).mean(axis=axis)


@public("keras.metrics")
class PearsonCorrelation(FunctionMetric):
    """The mean of `pearson_correlation` of each example.

    Args:
        name, dtype: see `Metric`.
        axis: along which to correlate.

    >>> float(PearsonCorrelation()([[0.0, 1.0, 0.5]], [[0.0, 2.0, 1.0]]).round(4))
    1.0
    """

    _direction = "up"

    def __init__(
        self, name: str = "pearson_correlation", dtype: Any = None, axis: Any = -1
    ):
        super().__init__(pearson_correlation, name, dtype, axis=axis)


@public("keras.metrics")
class ConcordanceCorrelation(FunctionMetric):
    """The mean of `concordance_correlation` of each example.

    Args:
        name, dtype: see `Metric`.
        axis: along which to correlate.

    >>> float(ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.0, 1.0, 0.5]]).round(4))
    1.0
    """

    _direction = "up"

    def __init__(
        self, name: str = "concordance_correlation", dtype: Any = None, axis: Any = -1
    ):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
