"""AveragePooling3D: the mean of each window of a volume."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_pooling import BasePooling
from minikeras.registry import public


@public("keras.layers", "AvgPool3D")
@public("keras.layers")
class AveragePooling3D(BasePooling):
    """Keeps the mean of each window, channel by channel.

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
        (N, P, Q, R, C), or (N, C, P, Q, R), each axis as in `AveragePooling2D`.

    **Formula** and **Gradient**: those of `AveragePooling2D` with one axis more.

    **Keeps**: nothing but shapes.

    >>> import numpy as np
    >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2, 1)
    >>> AveragePooling3D(2)(x).ravel()
    array([3.5], dtype=float32)
    """

    def __init__(
        self,
        pool_size: Any,
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
            pool_mode="average",
            padding=padding,
            data_format=data_format,
            name=name,
            **kwargs,
        )
