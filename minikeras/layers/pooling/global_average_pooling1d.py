"""GlobalAveragePooling1D: the mean of each channel over all steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.layers.pooling.base_global_pooling import (
    BaseGlobalAveragePooling,
    GlobalAverageResiduals,
)
from minikeras.registry import public


@public("keras.layers", "GlobalAvgPool1D")
@public("keras.layers")
class GlobalAveragePooling1D(BaseGlobalAveragePooling):
    """The mean of each channel over all steps.

    Args:
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        keepdims: whether the spatial axis stays, with length 1.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        mask: booleans (N, T): steps that are False do not count. A sequence without any
            valid step gives NaN, as in Keras. The mask ends here.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, C); with `keepdims` (N, 1, C), or (N, C, 1).

    **Formula**: `y[n, c] = sum over t of mask[n, t] * x[n, t, c] / count[n]`, where
    `count[n] = sum over t of mask[n, t]`, which is T without a mask.

    **Gradient**: `dx[n, t, c] = mask[n, t] * dy[n, c] / count[n]`.

    **Keeps**: the shape of x and the mask.

    >>> import numpy as np
    >>> x = np.array([[[1.0], [3.0], [2.0]]], "float32")
    >>> GlobalAveragePooling1D()(x)
    array([[2.]], dtype=float32)
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ):
        super().__init__(
            pool_dimensions=1, data_format=data_format, keepdims=keepdims, **kwargs
        )
        self.supports_masking = True

    def forward(
        self, x: np.ndarray, *, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, GlobalAverageResiduals]:
        """The mean over the steps that count."""
        if mask is not None:  # (N, T) -> (N, T, 1) or (N, 1, T)
            channel_axis = 2 if self.data_format == "channels_last" else 1
            mask = np.expand_dims(np.asarray(mask, dtype=bool), channel_axis)
        return self._mean(x, mask)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: there are no steps any more."""
        return None
