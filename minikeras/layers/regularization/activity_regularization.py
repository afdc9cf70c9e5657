"""ActivityRegularization: a penalty on what passes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import regularizers
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class ActivityRegularization(Layer):
    """Returns its input and adds a penalty on it to the loss.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x`; the loss gets `(l1 * sum|x| + l2 * sum(x**2)) / N`, N the
    batch size, as for every `activity_regularizer`.

    **Gradient**: `dx = dy`, to which whoever adds the penalty to the loss has added the
    penalty's gradient.

    **Keeps**: nothing.

    >>> layer = ActivityRegularization(l2=0.5)
    >>> _ = layer(np.array([[1.0, 3.0]], "float32"))
    >>> float(layer.losses[0])
    5.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """`x`."""
        return x, None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """`dy`."""
        return dy

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: the regularizer is made from l1 and l2."""
        base = super().get_config()
        base.pop("activity_regularizer", None)
        return {**base, "l1": self.l1, "l2": self.l2}
