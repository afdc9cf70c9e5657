"""GlobalMaxPooling3D: the maximum of each channel over all voxels."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_global_pooling import BaseGlobalMaxPooling
from minikeras.registry import public


@public("keras.layers", "GlobalMaxPool3D")
@public("keras.layers")
class GlobalMaxPooling3D(BaseGlobalMaxPooling):
    """The maximum of each channel over all voxels.

    Args:
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        keepdims: whether the spatial axes stay, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, 1, 1, C), or (N, C, 1, 1, 1).

    **Formula**: `y[n, c] = max over d, h, w of x[n, d, h, w, c]`.

    **Gradient**: `dx = hit / count * dy`: elements equal to the maximum share evenly.

    **Keeps**: x and y, to find the hits.

    >>> import numpy as np
    >>> x = np.arange(8, dtype="float32").reshape(1, 2, 2, 2, 1)
    >>> GlobalMaxPooling3D()(x)
    array([[7.]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=3, data_format=data_format, keepdims=keepdims, **kwargs
        )
