"""`keras.ops`: activations and other functions of neural networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import activations, config
from minikeras.activations import (
    elu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from minikeras.ops.stable import as_array
from minikeras.symbolic import KerasTensor
from minikeras.tensors.base import (
    CORE,
    NN,
    Constant,
    TensorOperation,
    apply,
    operation,
)

__all__ = [
    "cast", "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "multi_hot",
    "one_hot", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax",
    "softplus", "softsign", "sparse_plus", "squareplus", "stop_gradient", "swish",
    "tanh", "tanh_shrink", "threshold",
]  # fmt: skip


def gelu(x: Any, approximate: bool = True) -> Any:
    """`activations.gelu`, with Keras's other default here: the approximation."""
    return activations.gelu(x, approximate=approximate)


def softmax(x: Any, axis: Any = -1) -> Any:
    """The softmax along `axis`."""
    return activations.softmax(x, axis=axis)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """The logarithm of the softmax along `axis`."""
    return activations.log_softmax(x, axis=axis)


@operation(NN, num_classes=None, axis=-1, dtype=None, sparse=False)
class OneHot(Constant):
    """1 at the place that x names, else 0."""

    num_classes: int
    axis: int
    dtype: Any
    sparse: bool

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """All zeros for numbers out of range."""
        if self.sparse:
            raise NotImplementedError(
                "minikeras has no sparse tensors. Received: sparse=True"
            )
        x = as_array(x)
        found = x[..., None] == np.arange(self.num_classes)  # (...) -> (..., C)
        found = found.astype(self.dtype or config.floatx())
        return np.moveaxis(found, -1, self.axis), None

    def compute_output_spec(self, x: Any) -> KerasTensor:
        """By a formula: `num_classes` of a file may be any number."""
        shape = list(x.shape)
        axis = self.axis % (len(shape) + 1)
        shape.insert(axis, self.num_classes)
        return KerasTensor(tuple(shape), self.dtype or config.floatx())


@operation(NN, num_classes=None, axis=-1, dtype=None, sparse=False)
class MultiHot(OneHot):
    """1 at each place that a row of x names, else 0."""

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """The largest over the next to last axis of the one-hot rows."""
        found, _ = super().forward(x)
        return np.max(found, axis=1 if np.ndim(x) > 1 else 0), None

    def compute_output_spec(self, x: Any) -> KerasTensor:
        """Without the axis of the rows."""
        shape = list(super().compute_output_spec(x).shape)
        del shape[1 if len(x.shape) > 1 else 0]
        return KerasTensor(tuple(shape), self.dtype or config.floatx())


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Integers as vectors with a 1 at their place."""
    options = {"num_classes": num_classes, "axis": axis, "dtype": dtype}
    return apply(OneHot, x, sparse=sparse, **options)


def multi_hot(
    inputs: Any,
    num_classes: int,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Any:
    """Rows of integers as vectors with ones at their places."""
    options = {"num_classes": num_classes, "axis": axis, "dtype": dtype}
    return apply(MultiHot, inputs, sparse=sparse, **options)


@operation(CORE, dtype=None)
class Cast(TensorOperation):
    """x in another dtype; dx is dy in that of x."""

    dtype: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, dtype of x)."""
        x = as_array(x)
        return x.astype(self.dtype), x.dtype

    def compute_output_spec(self, x: Any) -> KerasTensor:
        """The same shape."""
        return KerasTensor(x.shape, np.dtype(self.dtype).name)

    def gradients(self, dy: Any, residuals: Any) -> tuple[Any]:
        """None through integers."""
        floating = residuals.kind == "f" and np.dtype(self.dtype).kind == "f"
        return (dy.astype(residuals) if floating else None,)


def cast(x: Any, dtype: Any) -> Any:
    """`x` in another dtype."""
    return apply(Cast, x, dtype=np.dtype(dtype).name)


@operation(CORE)
class StopGradient(Constant):
    """x, through which no gradient goes."""

    def forward(self, variable: Any) -> tuple[np.ndarray, None]:
        """x itself."""
        return as_array(variable), None


def stop_gradient(variable: Any) -> Any:
    """The value, as a constant: no gradient goes through it."""
    return apply(StopGradient, variable)
