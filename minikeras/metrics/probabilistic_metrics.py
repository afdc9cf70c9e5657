"""Metrics that compare probabilities: divergences and crossentropies."""

from __future__ import annotations

from typing import Any

from minikeras import losses
from minikeras.metrics.reduction_metrics import FunctionMetric
from minikeras.registry import public


@public("keras.metrics")
class KLDivergence(FunctionMetric):
    """Mean of `sum(y_true * log(y_true / y_pred))`.

    Args:
        name, dtype: see `Metric`.

    >>> round(float(KLDivergence()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.4581
    """

    def __init__(self, name: str = "kl_divergence", dtype: Any = None):
        super().__init__(losses.kl_divergence, name, dtype)


@public("keras.metrics")
class Poisson(FunctionMetric):
    """Mean of `y_pred - y_true * log(y_pred)`.

    Args:
        name, dtype: see `Metric`.

    >>> round(float(Poisson()([[0, 1], [0, 0]], [[1.0, 1.0], [0.0, 0.0]])), 4)
    0.5
    """

    def __init__(self, name: str = "poisson", dtype: Any = None):
        super().__init__(losses.poisson, name, dtype)


@public("keras.metrics")
class BinaryCrossentropy(FunctionMetric):
    """Mean crossentropy where targets are 0 or 1.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether `y_pred` holds logits and not probabilities.
        label_smoothing: float in [0, 1], how far targets are moved towards 0.5.

    >>> metric = BinaryCrossentropy()
    >>> round(float(metric([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            losses.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@public("keras.metrics")
class CategoricalCrossentropy(FunctionMetric):
    """Mean crossentropy where targets are one-hot.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether `y_pred` holds logits and not probabilities.
        label_smoothing: float in [0, 1], how far targets are moved towards uniform.
        axis: int, the axis of the classes.

    >>> metric = CategoricalCrossentropy()
    >>> round(float(metric([[0, 1, 0]], [[0.1, 0.8, 0.1]])), 4)
    0.2231
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@public("keras.metrics")
class SparseCategoricalCrossentropy(FunctionMetric):
    """Mean crossentropy where targets are class numbers.

    Args:
        name, dtype: see `Metric`.
        from_logits: whether `y_pred` holds logits and not probabilities.
        ignore_class: int, a class number whose examples give 0. NB: they still count
            in the mean, as in Keras, unless there are sample weights.
        axis: int, the axis of the classes; the last one only.

    >>> metric = SparseCategoricalCrossentropy()
    >>> round(float(metric([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])), 4)
    1.1769
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
