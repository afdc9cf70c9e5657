"""Identity: what goes in comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minikeras import tree
from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class Identity(Layer):
    """A placeholder that returns its input, a tensor or a structure of tensors.

    Args:
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x`. **Gradient**: `dx = dy`. **Keeps**: nothing.

    >>> import numpy as np
    >>> Identity()(np.array([1, 2]))
    array([1, 2])
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def forward(self, x: Any) -> tuple[Any, None]:
        """`x`."""
        return x, None

    def backward(self, dy: Any, residuals: None, grads: Gradients) -> Any:
        """`dy`."""
        return dy

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def compute_output_spec(self, inputs: Any) -> Any:
        """New symbolic tensors of the same shapes and dtypes."""
        return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), inputs)
