"""Activation: any activation function as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import activations
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: name from `minikeras.activations`, or a `@differentiable` function.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = activation(x)`.

    **Gradient**: the function's own.

    **Keeps**: what the function keeps: for relu, tanh and sigmoid, y alone.

    >>> Activation("relu")(np.array([-1.0, 2.0], "float32"))
    array([0., 2.], dtype=float32)
    """

    ends_in_activation = True

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """`activation(x)`."""
        return self.activation.forward(x)

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> np.ndarray:
        """The activation's gradient."""
        return self.activation.backward(dy, residuals)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        activation = activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}
