"""Conv3D: one small kernel slides over a volume."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv import BaseConv
from minikeras.registry import public


@public("keras.layers", "Convolution3D")
@public("keras.layers")
class Conv3D(BaseConv):
    """3D convolution: each output voxel is a weighted sum of a window of the input.

    Args:
        filters: O, the number of output channels.
        kernel_size: (I, J, K), or one integer for all: the size of the window.
        strides: by how many voxels the window moves along each axis.
        padding: `"valid"` or `"same"`, see `Conv2D`.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        Others: see `Conv2D`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, R, O), or (N, O, P, Q, R), each axis as in `Conv2D`.

    Weights:
        `kernel` (I, J, K, C / groups, O), `bias` (O,).

    **Formula** and **Gradient**: those of `Conv2D` with one axis more.

    **Keeps**: x and what the activation keeps.

    >>> import numpy as np
    >>> Conv3D(4, 3, padding="same")(np.ones((1, 5, 6, 7, 2), "float32")).shape
    (1, 5, 6, 7, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=3,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
