"""ELU as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import activations
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class ELU(Layer):
    """Exponential linear unit.

    Args:
        alpha: minus the value that y approaches for very negative x.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x` for x > 0, `alpha * (exp(x) - 1)` elsewhere.

    **Gradient**: `dx = dy` for x > 0, `dy * alpha * exp(x)` elsewhere.

    **Keeps**: what `activations.elu` keeps.

    Reference: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network
    learning by exponential linear units", 2015, section 3.

    >>> ELU(alpha=2.0)(np.array([-100.0, 3.0], "float32"))
    array([-2.,  3.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """`activations.elu` with this layer's alpha."""
        return activations.elu.forward(x, alpha=self.alpha)

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> np.ndarray:
        """The gradient of `activations.elu`."""
        return activations.elu.backward(dy, residuals)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha}
