"""Flatten: all axes but the batch become one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class FlattenResiduals(NamedTuple):
    """What `Flatten.backward` needs.

    Attributes:
        shape: of the input, channels last.
    """

    shape: tuple[int, ...]


@public("keras.layers")
class Flatten(Layer):
    """Lays the values of each example out in one row.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default. With channels first the channels are moved to the end before, so
            that both layouts give the same row.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ...).

    Output shape:
        (N, product of the other sizes); (N, 1) for an input (N,).

    **Formula**: `y[n, :] = x[n]`, the last axis running fastest.

    **Gradient**: dy in the input's shape.

    **Keeps**: that shape.

    >>> Flatten()(np.zeros((2, 3, 4), "float32")).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    @property
    def _moves_channels(self) -> bool:
        return self.data_format == "channels_first"

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, FlattenResiduals]:
        """Each example as a row."""
        if self._moves_channels and x.ndim > 1:
            x = np.moveaxis(x, 1, -1)  # (N, C, ...) -> (N, ..., C)
        y = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        return y, FlattenResiduals(x.shape)

    def backward(
        self, dy: np.ndarray, residuals: FlattenResiduals, grads: Gradients
    ) -> np.ndarray:
        """`dy`, laid back."""
        dx = dy.reshape(residuals.shape)
        if self._moves_channels and dx.ndim > 1:
            dx = np.moveaxis(dx, -1, 1)  # in forward: moveaxis(x, 1, -1)
        return dx

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, product); None if a size is unknown."""
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Keeps the dtype, which may be an integer one."""
        return KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}
