"""Loss functions of (y_true, y_pred), and the Loss that wraps one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minikeras.functions import differentiable
from minikeras.losses import symbolic
from minikeras.losses.loss import Loss
from minikeras.losses.reduction import squeeze_or_expand_to_same_rank
from minikeras.messages import warn
from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.stable import as_array, floats
from minikeras.registry import public


class FunctionResiduals(NamedTuple):
    """What a `loss_function` keeps besides the residuals of the formula."""

    formula: Any
    y_pred_shape: tuple[int, ...]


class loss_function(differentiable):
    """`@differentiable` for functions of (y_true, y_pred): one value per example.

    The function below it gets arrays, y_pred of floats. Its gradient is with respect
    to y_pred alone; where y_pred was broadcast or reshaped, that is undone here.

    Attributes:
        logits_of: the activation whose logits Keras would use, or None.
        values_mask: None, or `(y_true, y_pred, **parameters) -> mask or None`.
        default_axis: the `axis` of a call that gives none.
        couples: None, or `(y_true) -> bool`: whether its values depend on the batch.
    """

    logits_of: str | None = None
    values_mask: Callable[..., Any] | None = None
    default_axis: Any = -1
    couples: Callable[[np.ndarray], bool] | None = None

    def __init__(self, function: Callable[..., tuple[Any, Any]]):
        super().__init__(function)
        self.formula = function
        self.forward = self._forward

    def __call__(self, y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
        """The values alone; of symbolic tensors a node, see `symbolic.py`."""
        if symbolic.is_recording(y_true, y_pred):
            bound = inspect.signature(self.formula).bind(
                y_true, y_pred, *args, **kwargs
            )
            parameters = dict(list(bound.arguments.items())[2:])
            alone = LossFunctionWrapper(self, None, self.__name__, **parameters)
            return symbolic.record(alone, y_true, y_pred, None, None)
        return super().__call__(y_true, y_pred, *args, **kwargs)

    def _forward(
        self, y_true: Any, y_pred: Any, *args: Any, **kwargs: Any
    ) -> tuple[np.ndarray, FunctionResiduals]:
        y_true, y_pred = as_array(y_true), as_array(y_pred)
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "biuf":
                raise ValueError(
                    f"{self.__name__}: `{name}` must be numbers. Received: an array of "
                    f"dtype {array.dtype}"
                )
        if y_pred.dtype.kind != "f":  # NB: y_true is cast to y_pred's integers first
            y_true, y_pred = y_true.astype(y_pred.dtype), floats(y_pred)
        values, formula = self.formula(y_true, y_pred, *args, **kwargs)
        return values, FunctionResiduals(formula, y_pred.shape)

    def backward(self, dvalues: np.ndarray, residuals: FunctionResiduals) -> np.ndarray:
        """The gradient with respect to y_pred, in its shape."""
        dy_pred = super().backward(np.asarray(dvalues), residuals.formula)
        shape = residuals.y_pred_shape
        if dy_pred.shape != shape:
            squeezed = dy_pred.ndim < len(shape)
            dy_pred = unbroadcast(dy_pred, shape[:-1] if squeezed else shape)
        return dy_pred.reshape(shape)


def matched(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in y_pred's dtype and in shapes that broadcast, or a ValueError."""
    y_true = y_true.astype(y_pred.dtype, copy=False)
    if y_true.shape != y_pred.shape:
        try:
            np.broadcast_shapes(y_true.shape, y_pred.shape)
        except ValueError:
            raise ValueError(
                "The shapes of `y_true` and `y_pred` do not fit together. Received: "
                f"y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}"
            ) from None
    if y_pred.ndim == 0:
        raise ValueError(
            "A loss needs predictions of rank 1 or more: it adds up their last axis. "
            f"Received: y_pred.shape={y_pred.shape}"
        )
    return y_true, y_pred


def matched_ranks(
    y_true: np.ndarray, y_pred: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `matched`, after `squeeze_or_expand_to_same_rank`."""
    return matched(*squeeze_or_expand_to_same_rank(y_true, y_pred))


def matched_shapes(
    y_true: np.ndarray, y_pred: np.ndarray, hint: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Both in y_pred's dtype; their shapes must be equal."""
    if y_true.shape != y_pred.shape:
        what = "shape" if y_true.ndim == y_pred.ndim else "rank (ndim)"
        raise ValueError(
            f"`y_true` and `y_pred` must have the same {what}. Received: "
            f"y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}.{hint}"
        )
    return matched(y_true, y_pred)


@public("keras.losses")
@public("keras.src.losses.losses")
class LossFunctionWrapper(Loss):
    """Makes a Loss of a function.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, one value per example. Made of `keras.ops`
            it is traced to find the gradient, see `traced.py`; or it has `forward` and
            `backward` (made by `@differentiable` or `@loss_function`).
        reduction, name, dtype: as in `Loss`.
        **kwargs: passed to `fn`.

    >>> from minikeras import losses
    >>> losses.LossFunctionWrapper(losses.huber, delta=2.0)([[0.0]], [[1.0]])
    np.float32(0.5)
    """

    # Names of the parameters in the config of a named loss; None: `fn` is in it too.
    config_keys: ClassVar[tuple[str, ...] | None] = None

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        for key in self.config_keys or ():
            setattr(self, key, kwargs[key])

    @property
    def is_traced(self) -> bool:
        """Whether the gradient is found by tracing: the function has none beside it."""
        return self._call_is_own or not hasattr(self.fn, "forward")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values per example, not reduced."""
        if hasattr(self.fn, "forward"):
            return super().call(y_true, y_pred)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, Any]:
        """The function's values."""
        shape = y_pred.shape
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        values, residuals = self.fn.forward(y_true, y_pred, **self._fn_kwargs)
        return np.asarray(values, self.dtype), (residuals, shape)

    def values_gradient(self, dvalues: np.ndarray, residuals: Any) -> np.ndarray:
        """The function's gradient."""
        inner, shape = residuals
        return self.fn.backward(dvalues, inner).reshape(shape)

    def values_mask(self, y_true: np.ndarray, y_pred: Any) -> np.ndarray | None:
        """The function's own mask, if it has one."""
        mask_of = getattr(self.fn, "values_mask", None)
        if mask_of is None:
            return None
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return mask_of(y_true, y_pred, **self._fn_kwargs)

    def couples(self, y_true: Any, y_pred: Any) -> bool:
        """Whether the value of one example depends on the others in the batch."""
        if self.is_traced or not isinstance(self.fn, loss_function):
            return True  # a function of the user's: nobody knows
        couples = getattr(self.fn, "couples", None)
        if couples is not None and couples(self._cast(y_true)):
            return True
        rank = len(y_pred) if isinstance(y_pred, tuple) else np.ndim(y_pred)
        axes = self._fn_kwargs.get("axis", getattr(self.fn, "default_axis", -1))
        axes = axes if isinstance(axes, tuple) else (axes,)
        return any(axis is None or axis in (0, -rank) for axis in axes)

    def on_logits(
        self,
        activation: str,
        y_true_shape: tuple[int, ...] | None = None,
        y_pred_shape: tuple[int, ...] | None = None,
        y_pred_dtype: str | None = None,
    ) -> Loss | None:
        """See `Loss.on_logits`."""
        if self.is_traced:
            return super().on_logits(
                activation, y_true_shape, y_pred_shape, y_pred_dtype
            )
        if getattr(self.fn, "logits_of", None) != activation:
            return None
        if self._fn_kwargs.get("ignore_class") is not None:
            return None  # NB: Keras masks the probabilities and so loses the logits
        if y_pred_dtype is not None and y_pred_dtype != self.dtype:
            return None
        if y_true_shape is not None and y_pred_shape is not None:
            before = _blank(y_pred_shape)
            _, after = squeeze_or_expand_to_same_rank(_blank(y_true_shape), before)
            if after.ndim != before.ndim:
                return None
        if self._fn_kwargs.get("from_logits"):
            warn(
                f"The loss '{self.name}' has from_logits=True, but the model ends in a "
                f"{activation}: its outputs are not logits. Was this intended?",
            )
        twin = copy.copy(self)
        twin._fn_kwargs = {**self._fn_kwargs, "from_logits": True}
        return twin

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        if self.config_keys is not None:
            return {**config, **{key: getattr(self, key) for key in self.config_keys}}
        from minikeras.serialization import serialize_dict, serialize_keras_object

        fn = serialize_keras_object(self.fn)
        return {**config, "fn": fn, **serialize_dict(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The inverse of `get_config`."""
        if "fn" in config:
            from minikeras.losses import deserialize

            config = {**config, "fn": deserialize(config["fn"])}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


def _blank(shape: tuple[int | None, ...]) -> np.ndarray:
    """An array of this shape that takes no memory; None is any size but 1."""
    return np.broadcast_to(0.0, [2 if n is None else n for n in shape])
