"""Accuracies: the fraction of predictions that are right."""

from __future__ import annotations

from typing import Any

from minikeras.metrics.accuracy_functions import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from minikeras.metrics.reduction_metrics import FunctionMetric
from minikeras.registry import public


@public("keras.metrics")
class Accuracy(FunctionMetric):
    """How often predictions equal the targets.

    Args:
        name, dtype: see `Metric`.

    >>> metric = Accuracy()
    >>> float(metric([[1], [2], [3], [4]], [[0], [2], [3], [4]]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


@public("keras.metrics")
class BinaryAccuracy(FunctionMetric):
    """How often `y_pred > threshold` is what the targets, 0 or 1, say.

    Args:
        name, dtype: see `Metric`.
        threshold: float, where "yes" begins.

    >>> metric = BinaryAccuracy()
    >>> float(metric([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]))
    0.75
    """

    _direction = "up"

    def __init__(
        self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


@public("keras.metrics")
class CategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the 1 of the one-hot target.

    Args:
        name, dtype: see `Metric`.

    >>> metric = CategoricalAccuracy()
    >>> float(metric([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


@public("keras.metrics")
class SparseCategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the class number given as target.

    Args:
        name, dtype: see `Metric`.

    >>> metric = SparseCategoricalAccuracy()
    >>> float(metric([[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


@public("keras.metrics")
class TopKCategoricalAccuracy(FunctionMetric):
    """How often the 1 of the one-hot target is among the `k` largest predictions.

    Args:
        k: int.
        name, dtype: see `Metric`.

    >>> metric = TopKCategoricalAccuracy(k=1)
    >>> float(metric([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None
    ):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


@public("keras.metrics")
class SparseTopKCategoricalAccuracy(FunctionMetric):
    """How often the class number given as target is among the `k` best predictions.

    Args:
        k: int.
        name, dtype: see `Metric`.
        from_sorted_ids: whether `y_pred` holds class numbers, best first, and not
            scores of all classes.

    >>> metric = SparseTopKCategoricalAccuracy(k=1)
    >>> float(metric([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=k,
            from_sorted_ids=from_sorted_ids,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: `from_sorted_ids` only where True."""
        config = super().get_config()
        if not self.from_sorted_ids:
            del config["from_sorted_ids"]
        return config
