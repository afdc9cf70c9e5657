"""Conv1D: one small kernel slides along a sequence."""

from __future__ import annotations

from typing import Any

from minikeras.layers.convolutional.base_conv import BaseConv
from minikeras.registry import public


@public("keras.layers", "Convolution1D")
@public("keras.layers")
class Conv1D(BaseConv):
    """1D convolution: each output step is a weighted sum of a window of the input.

    Args:
        filters: O, the number of output channels.
        kernel_size: I, the length of the window.
        strides: by how many steps the window moves.
        padding: `"valid"`, `"same"`, or `"causal"`: zeros before the sequence only, so
            that no output sees a later input.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        Others: see `Conv2D`.

    Input shape:
        (N, T, C), or (N, C, T) with `"channels_first"`.

    Output shape:
        (N, P, O), or (N, O, P), with P as for one axis of `Conv2D`; `"causal"` gives
        `ceil(T / s)`.

    Weights:
        `kernel` (I, C / groups, O), `bias` (O,).

    **Formula**: `z[n, p, o] = bias[o] + sum over i, c of
    x[n, p*s + i*d, c] * kernel[i, c, o]` on the padded input; `y = activation(z)`.

    **Gradient**: that of `Conv2D` with one axis less:
    `dkernel[i] = sum over n, p of outer(x[n, p*s + i*d], dz[n, p])`,
    `dx[n, t] = sum of dz[n, p] @ kernel[i].T` over the (p, i) with p*s + i*d = t.

    **Keeps**: x and what the activation keeps.

    Reference: van den Oord et al., "WaveNet" (2016), section 2.1, for causal padding.

    >>> import numpy as np
    >>> layer = Conv1D(1, 2, padding="causal", kernel_initializer="ones")
    >>> layer(np.array([[[1.0], [2.0], [4.0]]], "float32")).ravel()
    array([1., 3., 6.], dtype=float32)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
            rank=1,
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
