"""Conv2DTranspose: the gradient of a convolution, used as a layer."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv_transpose import BaseConvTranspose
from minikeras.registry import public


@public("keras.layers", "Convolution2DTranspose")
@public("keras.layers")
class Conv2DTranspose(BaseConvTranspose):
    """2D transposed convolution: each pixel lays a weighted kernel into a larger image.

    Args:
        filters: O, the number of output channels.
        kernel_size: (I, J), or one integer for both: the size of the kernel.
        strides: (s, t): how far apart neighbouring pixels lay their kernels.
        padding: `"valid"` (the whole of every kernel is in the output) or `"same"`
            (the output is `strides` times as large as the input).
        output_padding: how much is added to the smallest possible output, less than
            `strides`; None chooses, see the output shape.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        dilation_rate: distance between neighbouring taps; not with strides above 1.
        activation: name or function applied at the end.
        use_bias: whether a bias per filter is added.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections after each update.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with `"channels_first"`.

    Output shape:
        (N, P, Q, O), or (N, O, P, Q). For an axis of length H, with
        `span = (I - 1) * dilation + 1`: `"valid"` gives
        `(H - 1) * s + span + output_padding`, by default `max(span - s, 0)` more than
        `H * s`; `"same"` gives `H * s`, or with output_padding
        `(H - 1) * s + span % 2 + output_padding`.

    Weights:
        `kernel` (I, J, O, C), output channels before input channels; `bias` (O,).

    **Formula**: the gradient of a convolution with respect to its input (see
    `ops/conv.py`), which is linear: with b positions of padding cut off,

        z[n, h*s + i*d - b, w*t + j*d - b, o] += x[n, h, w, c] * kernel[i, j, o, c]

    for every (h, i), (w, j) and c; then `y = activation(z + bias)`.

    **Gradient**: the convolution itself, `dx = conv(dz, kernel)`; and
    `dkernel[i, j, o, c] = sum over n, h, w of dz[n, h*s + i*d - b, ..., o] *
    x[n, h, w, c]`.

    **Keeps**: x and what the activation keeps.

    Reference: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning"
    (2016), section 4.

    >>> import numpy as np
    >>> layer = Conv2DTranspose(1, (1, 2), (1, 3), kernel_initializer="ones")
    >>> layer(np.array([1.0, 2.0], "float32").reshape(1, 1, 2, 1)).ravel()
    array([1., 1., 0., 2., 2., 0.], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
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
