"""Permute: the axes of each example in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class Permute(Layer):
    """Reorders the axes of each example.

    Args:
        dims: the axes in their new order, counted from 1; axis 0, the batch, stays.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ...), with as many further axes as `dims` has entries.

    Output shape:
        (N, ...), reordered.

    **Formula**: `y.shape[i + 1] = x.shape[dims[i]]`.

    **Gradient**: dy with its axes put back: the inverse permutation.

    **Keeps**: nothing.

    >>> Permute((2, 1))(np.zeros((5, 3, 4), "float32")).shape
    (5, 4, 3)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of "
                "indices in `dims` must be consecutive and start from 1. "
                f"Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """`x` with its axes reordered."""
        return np.transpose(x, (0, *self.dims)), None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """`dy` with its axes put back."""
        # in forward: y = transpose(x, (0, *dims)); argsort inverts a permutation
        return np.transpose(dy, np.argsort((0, *self.dims)))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The input's, reordered."""
        return (input_shape[0], *(input_shape[dim] for dim in self.dims))

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Keeps the dtype, which may be an integer one."""
        return KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dims": self.dims}
