"""Adaptive max pooling of sequences, images and volumes: as many maxima as wanted."""

from __future__ import annotations

from typing import Any

from minikeras.layers.pooling.base_adaptive_pooling import (
    BaseAdaptiveMaxPooling,
    sizes,
)
from minikeras.registry import public


@public("keras.layers")
class AdaptiveMaxPooling1D(BaseAdaptiveMaxPooling):
    """The maximum of each window of a sequence, with windows that give the wanted size.

    Args:
        output_size: P: the wanted length.
        data_format: `"channels_last"` (N, L, C) or `"channels_first"` (N, C, L).
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, L, C), or (N, C, L) with `"channels_first"`.

    Output shape:
        (N, P, C), or (N, C, P).

    **Formula**: `y[n, p, c] = max over l in window p of x[n, l, c]`; window p is
    `floor(p * L / P)` to `ceil((p + 1) * L / P) - 1`.

    **Gradient**: each dy to the element that was the maximum; of equal elements to the
    first one.

    **Keeps**: the input.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 5, 1)
    >>> AdaptiveMaxPooling1D(3)(x).ravel()
    array([1., 3., 4.], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 1, "tuple of 1 integer")
        super().__init__(output_size, data_format, **kwargs)


@public("keras.layers")
class AdaptiveMaxPooling2D(BaseAdaptiveMaxPooling):
    """The maximum of each window of an image, with windows that give the wanted size.

    Args:
        output_size: (P, Q), or one integer for both: the wanted height and width.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, C), or (N, C, P, Q).

    **Formula**:
    `y[n, p, q, c] = max over h in window p, w in window q of x[n, h, w, c]`; window p
    is `floor(p * H / P)` to `ceil((p + 1) * H / P) - 1`, the same in width.

    **Gradient**: each dy to the element that was the maximum; of equal elements to the
    leftmost, and of those to the highest.

    **Keeps**: the input, and what it was pooled to along the first axes.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 1, 5, 1)
    >>> AdaptiveMaxPooling2D((1, 3))(x).ravel()
    array([1., 3., 4.], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 2, "(height, width) tuple")
        super().__init__(output_size, data_format, **kwargs)


@public("keras.layers")
class AdaptiveMaxPooling3D(BaseAdaptiveMaxPooling):
    """The maximum of each window of a volume, with windows that give the wanted size.

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
    `y[n, o, p, q, c] = max over d, h, w in windows o, p, q of x[n, d, h, w, c]`; window
    o is `floor(o * D / O)` to `ceil((o + 1) * D / O) - 1`, the same in the others.

    **Gradient**: each dy to the element that was the maximum; of equal elements to
    each. NB: the maxima of sequences and images give it to one.

    **Keeps**: the input, and what it was pooled to along the first axes.

    >>> import numpy as np
    >>> x = np.arange(5, dtype="float32").reshape(1, 1, 1, 5, 1)
    >>> AdaptiveMaxPooling3D((1, 1, 3))(x).ravel()
    array([1., 3., 4.], dtype=float32)
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        output_size = sizes(output_size, 3, "(depth, height, width) tuple")
        super().__init__(output_size, data_format, **kwargs)
