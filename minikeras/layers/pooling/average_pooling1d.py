"""AveragePooling1D: the mean of each window of a sequence."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_pooling import BasePooling
from minikeras.registry import public


@public("keras.layers", "AvgPool1D")
@public("keras.layers")
class AveragePooling1D(BasePooling):
    """Keeps the mean of each window, channel by channel.

    Args:
        pool_size: I, the length of the window.
        strides: by how many steps it moves; None is `pool_size`.
        padding: `"valid"` or `"same"`, see `BasePooling`.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        name: the layer's name.
        **kwargs: `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, P, C), or (N, C, P). P is
        `floor((T - I) / s) + 1` with `"valid"`, `ceil(T / s)` with `"same"`.

    **Formula**: `y[n, p, c] = sum over i < I of x[n, p*s + i, c] / count[p]`, where
    `count` is the number of window elements inside the sequence: I but for windows
    that reach into `"same"` padding.

    **Gradient**: each dy is shared out evenly, `dy / count` to each element inside the
    window; an element in several windows gets the sum.

    **Keeps**: nothing but shapes.

    >>> import numpy as np
    >>> x = np.array([[[1.0], [3.0], [2.0], [2.0]]], "float32")
    >>> layer = AveragePooling1D(2)
    >>> layer(x).ravel()
    array([2., 2.], dtype=float32)
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
            pool_dimensions=1,
            pool_mode="average",
            padding=padding,
            data_format=data_format,
            name=name,
            **kwargs,
        )
