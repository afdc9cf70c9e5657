"""Hinge metrics: by how much predictions miss a margin."""

from __future__ import annotations

from typing import Any

from minikeras import losses
from minikeras.metrics.reduction_metrics import FunctionMetric
from minikeras.registry import public


@public("keras.metrics")
class Hinge(FunctionMetric):
    """Mean of `max(1 - y_true * y_pred, 0)`; targets are -1 or 1 (or 0 or 1).

    Args:
        name, dtype: see `Metric`.

    >>> round(float(Hinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.3
    """

    def __init__(self, name: str = "hinge", dtype: Any = None):
        super().__init__(losses.hinge, name, dtype)


@public("keras.metrics")
class SquaredHinge(FunctionMetric):
    """Mean of `max(1 - y_true * y_pred, 0)**2`; targets are -1 or 1 (or 0 or 1).

    Args:
        name, dtype: see `Metric`.

    >>> round(float(SquaredHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.86
    """

    def __init__(self, name: str = "squared_hinge", dtype: Any = None):
        super().__init__(losses.squared_hinge, name, dtype)


@public("keras.metrics")
class CategoricalHinge(FunctionMetric):
    """Mean of `max(neg - pos + 1, 0)`: pos the score of the target, neg the best other.

    Args:
        name, dtype: see `Metric`.

    >>> round(float(CategoricalHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    1.4
    """

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None):
        super().__init__(losses.categorical_hinge, name, dtype)
