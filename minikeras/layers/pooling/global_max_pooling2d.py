"""GlobalMaxPooling2D: the maximum of each channel over all pixels."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_global_pooling import BaseGlobalMaxPooling
from minikeras.registry import public


@public("keras.layers", "GlobalMaxPool2D")
@public("keras.layers")
class GlobalMaxPooling2D(BaseGlobalMaxPooling):
    """The maximum of each channel over all pixels.

    Args:
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        keepdims: whether the spatial axes stay, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, 1, C), or (N, C, 1, 1).

    **Formula**: `y[n, c] = max over h, w of x[n, h, w, c]`.

    **Gradient**: `dx = hit / count * dy`, where `hit` says which elements equal the
    maximum and `count` how many they are: ties share evenly (`MaxPooling2D` gives all
    to the first).

    **Keeps**: x and y, to find the hits.

    >>> import numpy as np
    >>> x = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    >>> GlobalMaxPooling2D()(x)
    array([[3.]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=2, data_format=data_format, keepdims=keepdims, **kwargs
        )
