"""GlobalAveragePooling3D: the mean of each channel over all voxels."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_global_pooling import BaseGlobalAveragePooling
from minikeras.registry import public


@public("keras.layers", "GlobalAvgPool3D")
@public("keras.layers")
class GlobalAveragePooling3D(BaseGlobalAveragePooling):
    """The mean of each channel over all voxels.

    Args:
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        keepdims: whether the spatial axes stay, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, 1, 1, C), or (N, C, 1, 1, 1).

    **Formula**: `y[n, c] = sum over d, h, w of x[n, d, h, w, c] / (D * H * W)`.

    **Gradient**: `dx[n, d, h, w, c] = dy[n, c] / (D * H * W)`.

    **Keeps**: the shape of x.

    >>> import numpy as np
    >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2, 1)
    >>> GlobalAveragePooling3D()(x)
    array([[3.5]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=3, data_format=data_format, keepdims=keepdims, **kwargs
        )
