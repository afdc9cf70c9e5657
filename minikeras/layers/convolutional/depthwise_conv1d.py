"""DepthwiseConv1D: every channel of a sequence has kernels of its own."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from minikeras.registry import public


@public("keras.layers")
class DepthwiseConv1D(BaseDepthwiseConv):
    """1D depthwise convolution: channels are convolved one by one, and not mixed.

    Args:
        kernel_size: I, the length of the window.
        strides: by how many steps the window moves.
        padding: `"valid"` or `"same"`, see `Conv2D`.
        depth_multiplier: M, the number of kernels of each channel.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        Others: see `DepthwiseConv2D`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, P, C * M), or (N, C * M, P), with P as for one axis of `Conv2D`.

    Weights:
        `kernel` (I, C, M), `bias` (C * M,).

    **Formula** and **Gradient**: those of `DepthwiseConv2D` with one axis less.

    **Keeps**: x and what the activation keeps.

    >>> import numpy as np
    >>> layer = DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer(np.array([[[1.0, 10.0], [2.0, 20.0]]], "float32")).ravel()
    array([ 3., 30.], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=1,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            depth_multiplier=depth_multiplier,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
