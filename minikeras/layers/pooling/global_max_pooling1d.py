"""GlobalMaxPooling1D: the maximum of each channel over all steps."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_global_pooling import BaseGlobalMaxPooling
from minikeras.registry import public


@public("keras.layers", "GlobalMaxPool1D")
@public("keras.layers")
class GlobalMaxPooling1D(BaseGlobalMaxPooling):
    """The maximum of each channel over all steps.

    Args:
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        keepdims: whether the spatial axis stays, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, C), or (N, C, 1).

    **Formula**: `y[n, c] = max over t of x[n, t, c]`.

    **Gradient**: `dx = hit / count * dy`, where `hit` says which elements equal the
    maximum and `count` how many they are: ties share evenly (`MaxPooling1D` gives all
    to the first).

    **Keeps**: x and y, to find the hits.

    >>> import numpy as np
    >>> x = np.array([[[1.0], [3.0], [2.0]]], "float32")
    >>> GlobalMaxPooling1D()(x)
    array([[3.]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=1, data_format=data_format, keepdims=keepdims, **kwargs
        )
