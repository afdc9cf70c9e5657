"""Loss: values per example, weighted and reduced to one number."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from minikeras import dtype_policies
from minikeras.config import floatx
from minikeras.losses import reduction as reductions
from minikeras.losses import symbolic
from minikeras.losses.traced import (
    NotTraced,
    TracedLossResiduals,
    WithLogits,
    traced_values,
)
from minikeras.messages import Checked
from minikeras.naming import auto_name
from minikeras.ops.elementwise import unbroadcast
from minikeras.registry import public


class LossResiduals(NamedTuple):
    """What `Loss.forward` keeps."""

    values: Any  # residuals of the values per example
    weights: np.ndarray | None  # sample weights times mask
    scale: float  # 1 / denominator; 1 where nothing is reduced
    shape: tuple[int, ...]  # of the values
    aligned_shape: tuple[int, ...]  # the same with the rank of the weights
    weighted_shape: tuple[int, ...]  # of values * weights
    dtype: np.dtype  # of y_pred


@public("keras.losses")
@public("keras", "Loss")
class Loss(Checked):
    """Base class of all losses.

    Args:
        name: defaults to the class name in snake case.
        reduction: `"sum_over_batch_size"`, `"mean"` (the same), `"sum"`,
            `"mean_with_sample_weight"`, or `"none"` or None for the values themselves.
        dtype: of the computation; defaults to `config.floatx()`, **not** to the dtype
            of `y_pred`.

    **Formula** `value = sum(values * sample_weight * mask) / denominator`; see
    `denominator` for what is divided by.

    **Gradient** each value passes on `dvalue * sample_weight * mask / denominator`.

    **Keeps** what the values keep, the weights, and 1 / denominator.

    A loss of your own defines Keras's `call`, made of `keras.ops`, operators and other
    losses; it is traced to find the gradient, see `traced.py`:

        class Fourth(Loss):
            def call(self, y_true, y_pred):
                return ops.mean(ops.square(y_true - y_pred) ** 2, axis=-1)

    Or it defines the values and their gradient itself, one of each example:

        class Cubed(Loss):
            def values(self, y_true, y_pred):
                error = y_pred - y_true
                return (abs(error) ** 3).mean(axis=-1), error

            def values_gradient(self, dvalues, error):
                return dvalues[..., None] * 3 * error * abs(error) / error.shape[-1]

    A `call` that uses NumPy serves evaluation only.
    """

    # Whether a class of the user's defines `call`, and no class after it `values`.
    _call_is_own = False
    # The softmax or sigmoid whose logits a traced loss is given beside `y_pred`.
    logits_of: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "values" in cls.__dict__:
            cls._call_is_own = False
        elif "call" in cls.__dict__:
            cls._call_is_own = True
        if "__call__" in cls.__dict__ and not cls.__module__.startswith("minikeras."):
            raise NotImplementedError(
                f"The loss {cls.__name__} overrides `__call__`, where weights and the "
                "reduction are applied, which is not implemented. Define "
                "`call(self, y_true, y_pred)`, returning one value per example."
            )

    def __getattr__(self, name: str) -> Any:
        hint = ""
        if name in ("name", "reduction", "_dtype_policy"):
            hint = ". Its `__init__` must call `super().__init__(...)`"
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}{hint}"
        )

    @property
    def is_traced(self) -> bool:
        """Whether the gradient is found by tracing `call`."""
        return self._call_is_own

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reductions.standardize_reduction(reduction)
        self._dtype_policy = dtype_policies.get(dtype or floatx())

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype_policy.compute_dtype

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, Any]:
        """(values per example, residuals). Override this."""
        return np.asarray(self.call(y_true, y_pred), self.dtype), None

    def values_gradient(self, dvalues: np.ndarray, residuals: Any) -> np.ndarray:
        """The gradient of `values` with respect to `y_pred`. Override this too."""
        raise NotImplementedError(
            f"The loss '{self.name}' ({type(self).__name__}) has no gradient: it "
            "can evaluate but not train. Define `call(y_true, y_pred)` of `keras.ops`; "
            "or beside `values(y_true, y_pred)`, returning (values, residuals), "
            "`values_gradient(dvalues, residuals)`."
        )

    def values_mask(self, y_true: np.ndarray, y_pred: Any) -> np.ndarray | None:
        """Which values count, if the labels say so (`ignore_class`), or None."""
        return None

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values per example, not reduced."""
        if type(self).values is Loss.values:
            raise NotImplementedError(
                f"The loss {type(self).__name__} must define `values` or `call`."
            )
        if symbolic.is_recording(y_true, y_pred):
            return symbolic.record(self.unreduced(), y_true, y_pred, None, None)
        return self.values(y_true, y_pred)[0]

    def unreduced(self) -> Loss:
        """The values alone, by the formula above a `call` of the user's."""
        twin = copy.copy(self)
        twin.reduction, twin._call_is_own = None, False
        return twin

    def forward(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        mask: Any = None,
        denominator: float | None = None,
        traces: dict[Any, Any] | None = None,
    ) -> tuple[Any, LossResiduals]:
        """The loss, and what its gradient needs.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: one weight per example or per value.
            mask: booleans, False where a value does not count.
            denominator: what to divide the sum by, if this is a slice of a batch:
                `loss.denominator(...)` of the whole batch. The losses of the slices
                then add up to the loss of the batch, and so do the gradients.
            traces: of losses made of operations; `compile` keeps them from batch to
                batch. Without it the loss is traced anew.

        Returns:
            (value, residuals); the value is an array if nothing is reduced.
        """
        z = None
        if isinstance(y_pred, WithLogits):
            y_pred, z = y_pred
        y_pred = np.asarray(y_pred)
        y_true, predictions = self._cast(y_true), self._cast(y_pred)
        if self.is_traced:
            traces = {} if traces is None else traces
            values, kept = traced_values(self, y_true, predictions, z, traces)
            values = np.asarray(values, self.dtype)
        else:
            values, kept = self.values(y_true, predictions)
        value, reduced = self._reduced(
            y_true, predictions, values, sample_weight, mask, denominator
        )
        return value, LossResiduals(kept, *reduced, y_pred.dtype)

    def _reduced(
        self,
        y_true: np.ndarray,
        predictions: np.ndarray,
        values: np.ndarray,
        sample_weight: Any,
        mask: Any,
        denominator: float | None,
    ) -> tuple[Any, tuple[Any, ...]]:
        """(the values weighted and reduced, what the gradient of that needs)."""
        mask = self._whole_mask(y_true, predictions, mask)
        weights, aligned, factors = None, values, None
        if sample_weight is not None or mask is not None:
            weights = reductions.merge_weights(sample_weight, mask, self.dtype)
            aligned, factors = reductions.align_weights(values, weights)
        weighted = aligned if factors is None else aligned * factors
        scale, value = 1.0, weighted
        if not self._keeps_values(weighted.shape):
            if denominator is None:
                denominator = reductions.denominator_of(
                    self.reduction, weighted.shape, weights, mask
                )
            denominator = float(denominator)  # a NumPy float64 would promote
            scale = 1 / denominator if denominator else 0.0
            total = weighted.sum()
            value = total / denominator if denominator else np.zeros_like(total)
        shapes = values.shape, aligned.shape, weighted.shape
        return value, (factors, scale, *shapes)

    def backward(self, dvalue: Any, residuals: LossResiduals, grads: Any = None) -> Any:
        """The gradient with respect to `y_pred`.

        Args:
            dvalue: gradient of the value: 1.0 for the loss itself; an array where
                nothing was reduced.
            grads: receives the gradients of weights, if a traced loss uses any.
        """
        dvalue = np.asarray(dvalue, self.dtype)
        # in forward: value = sum(values * weights) * scale
        dvalues = np.empty(residuals.weighted_shape, self.dtype)
        np.multiply(dvalue, residuals.scale, out=dvalues)
        if residuals.weights is not None:
            dvalues = dvalues * residuals.weights
            dvalues = unbroadcast(dvalues, residuals.aligned_shape)
            dvalues = dvalues.reshape(residuals.shape)
        if isinstance(residuals.values, TracedLossResiduals | NotTraced):
            dy_pred = residuals.values.gradient(dvalues, grads)
        else:
            dy_pred = self.values_gradient(dvalues, residuals.values)
        if isinstance(dy_pred, WithLogits):
            return dy_pred
        wanted = residuals.dtype if residuals.dtype.kind == "f" else self.dtype
        return dy_pred.astype(wanted, copy=False)

    def denominator(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> float | None:
        """What the weighted sum over this batch is divided by.

        Known from shapes, weights and masks, before anything is predicted: with it a
        batch may be cut into slices (see `forward`).

        Args:
            y_true: targets of the whole batch.
            y_pred: predictions of the whole batch, or their shape.

        Returns:
            A number, or None if nothing is reduced.
        """
        shape = _shape(y_pred)
        values = np.broadcast_to(0.0, self.values_shape(y_true, shape))
        like = np.broadcast_to(0.0, shape)
        mask = self._whole_mask(self._cast(y_true), like, mask)
        weights = reductions.merge_weights(sample_weight, mask, self.dtype)
        if weights is not None:
            values = np.broadcast(*reductions.align_weights(values, weights))
        if self._keeps_values(values.shape):
            return None
        return reductions.denominator_of(self.reduction, values.shape, weights, mask)

    def values_shape(self, y_true: Any, y_pred: Any) -> tuple[int, ...]:
        """The shape of the values for a batch, found by asking for one example.

        Args:
            y_true: targets of the whole batch.
            y_pred: predictions, or their shape.
        """
        shape = _shape(y_pred)
        if not shape or shape[0] == 0:
            return shape[:-1]
        one = np.full((1, *shape[1:]), 0.5, self.dtype)
        found = self.values(self._cast(y_true)[:1], one)[0].shape
        return (shape[0], *found[1:]) if found else ()

    def splittable(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> bool:
        """Whether the loss of this batch is the sum of the losses of its slices.

        Not so if nothing is reduced, if the values depend on the whole batch, or if
        weights broadcast over an axis that is not their own. Args as `denominator`.
        """
        shape = _shape(y_pred)
        if self.reduction in (None, "none") or self.couples(y_true, shape):
            return False
        values_shape = self.values_shape(y_true, shape)
        if not values_shape:
            return False
        values = np.broadcast_to(0.0, values_shape)
        for factor in (sample_weight, mask):
            if factor is not None:
                a, b = reductions.squeeze_or_expand_to_same_rank(
                    values, np.asarray(factor)
                )
                if a.ndim != b.ndim or a.shape[0] != b.shape[0]:
                    return False
        return True

    def couples(self, y_true: Any, y_pred: Any) -> bool:
        """Whether the value of one example depends on the others in the batch."""
        return self.is_traced  # then only its author knows

    def on_logits(
        self,
        activation: str,
        y_true_shape: tuple[int, ...] | None = None,
        y_pred_shape: tuple[int, ...] | None = None,
        y_pred_dtype: str | None = None,
    ) -> Loss | None:
        """This loss for a model whose final softmax or sigmoid is left out, or None.

        Keras trains a final `"softmax"` or `"sigmoid"` from its logits when the loss
        is the crossentropy that belongs to it, and nothing stands between: no change
        of shape (`y_true` of another rank), no cast, no `ignore_class`. A traced loss
        gets outputs that know their logits, as in Keras: its crossentropies take these.
        """
        if not self.is_traced or y_pred_dtype not in (None, self.dtype):
            return None
        twin = copy.copy(self)
        twin.logits_of = activation
        return twin

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, *, mask: Any = None
    ) -> Any:
        """The loss; of symbolic tensors a node, see `symbolic.py`."""
        if symbolic.is_recording(y_true, y_pred):
            if mask is None:
                mask = getattr(y_pred, "_keras_mask", None)
            return symbolic.record(self, y_true, y_pred, sample_weight, mask)
        if not self.is_traced:
            return self.forward(y_true, y_pred, sample_weight, mask)[0]
        y_true, y_pred = self._cast(y_true), self._cast(y_pred)
        values = np.asarray(self.call(y_true, y_pred), self.dtype)
        return self._reduced(y_true, y_pred, values, sample_weight, mask, None)[0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves out `dtype`."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The inverse of `get_config`."""
        return cls(**config)

    def _cast(self, x: Any) -> np.ndarray:
        return np.asarray(x, self.dtype)

    def _keeps_values(self, shape: tuple[int, ...]) -> bool:
        # NB: Keras reduces neither a single number nor an empty vector.
        return self.reduction in (None, "none") or shape in ((), (0,))

    def _whole_mask(self, y_true: Any, y_pred: Any, mask: Any) -> np.ndarray | None:
        own = self.values_mask(y_true, y_pred)
        if mask is None or own is None:
            return own if mask is None else np.asarray(mask, bool)
        return np.asarray(mask, bool) & own


def _shape(y_pred: Any) -> tuple[int, ...]:
    return tuple(y_pred) if isinstance(y_pred, tuple) else np.shape(y_pred)
