"""SeparableConv1D: channels convolved one by one, then mixed at each step."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_separable_conv import BaseSeparableConv
from minikeras.registry import public


@public("keras.layers", "SeparableConvolution1D")
@public("keras.layers")
class SeparableConv1D(BaseSeparableConv):
    """1D separable convolution: a depthwise convolution, then one of length 1.

    Args:
        filters: F, the number of output channels.
        kernel_size: I, the length of the window.
        strides: by how many steps the window moves.
        padding: `"valid"` or `"same"`, see `Conv2D`.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        Others: see `SeparableConv2D`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, P, F), or (N, F, P), with P as for one axis of `Conv2D`.

    Weights:
        `depthwise_kernel` (I, C, M), `pointwise_kernel` (1, C * M, F), `bias` (F,).

    **Formula** and **Gradient**: those of `SeparableConv2D` with one axis less.

    **Keeps**: x, the output of the depthwise part, and what the activation keeps.

    >>> import numpy as np
    >>> layer = SeparableConv1D(4, 3)
    >>> layer(np.ones((1, 5, 2), "float32")).shape, layer.count_params()
    ((1, 3, 4), 18)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            rank=1,
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
