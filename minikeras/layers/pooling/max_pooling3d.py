"""MaxPooling3D: the largest element of each window of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.pooling.base_pooling import BasePooling
from minikeras.ops.pool_ties import max_pool_ties_grad
from minikeras.ops.windows import Geometry, from_channels_last, to_channels_last
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class MaxPooling3DResiduals(NamedTuple):
    """What `MaxPooling3D.backward` needs.

    Attributes:
        x: the input, channels last.
        y: the output, channels last.
        geometry: how the window moved.
    """

    x: np.ndarray
    y: np.ndarray
    geometry: Geometry


@public("keras.layers", "MaxPool3D")
@public("keras.layers")
class MaxPooling3D(BasePooling):
    """Keeps the largest element of each window, channel by channel.

    Args:
        pool_size: the window, one integer per axis or one for all three.
        strides: by how many voxels it moves; None is `pool_size`.
        padding: `"valid"` or `"same"`, see `BasePooling`.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        name: the layer's name.
        **kwargs: `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, R, C), or (N, C, P, Q, R), each axis as in `MaxPooling2D`.

    **Formula**: that of `MaxPooling2D` with one axis more.

    **Gradient**: each dy goes to the element that was the maximum. NB: as in Keras on
    TensorFlow, each of several equal elements gets all of it; see `ops/pool_ties.py`.

    **Keeps**: x and y, to find the elements equal to the maximum.

    >>> import numpy as np
    >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2, 1)
    >>> MaxPooling3D(2)(x).ravel()
    array([7.], dtype=float32)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            pool_size,
            strides,
            pool_dimensions=3,
            pool_mode="max",
            padding=padding,
            data_format=data_format,
            name=name,
            **kwargs,
        )

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, MaxPooling3DResiduals]:
        """The pooled x."""
        y, residuals = super().forward(x)
        return y, MaxPooling3DResiduals(
            to_channels_last(x, self.data_format),
            to_channels_last(y, self.data_format),
            residuals.geometry,
        )

    def backward(
        self, dy: np.ndarray, residuals: MaxPooling3DResiduals, grads: Gradients
    ) -> np.ndarray:
        """dx."""
        x, y, g = residuals
        dx = max_pool_ties_grad(to_channels_last(dy, self.data_format), x, y, g)
        return from_channels_last(dx, self.data_format)
