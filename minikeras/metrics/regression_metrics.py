"""Metrics for regression: distances between numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import losses
from minikeras.losses.reduction import squeeze_or_expand_to_same_rank
from minikeras.metrics.reduction_metrics import FunctionMetric, Mean
from minikeras.ops.stable import as_array
from minikeras.registry import public


@public("keras.metrics")
class MeanSquaredError(FunctionMetric):
    """Mean of `(y_pred - y_true)**2`.

    Args:
        name, dtype: see `Metric`.

    >>> float(MeanSquaredError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.25
    """

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.mean_squared_error, name, dtype)


@public("keras.metrics")
class MeanAbsoluteError(FunctionMetric):
    """Mean of `|y_pred - y_true|`.

    Args:
        name, dtype: see `Metric`.

    >>> float(MeanAbsoluteError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.25
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_error, name, dtype)


@public("keras.metrics")
class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of `100 |y_true - y_pred| / |y_true|`.

    Args:
        name, dtype: see `Metric`.

    >>> float(MeanAbsolutePercentageError()([[2.0], [4.0]], [[1.0], [3.0]]))
    37.5
    """

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


@public("keras.metrics")
class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of `(log(y_true + 1) - log(y_pred + 1))**2`.

    Args:
        name, dtype: see `Metric`.

    >>> metric = MeanSquaredLogarithmicError()
    >>> round(float(metric([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.1201
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


@public("keras.metrics")
class LogCoshError(FunctionMetric):
    """Mean of `log(cosh(y_pred - y_true))`.

    Args:
        name, dtype: see `Metric`.

    >>> round(float(LogCoshError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.1084
    """

    def __init__(self, name: str = "logcosh", dtype: Any = None):
        super().__init__(losses.log_cosh, name, dtype)


@public("keras.metrics")
class RootMeanSquaredError(Mean):
    """Root of the mean of `(y_pred - y_true)**2`, over all batches.

    Args:
        name, dtype: see `Metric`.

    >>> float(RootMeanSquaredError()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]]))
    0.5
    """

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Takes a batch into account. NB: Keras has it ignore masks."""
        y_true = as_array(y_true).astype(self.dtype, copy=False)
        y_pred = as_array(y_pred).astype(self.dtype, copy=False)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        super().update_state(np.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """The root of the mean."""
        return np.sqrt(super().result())


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> np.ndarray:
    """The cosine of the angle between targets and predictions: minus the loss."""
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


@public("keras.metrics")
class CosineSimilarity(FunctionMetric):
    """Mean cosine of the angle between targets and predictions.

    Args:
        name, dtype: see `Metric`.
        axis: int, the axis of the vectors.

    NB: 1 is best, while the loss of the same name has its minimum -1 there.

    >>> metric = CosineSimilarity(axis=1)
    >>> round(float(metric([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])), 4)
    0.5
    """

    _direction = "up"

    def __init__(
        self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1
    ):
        super().__init__(cosine_similarity, name, dtype, axis=axis)

    def get_config(self) -> dict[str, Any]:
        """Name and dtype. NB: Keras forgets the axis, and so do its files."""
        return {"name": self.name, "dtype": self.dtype}
