"""What the depthwise convolution layers share, whatever the number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations, constraints, initializers, regularizers
from minikeras.config import standardize_data_format
from minikeras.layers.arguments import standardize_padding, standardize_tuple
from minikeras.layers.convolutional.windowed import Windowed
from minikeras.layers.input_spec import InputSpec
from minikeras.ops.conv import conv_grad_bias
from minikeras.ops.depthwise import (
    depthwise,
    depthwise_grad_input,
    depthwise_grad_kernel,
)
from minikeras.ops.windows import Geometry, from_channels_last, to_channels_last

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class DepthwiseConvResiduals(NamedTuple):
    """What the backward pass of a depthwise convolution needs.

    Attributes:
        x: the input, channels last: (N, *spatial, C).
        geometry: how the window moved over it.
        activation: the residuals of the activation.
    """

    x: np.ndarray
    geometry: Geometry
    activation: Any


class DepthwiseArguments(Windowed):
    """The arguments that depthwise and separable convolutions have in common.

    Args:
        rank: the number of spatial axes.
        Others: see `DepthwiseConv2D`.
    """

    ends_in_activation = True

    def __init__(
        self,
        rank: int,
        depth_multiplier: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.rank = rank
        self.depth_multiplier = depth_multiplier
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        self.padding = standardize_padding(padding)
        self.data_format = standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)
        self._check_positive("depth_multiplier")

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if not hasattr(value, "__index__") or value <= 0:
            raise ValueError(
                f"Invalid value for argument `{name}` of {type(self).__name__}. "
                "Expected a strictly positive value, an integer. Received: "
                f"{name}={value!r}"
            )

    def _add_depthwise_kernel(self, name: str, channels: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class BaseDepthwiseConv(DepthwiseArguments):
    """`activation(depthwise(x, kernel) + bias)` with `rank` spatial axes.

    The mathematics is in `ops/depthwise.py`.

    Args:
        rank: the number of spatial axes.
        Others: see `DepthwiseConv2D`.
    """

    def build(self, input_shape: Any) -> None:
        """Makes `kernel` (*kernel_size, C, depth_multiplier) and `bias`."""
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)  # refuses an empty output
        self.kernel = self._add_depthwise_kernel("kernel", channels)
        self.bias = self._add_bias(channels * self.depth_multiplier)
        self._expect_channels(channels)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, DepthwiseConvResiduals]:
        """`activation(depthwise(x, kernel) + bias)`."""
        g = self._geometry(x.shape)
        kernel = self.kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        x = np.ascontiguousarray(to_channels_last(x, self.data_format))
        z = depthwise(x, kernel, g)  # (N, *out, C * M)
        if self.bias is not None:
            z += self.bias.value
        y, activation = self.activation.forward(from_channels_last(z, self.data_format))
        return y, DepthwiseConvResiduals(x, g, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: DepthwiseConvResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """dx; adds dkernel and dbias."""
        x, g, activation = residuals
        dz = self.activation.backward(dy, activation)
        dz = np.ascontiguousarray(to_channels_last(dz, self.data_format))
        kernel = self.kernel.value
        # in forward: z = depthwise(x, kernel) + bias
        if grads.wants(self.kernel):
            grads.add(self.kernel, depthwise_grad_kernel(dz, x, kernel, g))
        if self.bias is not None:
            grads.add(self.bias, conv_grad_bias(dz))
        if not need_dx:
            return None
        dx = depthwise_grad_input(dz, kernel, g, x.shape)
        return from_channels_last(dx, self.data_format)

    def _output_channels(self, input_shape: Any) -> int:
        return self.depth_multiplier * self._channels(input_shape)
