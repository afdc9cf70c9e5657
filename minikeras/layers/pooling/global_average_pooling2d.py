"""GlobalAveragePooling2D: the mean of each channel over all pixels."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_global_pooling import BaseGlobalAveragePooling
from minikeras.registry import public


@public("keras.layers", "GlobalAvgPool2D")
@public("keras.layers")
class GlobalAveragePooling2D(BaseGlobalAveragePooling):
    """The mean of each channel over all pixels.

    Args:
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        keepdims: whether the spatial axes stay, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, 1, C), or (N, C, 1, 1).

    **Formula**: `y[n, c] = sum over h, w of x[n, h, w, c] / (H * W)`.

    **Gradient**: `dx[n, h, w, c] = dy[n, c] / (H * W)`.

    **Keeps**: the shape of x.

    >>> import numpy as np
    >>> x = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> GlobalAveragePooling2D()(x)
    array([[1.5]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=2, data_format=data_format, keepdims=keepdims, **kwargs
        )
