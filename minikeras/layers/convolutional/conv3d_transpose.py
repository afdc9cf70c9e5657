"""Conv3DTranspose: the gradient of a convolution, used as a layer."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv_transpose import BaseConvTranspose
from minikeras.registry import public


@public("keras.layers", "Convolution3DTranspose")
@public("keras.layers")
class Conv3DTranspose(BaseConvTranspose):
    """3D transposed convolution: each voxel lays a kernel into a larger volume.

    Args:
        filters: O, the number of output channels.
        kernel_size: the size of the kernel along each axis.
        strides: how far apart neighbours lay their kernels.
        padding: `"valid"` or `"same"`, see `Conv2DTranspose`.
        output_padding: how much longer the output is, see `Conv2DTranspose`.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        Others: see `Conv2DTranspose`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, R, O), or (N, O, P, Q, R), each axis as in `Conv2DTranspose`.

    Weights:
        `kernel` (I, J, K, O, C), output channels before input channels; `bias` (O,).

    **Formula** and **Gradient**: those of `Conv2DTranspose` with one axis more.

    **Keeps**: x and what the activation keeps.

    >>> import numpy as np
    >>> layer = Conv3DTranspose(4, 3, strides=2, padding="same")
    >>> layer(np.ones((1, 2, 3, 4, 1), "float32")).shape
    (1, 4, 6, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = (1, 1, 1),
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
            output_padding=output_padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
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
