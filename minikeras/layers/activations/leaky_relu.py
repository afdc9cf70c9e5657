"""LeakyReLU as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import activations
from minikeras.layers.layer import Layer
from minikeras.messages import warn
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class LeakyReLU(Layer):
    """Rectified linear unit that lets a fraction of negative values through.

    Args:
        negative_slope: slope for x < 0, >= 0. NB: 0.3 here, 0.2 in
            `activations.leaky_relu`; both are Keras's.
        **kwargs: `name`, `dtype`, `trainable`; and `alpha`, the old name of
            `negative_slope`, which warns.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x` for x >= 0, `negative_slope * x` below.

    **Gradient**: `dx = dy` for x > 0, `negative_slope * dy` elsewhere, 0 included.

    **Keeps**: what `activations.leaky_relu` keeps.

    >>> LeakyReLU(negative_slope=0.5)(np.array([-10.0, 0.0, 5.0], "float32"))
    array([-5.,  0.,  5.], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warn(
                "Argument `alpha` is deprecated. Use `negative_slope` instead.",
            )
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or "
                "negative value. Expected a float. Received: "
                f"negative_slope={negative_slope}"
            )
        self.negative_slope = negative_slope
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """`activations.leaky_relu` with this layer's slope."""
        return activations.leaky_relu.forward(x, negative_slope=self.negative_slope)

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> np.ndarray:
        """The gradient of `activations.leaky_relu`."""
        return activations.leaky_relu.backward(dy, residuals)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}
