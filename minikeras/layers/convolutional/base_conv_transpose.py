"""What the transposed convolution layers share, whatever the number of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.arguments import standardize_tuple
from minikeras.layers.convolutional.base_conv import BaseConv
from minikeras.ops.conv import (
    conv,
    conv_grad_bias,
    conv_grad_input,
    conv_grad_kernel,
)
from minikeras.ops.windows import (
    Geometry,
    from_channels_last,
    geometry,
    to_channels_last,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

_OF_BASE_CONV_ONLY = ("groups", "lora_rank", "lora_alpha")


class ConvTransposeResiduals(NamedTuple):
    """What the backward pass of a transposed convolution needs.

    Attributes:
        x: the input, channels last: (N, *spatial, C).
        geometry: of the convolution that this is the transpose of: from the output
            back to the input.
        activation: the residuals of the activation.
    """

    x: np.ndarray
    geometry: Geometry
    activation: Any


class BaseConvTranspose(BaseConv):
    """The gradient of a convolution with respect to its input, as a layer.

    A convolution with strides makes images smaller, and its gradient goes the other
    way: from something of the output's shape to something of the input's. So forward
    here is `conv_grad_input` of `ops/conv.py`, and backward is `conv`; nothing new is
    derived. The kernel is that of the convolution: (*size, filters, channels).

    Args:
        rank: the number of spatial axes.
        output_padding: how much longer the output is, per axis; None chooses.
        Others: see `Conv2DTranspose`.
    """

    _allows_causal = False

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        **kwargs: Any,
    ):
        unknown = {k: v for k, v in kwargs.items() if k in _OF_BASE_CONV_ONLY}
        if unknown:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: "
                f"{unknown}"
            )
        super().__init__(
            rank, filters, kernel_size, strides=strides, padding=padding, **kwargs
        )
        if output_padding is not None:
            output_padding = standardize_tuple(
                output_padding, rank, "output_padding", allow_zero=True
            )
            for axis, (extra, stride) in enumerate(
                zip(output_padding, self.strides, strict=True)
            ):
                if extra >= stride:
                    raise ValueError(
                        "`output_padding` must be strictly less than `strides` for "
                        f"all dimensions. At dimension {axis}, `output_padding` is "
                        f"{extra} but `strides` is {stride}. Received: output_padding="
                        f"{output_padding}, strides={self.strides}"
                    )
        self.output_padding = output_padding

    def build(self, input_shape: Any) -> None:
        """Makes `kernel` (*kernel_size, filters, C) and `bias` (filters,)."""
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)  # refuses an empty output
        self._add_kernel((*self.kernel_size, self.filters, channels))
        self.bias = self._add_bias(self.filters)
        self._expect_channels(channels)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ConvTransposeResiduals]:
        """`activation(conv_grad_input(x, kernel) + bias)`."""
        g = self._geometry(x.shape)
        kernel = self.kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        x = np.ascontiguousarray(to_channels_last(x, self.data_format))
        out = self._output_lengths(self._original(x.shape))
        z = conv_grad_input(x, kernel, g, (len(x), *out, self.filters))
        if self.bias is not None:
            z = z + self.bias.value
        y, activation = self.activation.forward(from_channels_last(z, self.data_format))
        return y, ConvTransposeResiduals(x, g, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: ConvTransposeResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """dx; adds dkernel and dbias."""
        x, g, activation = residuals
        dz = self.activation.backward(dy, activation)
        dz = np.ascontiguousarray(to_channels_last(dz, self.data_format))
        kernel = self.kernel.value
        # in forward: z = conv_grad_input(x, kernel) + bias, which is linear in both.
        # x stands where the gradient dy of a convolution would, dz where its input.
        if grads.wants(self.kernel):
            grads.add(self.kernel, conv_grad_kernel(x, dz, kernel, g))
        if self.bias is not None:
            grads.add(self.bias, conv_grad_bias(dz))
        if not need_dx:
            return None
        return from_channels_last(conv(dz, kernel, g), self.data_format)

    def _original(self, channels_last_shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape in the data format of the layer."""
        batch, *spatial, channels = channels_last_shape
        if self.data_format == "channels_last":
            return channels_last_shape
        return (batch, channels, *spatial)

    def _output_lengths(self, input_shape: Any) -> tuple[int | None, ...]:
        padding = self.output_padding or (None,) * self.rank
        axes = zip(
            self._spatial(input_shape),
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            padding,
            strict=True,
        )
        out = tuple(
            transposed_length(n, (k - 1) * d + 1, s, self.padding, extra)
            for n, k, s, d, extra in axes
        )
        if any(n is not None and n <= 0 for n in out):
            raise ValueError(self._no_such_output(input_shape, out))
        return out

    def _geometry(self, input_shape: tuple[int, ...]) -> Geometry:
        """How the window moves over the *output*; it finds the input's positions."""
        out = self._output_lengths(input_shape)
        g = geometry(
            out,  # type: ignore[arg-type] # arrays have no None sizes
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            caller=f"layer '{self.name}'",
        )
        if g.out != self._spatial(input_shape):
            raise ValueError(self._no_such_output(input_shape, out))
        return g

    def _no_such_output(self, input_shape: Any, out: Any) -> str:
        return (
            f"Layer '{self.name}' cannot make an output of spatial shape {tuple(out)} "
            f"from an input of shape {tuple(input_shape)}: a convolution over it would "
            "not give the input's shape back. Leave `output_padding` None, or choose "
            f"another. Received: kernel_size={self.kernel_size}, strides="
            f"{self.strides}, padding={self.padding!r}, output_padding="
            f"{self.output_padding}"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {**super().get_config(), "output_padding": self.output_padding}
        del config["groups"]
        return config


def transposed_length(
    length: int | None, span: int, stride: int, padding: str, extra: int | None
) -> int | None:
    """The output length of one axis; None stays None.

    **Formula** with `span = (size - 1) * dilation + 1`:

    - `"valid"`: `(length - 1) * stride + span + extra`; extra is by default what makes
      it at least `length * stride`.
    - `"same"`: `length * stride`; if extra is given,
      `(length - 1) * stride + span % 2 + extra`.

    >>> transposed_length(5, span=3, stride=2, padding="valid", extra=None)
    11
    """
    if length is None:
        return None
    if padding == "same":
        if extra is None:
            return length * stride
        return (length - 1) * stride + span % 2 + extra
    extra = max(stride - span, 0) if extra is None else extra
    return (length - 1) * stride + span + extra
