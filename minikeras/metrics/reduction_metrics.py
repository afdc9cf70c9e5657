"""Sums and means over everything seen: `Sum`, `Mean`, `MeanMetricWrapper`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import registry
from minikeras.losses.reduction import merge_weights, squeeze_or_expand_to_same_rank
from minikeras.metrics.metric import Metric
from minikeras.ops.stable import as_array
from minikeras.registry import public


def reduce_to_samplewise_values(
    values: Any,
    sample_weight: Any,
    reduce_fn: Callable[..., np.ndarray],
    dtype: Any,
    mask: Any = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """(one weighted value per example, its weight or None).

    Args:
        values: (N, ...).
        sample_weight: a number, one per example, or one per value.
        reduce_fn: `np.mean` or `np.sum`, applied to all axes but the first.
        dtype: of the computation.
        mask: of the values. NB: Keras looks at it only if there are sample weights.
    """
    values = as_array(values).astype(dtype, copy=False)
    if sample_weight is not None:
        weight = merge_weights(sample_weight, mask, dtype)
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        rank = weight.ndim
        if values.ndim > rank:  # (N, a, b) with weights (N,) -> (N,)
            values = reduce_fn(values, axis=tuple(range(rank, values.ndim)))
        try:
            weight = np.broadcast_to(weight, values.shape)
        except ValueError:
            raise ValueError(
                "`sample_weight` does not fit the values of the metric. Received: "
                f"weights of shape {weight.shape} for values of shape {values.shape}."
            ) from None
        values = values * weight
        sample_weight = weight
        if rank > 1:
            sample_weight = reduce_fn(weight, axis=tuple(range(1, rank)))
    if values.ndim > 1:
        values = reduce_fn(values, axis=tuple(range(1, values.ndim)))
    return values, sample_weight


def uses_logits(function: Any) -> bool:
    """Whether it is a crossentropy, which Keras computes from logits if it can.

    NB: which of softmax and sigmoid made the probabilities plays no role there.
    """
    return getattr(function, "logits_of", None) is not None


@public("keras.metrics")
class Sum(Metric):
    """The (weighted) sum of all values seen.

    Args:
        name, dtype: see `Metric`.

    >>> metric = Sum()
    >>> metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> float(metric.result())
    4.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds `values`, each times its weight."""
        values, _ = reduce_to_samplewise_values(
            values, sample_weight, np.sum, self.dtype
        )
        self.total.assign_add(values.sum())

    def result(self) -> Any:
        """The sum."""
        return self.total.value[()]


@public("keras.metrics")
class Mean(Metric):
    """The (weighted) mean of all values seen.

    Args:
        name, dtype: see `Metric`.

    **Formula**: `sum(w * v) / sum(w)`, where v are means per example; without weights
    each example counts 1. 0 if nothing was seen.

    >>> metric = Mean()
    >>> metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> float(metric.result())
    2.0
    """

    def __init__(self, name: str = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.dtype, name="count")

    def update_state(
        self, values: Any, sample_weight: Any = None, *, mask: Any = None
    ) -> None:
        """Takes `values` into account, each with its weight.

        Args:
            values: (N, ...); more than one per example are averaged first.
            sample_weight: one weight per example or per value.
            mask: which values count; without sample weights it has no effect.
        """
        if mask is None and type(sample_weight) is int and np.ndim(values) == 0:
            # The loss of a batch, for so many examples: nothing to reduce.
            weight = self.total.value.dtype.type(sample_weight)
            self.total.assign_add(weight.dtype.type(values) * weight)
            self.count.assign_add(weight)
            return
        values, weights = reduce_to_samplewise_values(
            values, sample_weight, np.mean, self.dtype, mask
        )
        self.total.assign_add(values.sum())
        if weights is not None:
            count = weights.sum()
        else:
            count = values.shape[0] if values.ndim else 1
        self.count.assign_add(count)

    def result(self) -> Any:
        """The mean."""
        total, count = self.total.value, self.count.value
        return total / count if count else np.zeros_like(total)[()]


@public("keras.metrics")
class MeanMetricWrapper(Mean):
    """The mean over all examples of what a function says about each.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, one value per example (or per time step).
        name, dtype: see `Metric`.
        **kwargs: passed on to `fn`.

    >>> def error(y_true, y_pred):
    ...     return abs(y_true - y_pred)
    >>> metric = MeanMetricWrapper(error, name="error")
    >>> float(metric([1.0, 2.0], [1.0, 4.0]))
    1.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        # Callbacks that monitor it ask whether less is better.
        known = registry.public_name(fn) or registry.public_name(type(fn))
        if known is not None and known[0] == "keras.losses":
            self._direction = "down"

    def update_state(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        *,
        mask: Any = None,
        logits: Any = None,
    ) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: one weight per example or per value.
            mask: which values count. (Keras carries it on `y_pred`.)
            logits: what `y_pred` is the softmax or sigmoid of, if that is known: a
                crossentropy is computed from them. (Keras carries them likewise.)
        """
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        values, values_mask = self._values(y_true, y_pred, logits)
        if mask is not None:
            sample_weight = merge_weights(sample_weight, mask, self.dtype)
        super().update_state(values, sample_weight, mask=values_mask)

    def _values(
        self, y_true: np.ndarray, y_pred: np.ndarray, logits: np.ndarray | None
    ) -> tuple[Any, Any]:
        """(the function's values, which of them count or None for all)."""
        kwargs = self._fn_kwargs
        mask_of = getattr(self._fn, "values_mask", None)  # ignore_class
        mask = mask_of(y_true, y_pred, **kwargs) if mask_of else None
        if logits is not None and mask is None and uses_logits(self._fn):
            y_pred, kwargs = logits, {**kwargs, "from_logits": True}
        return self._fn(y_true, y_pred, **kwargs), mask

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the function by its registered name."""
        from minikeras.serialization import serialize_keras_object

        return {
            **super().get_config(),
            "fn": serialize_keras_object(self._fn),
            **serialize_keras_object(self._fn_kwargs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        """The metric, without state, that `get_config` described."""
        if "fn" in config:
            from minikeras.serialization import deserialize_keras_object

            config = deserialize_keras_object(config)
        return cls(**config)


class FunctionMetric(MeanMetricWrapper):
    """A `MeanMetricWrapper` with a fixed function.

    The function's keyword arguments are attributes, and stand in the config in place
    of the function.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(fn, name=name, dtype=dtype, **kwargs)
        for key, value in kwargs.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}
