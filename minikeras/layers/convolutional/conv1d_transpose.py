"""Conv1DTranspose: the gradient of a convolution, used as a layer."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv_transpose import BaseConvTranspose
from minikeras.registry import public


@public("keras.layers", "Convolution1DTranspose")
@public("keras.layers")
class Conv1DTranspose(BaseConvTranspose):
    """1D transposed convolution: each step lays a kernel into a longer sequence.

    Args:
        filters: O, the number of output channels.
        kernel_size: the size of the kernel.
        strides: how far apart neighbours lay their kernels.
        padding: `"valid"` or `"same"`, see `Conv2DTranspose`.
        output_padding: how much longer the output is, see `Conv2DTranspose`.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        Others: see `Conv2DTranspose`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, P, O), or (N, O, P), each axis as in `Conv2DTranspose`.

    Weights:
        `kernel` (I, O, C), output channels before input channels; `bias` (O,).

    **Formula** and **Gradient**: those of `Conv2DTranspose` with one axis less.

    **Keeps**: x and what the activation keeps.

    >>> import numpy as np
    >>> layer = Conv1DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer(np.array([[[1.0], [2.0]]], "float32")).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
            rank=1,
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
