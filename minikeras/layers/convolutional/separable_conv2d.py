"""SeparableConv2D: channels convolved one by one, then mixed at each pixel."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_separable_conv import BaseSeparableConv
from minikeras.registry import public


@public("keras.layers", "SeparableConvolution2D")
@public("keras.layers")
class SeparableConv2D(BaseSeparableConv):
    """2D separable convolution: a depthwise convolution, then a 1x1 convolution.

    Args:
        filters: F, the number of output channels.
        kernel_size: (I, J), or one integer for both: height and width of the window.
        strides: (s, t): by how many pixels the window moves.
        padding: `"valid"` or `"same"`, see `Conv2D`.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        dilation_rate: distance between neighbouring taps of the window.
        depth_multiplier: M, the number of depthwise kernels of each channel.
        activation: name or function applied at the end.
        use_bias: whether a bias per filter is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: how the weights
            start.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: penalties on
            the weights.
        activity_regularizer: penalty on the output.
        depthwise_constraint, pointwise_constraint, bias_constraint: projections after
            each update.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, F), or (N, F, P, Q), with P and Q as in `Conv2D`.

    Weights:
        `depthwise_kernel` (I, J, C, M), `pointwise_kernel` (1, 1, C * M, F),
        `bias` (F,).

    **Formula**: `middle = depthwise(x)` as in `DepthwiseConv2D`, without bias;
    `z = middle @ pointwise_kernel + bias`; `y = activation(z)`.

    **Gradient**: `dpointwise = sum of outer(middle, dz)`,
    `dmiddle = dz @ pointwise_kernel.T`, and from there as `DepthwiseConv2D`.

    **Keeps**: x, middle, and what the activation keeps.

    Reference: Chollet, "Xception: deep learning with depthwise separable convolutions"
    (2017), section 2.

    >>> import numpy as np
    >>> layer = SeparableConv2D(4, 3, padding="same")
    >>> layer(np.ones((1, 5, 5, 2), "float32")).shape, layer.count_params()
    ((1, 5, 5, 4), 30)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
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
            rank=2,
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
