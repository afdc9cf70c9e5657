"""Rescaling: a multiplication and an addition, such as pixels to [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.casting import cast
from minikeras.config import image_data_format
from minikeras.layers.layer import Layer
from minikeras.ops.elementwise import unbroadcast
from minikeras.registry import public
from minikeras.serialization import deserialize_keras_object, serialize_keras_object

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class RescalingResiduals(NamedTuple):
    """What `Rescaling.backward` needs.

    Attributes:
        scale: as it was multiplied with.
        shape: of the input.
        is_float: whether the input has a gradient.
    """

    scale: np.ndarray
    shape: tuple[int, ...]
    is_float: bool


@public("keras.layers")
class Rescaling(Layer):
    """Multiplies by a number and adds another.

    Args:
        scale: a number, or a list or array, one per channel.
        offset: likewise.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same, floats.

    **Formula**: `y = x * scale + offset`. With the configured image format
    `"channels_first"` a list of scales goes along the channels, third from the end.

    **Gradient**: `dx = dy * scale`.

    **Keeps**: the scale.

    >>> Rescaling(1 / 255)(np.array([0, 255]))
    array([0., 1.], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, RescalingResiduals]:
        """`x * scale + offset`."""
        dtype = self.compute_dtype
        # NB: cast as in Keras, where Python floats pass through float32.
        scale, offset = cast(self.scale, dtype), cast(self.offset, dtype)
        if scale.ndim and image_data_format() == "channels_first":
            scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
        y = x.astype(dtype, copy=False) * scale + offset
        return y, RescalingResiduals(scale, x.shape, x.dtype.kind == "f")

    def backward(
        self, dy: np.ndarray, residuals: RescalingResiduals, grads: Gradients
    ) -> np.ndarray | None:
        """`dy * scale`."""
        scale, shape, is_float = residuals
        return unbroadcast(dy * scale, shape) if is_float else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; arrays in Keras's form."""
        return {
            **super().get_config(),
            "scale": serialize_keras_object(self.scale),
            "offset": serialize_keras_object(self.offset),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The inverse of `get_config`."""
        config = dict(config)
        for key in ("scale", "offset"):
            if key in config:
                config[key] = deserialize_keras_object(config[key])
        return super().from_config(config)
