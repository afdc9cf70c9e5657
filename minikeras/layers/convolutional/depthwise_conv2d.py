"""DepthwiseConv2D: every channel of an image has kernels of its own."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from minikeras.registry import public


@public("keras.layers")
class DepthwiseConv2D(BaseDepthwiseConv):
    """2D depthwise convolution: channels are convolved one by one, and not mixed.

    Args:
        kernel_size: (I, J), or one integer for both: height and width of the window.
        strides: (s, t): by how many pixels the window moves.
        padding: `"valid"` or `"same"`, see `Conv2D`.
        depth_multiplier: M, the number of kernels of each channel.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        dilation_rate: distance between neighbouring taps of the window; may go with
            strides here.
        activation: name or function applied at the end.
        use_bias: whether a bias per output channel is added.
        depthwise_initializer, bias_initializer: how the weights start.
        depthwise_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        depthwise_constraint, bias_constraint: projections after each update.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, C * M), or (N, C * M, P, Q), with P and Q as in `Conv2D`.

    Weights:
        `kernel` (I, J, C, M), `bias` (C * M,).

    **Formula**: `z[n, p, q, c*M + m] = bias[c*M + m] + sum over i, j of
    x[n, p*s + i*d, q*t + j*d, c] * kernel[i, j, c, m]` on the padded input;
    `y = activation(z)`.

    **Gradient**: `dkernel[i, j, c, m]` sums `x[...] * dz[n, p, q, c*M + m]` over n, p
    and q; dx gathers `dz * kernel` from every window that saw it, see
    `ops/depthwise.py`.

    **Keeps**: x and what the activation keeps.

    Reference: Howard et al., "MobileNets" (2017), section 3.1.

    >>> import numpy as np
    >>> layer = DepthwiseConv2D(2, depthwise_initializer="ones")
    >>> x = np.stack([np.ones((2, 2)), np.full((2, 2), 10.0)], axis=-1)
    >>> layer(x[np.newaxis].astype("float32")).ravel()
    array([ 4., 40.], dtype=float32)
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
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
            rank=2,
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
