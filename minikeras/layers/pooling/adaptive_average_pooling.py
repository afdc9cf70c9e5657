"""Adaptive average pooling of sequences, images and volumes: so many means."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_adaptive_pooling import (
    BaseAdaptiveAveragePooling,
    sizes,
)
from minikeras.registry import public


@public("keras.layers")
class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    """The mean of each window of a sequence, with windows that give the wanted size.

    Args:
        output_size: P: the wanted length.
        data_format: `"channels_last"` (N, L, C) or `"channels_first"` (N, C, L).
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, L, C), or (N, C, L) with `"channels_first"`.

    Output shape:
        (N, P, C), or (N, C, P).

    **Formula**: `y[n, p, c] = mean over l in window p of x[n, l, c]`; window p is
    `floor(p * L / P)` to `ceil((p + 1) * L / P) - 1`.

    **Gradient**: each dy in equal parts to the elements of its window. Windows overlap
    where L is no multiple of P; then an element gets the sum.

    **Keeps**: the input's shape.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 5, 1)
    >>> AdaptiveAveragePooling1D(3)(x).ravel()
    array([0.5, 2. , 3.5], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 1, "tuple of 1 integer")
        super().__init__(output_size, data_format, **kwargs)


@public("keras.layers")
class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    """The mean of each window of an image, with windows that give the wanted size.

    Args:
        output_size: (P, Q), or one integer for both: the wanted height and width.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, C), or (N, C, P, Q).

    **Formula**:
    `y[n, p, q, c] = mean over h in window p, w in window q of x[n, h, w, c]`; window p
    is `floor(p * H / P)` to `ceil((p + 1) * H / P) - 1`, the same in width.

    **Gradient**: each dy in equal parts to the elements of its window. Windows overlap
    where H is no multiple of P; then an element gets the sum.

    **Keeps**: the input's shape.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 1, 5, 1)
    >>> AdaptiveAveragePooling2D((1, 3))(x).ravel()
    array([0.5, 2. , 3.5], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 2, "(height, width) tuple")
        super().__init__(output_size, data_format, **kwargs)


@public("keras.layers")
class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    """The mean of each window of a volume, with windows that give the wanted size.

    Args:
        output_size: (O, P, Q), or one integer for all: the wanted depth,
            height and width.
        data_format: `"channels_last"` (N, D, H, W, C) or
            `"channels_first"` (N, C, D, H, W).
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, O, P, Q, C), or (N, C, O, P, Q).

    **Formula**:
    `y[n, o, p, q, c] = mean over d, h, w in windows o, p, q of x[n, d, h, w, c]`;
    window o is `floor(o * D / O)` to `ceil((o + 1) * D / O) - 1`, the same in the
    others.

    **Gradient**: each dy in equal parts to the elements of its window. Windows overlap
    where D is no multiple of O; then an element gets the sum.

    **Keeps**: the input's shape.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 1, 1, 5, 1)
    >>> AdaptiveAveragePooling3D((1, 1, 3))(x).ravel()
    array([0.5, 2. , 3.5], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 3, "(depth, height, width) tuple")
        super().__init__(output_size, data_format, **kwargs)
