"""MaxPooling2D: the largest element of each window of an image."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_pooling import BasePooling
from minikeras.registry import public


@public("keras.layers", "MaxPool2D")
@public("keras.layers")
class MaxPooling2D(BasePooling):
    """Keeps the largest element of each window, channel by channel.

    Args:
        pool_size: (I, J), or one integer for both: the height and width of the window.
        strides: (s, t): by how many pixels it moves; None is `pool_size`.
        padding: `"valid"` or `"same"`, see `BasePooling`.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        name: the layer's name.
        **kwargs: `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, C), or (N, C, P, Q). P, and Q likewise, is
        `floor((H - I) / s) + 1` with `"valid"`, `ceil(H / s)` with `"same"`.

    **Formula**: `y[n, p, q, c] = max over i < I, j < J of x[n, p*s + i, q*t + j, c]`.

    **Gradient**: each dy goes to the element that was the maximum. Of equal elements
    the first one (in row-major order) gets all of it; an element that wins in several
    windows gets the sum.

    **Keeps**: which element won in each window, one byte per output; not x.

    >>> import numpy as np
    >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    >>> layer = MaxPooling2D(2)
    >>> layer(x)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            pool_size,
            strides,
            pool_dimensions=2,
            pool_mode="max",
            padding=padding,
            data_format=data_format,
            name=name,
            **kwargs,
        )
