"""What the adaptive pooling layers share, whatever the number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.layer import Layer
from minikeras.ops.adaptive_pool import (
    adaptive_average,
    adaptive_average_grad,
    adaptive_max,
    adaptive_max_grad,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class BaseAdaptivePooling(Layer):
    """Pools to a wanted size: the windows follow from the input's.

    The mathematics is in `ops/adaptive_pool.py`.

    Args:
        output_size: (P, ...): the wanted size of each spatial axis.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    NB: Keras accepts sizes below 1 here and fails, or not, at the first call. A wrong
    number of axes it finds in TensorFlow, or not at all.
    """

    def __init__(self, output_size: tuple, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        if not all(isinstance(size, int) and size > 0 for size in output_size):
            raise ValueError(
                "`output_size` must be made of positive integers. Received: "
                f"output_size={output_size}. Layer: '{self.name}'"
            )
        self.output_size = output_size
        if data_format not in (None, "channels_first", "channels_last"):
            raise ValueError(
                f"Invalid data_format: {data_format}. Expected 'channels_first' or "
                f"'channels_last'. Layer: '{self.name}'"
            )
        self.data_format = standardize_data_format(data_format)

    def _axes(self, rank: int) -> range:
        """The spatial axes, in the order in which they are pooled."""
        if rank != len(self.output_size) + 2:
            raise ValueError(
                f"Layer '{self.name}' expects an input of rank "
                f"{len(self.output_size) + 2}: examples, {len(self.output_size)} "
                f"spatial axes and channels. Received: rank {rank}."
            )
        first = 1 if self.data_format == "channels_last" else 2
        return range(first, first + rank - 2)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The input's shape with the wanted spatial sizes."""
        shape = list(input_shape)
        for axis, size in zip(self._axes(len(shape)), self.output_size, strict=True):
            shape[axis] = size
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "data_format": self.data_format,
        }


class AdaptiveAverageResiduals(NamedTuple):
    """What the backward pass of an adaptive mean needs.

    Attributes:
        shape: the input's.
    """

    shape: tuple[int, ...]


class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """The mean of each window."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, AdaptiveAverageResiduals]:
        """The pooled x."""
        y = x if x.dtype.kind == "f" else x.astype(self.compute_dtype)
        for axis, count in zip(self._axes(x.ndim), self.output_size, strict=True):
            y = adaptive_average(y, axis, count)
        return y, AdaptiveAverageResiduals(x.shape)

    def backward(
        self, dy: np.ndarray, residuals: AdaptiveAverageResiduals, grads: Gradients
    ) -> np.ndarray:
        """Each dy in equal parts to its window."""
        for axis in reversed(self._axes(dy.ndim)):
            # in forward: y = adaptive_average(y, axis, count)
            dy = adaptive_average_grad(dy, axis, residuals.shape[axis])
        return dy


class AdaptiveMaxResiduals(NamedTuple):
    """What the backward pass of an adaptive maximum needs.

    Attributes:
        stages: the input of each step, that is of each spatial axis.
    """

    stages: list[np.ndarray]


class BaseAdaptiveMaxPooling(BaseAdaptivePooling):
    """The maximum of each window."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, AdaptiveMaxResiduals]:
        """The pooled x."""
        stages, y = [], x
        for axis, count in zip(self._axes(x.ndim), self.output_size, strict=True):
            stages.append(y)
            y = adaptive_max(y, axis, count)
        return y, AdaptiveMaxResiduals(stages)

    def backward(
        self, dy: np.ndarray, residuals: AdaptiveMaxResiduals, grads: Gradients
    ) -> np.ndarray:
        """Each dy to the element that was the maximum."""
        # NB: TensorFlow's maximum of volumes gives dy to each of equal elements.
        all_win = len(self.output_size) == 3
        steps = zip(self._axes(dy.ndim), residuals.stages, strict=True)
        for axis, x in reversed(list(steps)):
            # in forward: y = adaptive_max(x, axis, count)
            dy = adaptive_max_grad(dy, x, axis, all_win)
        return dy


def sizes(output_size: Any, rank: int, expected: str) -> tuple[int, ...]:
    """`output_size` as a tuple of `rank` sizes.

    Args:
        output_size: an integer, for all axes, or a tuple or list.
        rank: the number of spatial axes.
        expected: what to say that it must be.
    """
    if isinstance(output_size, int):
        return (output_size,) * rank
    if isinstance(output_size, tuple | list) and len(output_size) == rank:
        return tuple(output_size)
    if rank == 1 and isinstance(output_size, tuple | list):
        raise ValueError(
            "For 1D input, `output_size` tuple must have length 1. Received: "
            f"{output_size}"
        )
    raise TypeError(
        f"`output_size` must be an integer or {expected}. Received: {output_size} of "
        f"type {type(output_size)}"
    )
