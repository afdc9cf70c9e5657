"""ReLU as a layer, with a ceiling, a leak and a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import activations
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class ReLU(Layer):
    """Rectified linear unit.

    Args:
        max_value: largest output, >= 0; None for no ceiling.
        negative_slope: slope below the threshold, >= 0.
        threshold: inputs below it are cut, >= 0.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**:

        y = max_value                         x >= max_value
        y = x                                 threshold <= x < max_value
        y = negative_slope * (x - threshold)  x < threshold

    **Gradient**: 0, dy and `negative_slope * dy` in these three ranges. At the corners
    it is what TensorFlow makes it: see `minikeras.activations.relu`.

    **Keeps**: what `activations.relu` keeps.

    >>> ReLU(max_value=4, negative_slope=0.5)(np.array([-2.0, 1.0, 9.0], "float32"))
    array([-1.,  1.,  4.], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ValueError(
                "max_value of a ReLU layer cannot be a negative value. Received: "
                f"max_value={max_value}"
            )
        if negative_slope is None or negative_slope < 0.0:
            raise ValueError(
                "negative_slope of a ReLU layer cannot be None or a negative value. "
                f"Received: negative_slope={negative_slope}"
            )
        if threshold is None or threshold < 0.0:
            raise ValueError(
                "threshold of a ReLU layer cannot be None or a negative value. "
                f"Received: threshold={threshold}"
            )
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """`activations.relu` with this layer's parameters."""
        return activations.relu.forward(
            x,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> np.ndarray:
        """The gradient of `activations.relu`."""
        return activations.relu.backward(dy, residuals)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
