"""What the pooling layers share, whatever the number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.arguments import standardize_padding, standardize_tuple
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.pool import (
    average_pool,
    average_pool_grad,
    max_pool,
    max_pool_grad,
)
from minikeras.ops.windows import (
    Geometry,
    from_channels_last,
    geometry,
    output_lengths,
    to_channels_last,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class PoolingResiduals(NamedTuple):
    """What the backward pass of a pooling needs. Not the input.

    Attributes:
        winner: for max pooling, which element of its window each output is: an integer
            per output, channels last. None for average pooling.
        geometry: how the window moved.
        x_shape: the input's shape, channels last.
    """

    winner: np.ndarray | None
    geometry: Geometry
    x_shape: tuple[int, ...]


class BasePooling(Layer):
    """The maximum or the mean of a sliding window, for each channel by itself.

    The mathematics is in `ops/pool.py`.

    Args:
        pool_size: the window, an integer or one per axis.
        strides: by how much it moves; None is `pool_size`: windows side by side.
        pool_dimensions: the number of spatial axes.
        pool_mode: `"max"` or `"average"`.
        padding: `"valid"` (windows stay inside; what is left over at the end is
            dropped) or `"same"` (`ceil(length / stride)` windows; the padding is never
            the maximum and does not count in the mean).
        data_format: `"channels_last"` or `"channels_first"`.

    NB: Keras accepts any `padding` and strides of 0 here, and fails at the first call.
    """

    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        pool_dimensions: int,
        pool_mode: str = "max",
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        strides = pool_size if strides is None else strides
        self.pool_size = standardize_tuple(pool_size, pool_dimensions, "pool_size")
        self.strides = standardize_tuple(strides, pool_dimensions, "strides")
        if pool_mode not in ("max", "average"):
            raise ValueError(
                "`pool_mode` must be either 'max' or 'average'. Received: "
                f"pool_mode={pool_mode!r}"
            )
        self.pool_mode = pool_mode
        self.padding = standardize_padding(padding)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=pool_dimensions + 2)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, PoolingResiduals]:
        """The pooled x."""
        x = to_channels_last(x, self.data_format)
        g = geometry(
            x.shape[1:-1],
            self.pool_size,
            self.strides,
            self.padding,
            caller=f"layer '{self.name}'",
        )
        if self.pool_mode == "max":
            y, winner = max_pool(x, g)
        else:
            # Integers are counted as floats.
            x = x if x.dtype.kind == "f" else x.astype(self.compute_dtype)
            y, winner = average_pool(x, g), None
        residuals = PoolingResiduals(winner, g, x.shape)
        return from_channels_last(y, self.data_format), residuals

    def backward(
        self, dy: np.ndarray, residuals: PoolingResiduals, grads: Gradients
    ) -> np.ndarray:
        """dx."""
        winner, g, x_shape = residuals
        dy = to_channels_last(dy, self.data_format)
        if winner is not None:
            dx = max_pool_grad(dy, winner, g, x_shape)
        else:
            dx = average_pool_grad(dy, g, x_shape)
        return from_channels_last(dx, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The output shape; sizes that are None stay None."""
        last = self.data_format == "channels_last"
        out = output_lengths(
            input_shape[1:-1] if last else input_shape[2:],
            self.pool_size,
            self.strides,
            self.padding,
            dilation=(1,) * len(self.pool_size),
            caller=f"layer '{self.name}'",
        )
        if last:
            return (input_shape[0], *out, input_shape[-1])
        return (*input_shape[:2], *out)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }
