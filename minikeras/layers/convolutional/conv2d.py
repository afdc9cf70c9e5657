"""Conv2D: one small kernel slides over an image."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv import BaseConv
from minikeras.registry import public


@public("keras.layers", "Convolution2D")
@public("keras.layers")
class Conv2D(BaseConv):
    """2D convolution: each output pixel is a weighted sum of a window of the input.

    Args:
        filters: O, the number of output channels.
        kernel_size: (I, J), or one integer for both: height and width of the window.
        strides: (s, t): by how many pixels the window moves.
        padding: `"valid"` (the window stays inside) or `"same"` (zeros around the
            image, so that with strides of 1 the size stays; an odd zero goes below and
            to the right).
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        dilation_rate: (d, e): by how many pixels neighbours in the window are apart.
            Not above 1 together with strides above 1.
        groups: the channels are split into this many groups, each convolved with its
            own `filters / groups` filters.
        activation: name or function; None is linear.
        use_bias: whether `bias` exists.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections after each update.
        **kwargs: `name`, `dtype`, `trainable`; `lora_rank`, `lora_alpha`: None only.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, O), or (N, O, P, Q). Along each axis `"same"` gives
        `ceil(H / s)`, `"valid"` `floor((H - (I - 1) * d - 1) / s) + 1`.

    Weights:
        `kernel` (I, J, C / groups, O), `bias` (O,).

    **Formula** on the padded input:

        z[n, p, q, o] = bias[o] + sum over i, j, c of
                        x[n, p*s + i*d, q*t + j*e, c] * kernel[i, j, c, o]
        y = activation(z)

    **Gradient**: `kernel[i, j, c, o]` meets one x and one z for each n, p, q; and pixel
    (h, w) of x meets, through `kernel[i, j]`, the one output with p*s = h - i*d and
    q*t = w - j*e, if there is one:

        dkernel[i, j, c, o] = sum over n, p, q of
                              x[n, p*s + i*d, q*t + j*e, c] * dz[n, p, q, o]
        dbias[o]            = sum over n, p, q of dz[n, p, q, o]
        dx[n, h, w, c]      = sum over i, j, o of dz[n, p, q, o] * kernel[i, j, c, o]

    `ops/conv.py` makes all three matrix products.

    **Keeps**: x and what the activation keeps.

    Reference: LeCun et al., "Gradient-Based Learning Applied to Document Recognition"
    (1998), section II.

    >>> import numpy as np
    >>> layer = Conv2D(1, 2, kernel_initializer="ones")
    >>> image = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    >>> layer(image)[0, :, :, 0]  # 0+1+3+4, 1+2+4+5, ...
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
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
            rank=2,
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
