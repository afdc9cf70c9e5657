"""MaxPooling3D: the largest element of each window of a volume."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_pooling import BasePooling
from minikeras.registry import public


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

    **Formula** and **Gradient**: those of `MaxPooling2D` with one axis more.

    **Keeps**: which element won in each window, one byte per output; not x.

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
