"""What the global pooling layers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.pool import (
    global_average_pool,
    global_average_pool_grad,
    global_max_pool,
    global_max_pool_grad,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class BaseGlobalPooling(Layer):
    """One number per example and channel, from all positions.

    Args:
        pool_dimensions: the number of spatial axes.
        data_format: `"channels_last"` or `"channels_first"`.
        keepdims: whether the spatial axes stay, with length 1.
    """

    def __init__(
        self,
        pool_dimensions: int,
        data_format: str | None = None,
        keepdims: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=pool_dimensions + 2)

    def _axes(self, rank: int) -> tuple[int, ...]:
        """The spatial axes of an array of this rank."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + rank - 2))

    def _drop(self, y: np.ndarray) -> np.ndarray:
        """Without the spatial axes, if they are not to be kept."""
        return y if self.keepdims else y.squeeze(self._axes(y.ndim))

    def _restore(self, dy: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """The inverse of `_drop`: axes of length 1 in the places `axes`."""
        return dy if self.keepdims else np.expand_dims(dy, axes)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, C), or with `keepdims` the input's shape with spatial sizes 1."""
        ones = (1,) * (len(input_shape) - 2) if self.keepdims else ()
        if self.data_format == "channels_last":
            return (input_shape[0], *ones, input_shape[-1])
        return (*input_shape[:2], *ones)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "keepdims": self.keepdims,
        }


class GlobalMaxResiduals(NamedTuple):
    """What the backward pass of a global maximum needs.

    Attributes:
        x: the input.
        y: the maxima, with the spatial axes still there, of length 1.
    """

    x: np.ndarray
    y: np.ndarray


class BaseGlobalMaxPooling(BaseGlobalPooling):
    """The maximum of all positions."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, GlobalMaxResiduals]:
        """The largest element of each channel."""
        y = global_max_pool(x, self._axes(x.ndim))
        return self._drop(y), GlobalMaxResiduals(x, y)

    def backward(
        self, dy: np.ndarray, residuals: GlobalMaxResiduals, grads: Gradients
    ) -> np.ndarray:
        """dy to the maximum, in equal parts where there are several."""
        x, y = residuals
        axes = self._axes(x.ndim)
        return global_max_pool_grad(self._restore(dy, axes), x, y, axes)


class GlobalAverageResiduals(NamedTuple):
    """What the backward pass of a global mean needs.

    Attributes:
        x_shape: the input's shape.
        mask: which positions counted, broadcasting against x; None is all.
    """

    x_shape: tuple[int, ...]
    mask: np.ndarray | None


class BaseGlobalAveragePooling(BaseGlobalPooling):
    """The mean of all positions."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, GlobalAverageResiduals]:
        """The mean of each channel."""
        return self._mean(x, None)

    def _mean(
        self, x: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, GlobalAverageResiduals]:
        x = x if x.dtype.kind == "f" else x.astype(self.compute_dtype)
        y = global_average_pool(x, self._axes(x.ndim), mask)
        return self._drop(y), GlobalAverageResiduals(x.shape, mask)

    def backward(
        self, dy: np.ndarray, residuals: GlobalAverageResiduals, grads: Gradients
    ) -> np.ndarray:
        """dy / count to every position that counted."""
        x_shape, mask = residuals
        axes = self._axes(len(x_shape))
        return global_average_pool_grad(self._restore(dy, axes), x_shape, axes, mask)
