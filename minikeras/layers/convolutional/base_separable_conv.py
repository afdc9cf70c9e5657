"""What the separable convolution layers share, whatever the number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.convolutional.base_depthwise_conv import DepthwiseArguments
from minikeras.ops.conv import conv_grad_bias
from minikeras.ops.depthwise import (
    depthwise,
    depthwise_grad_input,
    depthwise_grad_kernel,
)
from minikeras.ops.products import aligned, matmul_rows
from minikeras.ops.scratch import scratch
from minikeras.ops.windows import Geometry, from_channels_last, to_channels_last

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class SeparableConvResiduals(NamedTuple):
    """What the backward pass of a separable convolution needs.

    Attributes:
        x: the input, channels last: (N, *spatial, C).
        middle: what the depthwise part gave: (N, *out, C * M).
        geometry: how the window moved over x.
        activation: the residuals of the activation.
    """

    x: np.ndarray
    middle: np.ndarray
    geometry: Geometry
    activation: Any


class BaseSeparableConv(DepthwiseArguments):
    """`activation(depthwise(x) @ pointwise_kernel + bias)`, with `rank` spatial axes.

    Args:
        rank: the number of spatial axes.
        Others: see `SeparableConv2D`.
    """

    def __init__(
        self,
        rank: int,
        depth_multiplier: int,
        filters: int,
        kernel_size: Any,
        pointwise_initializer: Any = "glorot_uniform",
        pointwise_regularizer: Any = None,
        pointwise_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(rank, depth_multiplier, kernel_size, **kwargs)
        self.filters = filters
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)
        self._check_positive("filters")

    def build(self, input_shape: Any) -> None:
        """Makes `depthwise_kernel`, `pointwise_kernel` and `bias`."""
        channels = self._channels(input_shape)
        self.compute_output_shape(input_shape)  # refuses an empty output
        self.depthwise_kernel = self._add_depthwise_kernel("depthwise_kernel", channels)
        ones = (1,) * self.rank
        self.pointwise_kernel = self.add_weight(
            name="pointwise_kernel",
            shape=(*ones, channels * self.depth_multiplier, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self.bias = self._add_bias(self.filters)
        self._expect_channels(channels)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, SeparableConvResiduals]:
        """`activation(depthwise(x, depthwise_kernel) @ pointwise_kernel + bias)`."""
        g = self._geometry(x.shape)
        kernel = self.depthwise_kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        x = np.ascontiguousarray(to_channels_last(x, self.data_format))
        middle = depthwise(x, kernel, g)  # (N, *out, C * M)
        z = np.empty((*middle.shape[:-1], self.filters), kernel.dtype)
        # (N*out, C*M) @ (C*M, F)
        matmul_rows(rows(middle), aligned(self._pointwise_matrix()), out=rows(z))
        if self.bias is not None:
            z += self.bias.value
        y, activation = self.activation.forward(from_channels_last(z, self.data_format))
        return y, SeparableConvResiduals(x, middle, g, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: SeparableConvResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """dx; adds the gradients of both kernels and of the bias."""
        x, middle, g, activation = residuals
        dz = self.activation.backward(dy, activation)
        dz = np.ascontiguousarray(to_channels_last(dz, self.data_format))
        # in forward: z = middle @ pointwise_kernel + bias
        if self.bias is not None:
            grads.add(self.bias, conv_grad_bias(dz))
        if grads.wants(self.pointwise_kernel):
            dpointwise = rows(middle).T @ rows(dz)
            grads.add(
                self.pointwise_kernel, dpointwise.reshape(self.pointwise_kernel.shape)
            )
        if not need_dx and not grads.wants(self.depthwise_kernel):
            return None
        dmiddle = scratch("dmiddle", middle.shape, middle.dtype)
        matmul_rows(rows(dz), aligned(self._pointwise_matrix().T), out=rows(dmiddle))
        # in forward: middle = depthwise(x, depthwise_kernel)
        kernel = self.depthwise_kernel.value
        if grads.wants(self.depthwise_kernel):
            dkernel = depthwise_grad_kernel(dmiddle, x, kernel, g)
            grads.add(self.depthwise_kernel, dkernel)
        if not need_dx:
            return None
        dx = depthwise_grad_input(dmiddle, kernel, g, x.shape)
        return from_channels_last(dx, self.data_format)

    def _pointwise_matrix(self) -> np.ndarray:
        kernel = self.pointwise_kernel.value  # (1, ..., 1, C * M, F)
        return kernel.reshape(kernel.shape[-2:])

    def _output_channels(self, input_shape: Any) -> int:
        return self.filters

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "pointwise_regularizer": regularizers.serialize(self.pointwise_regularizer),
            "pointwise_constraint": constraints.serialize(self.pointwise_constraint),
        }


def rows(x: np.ndarray) -> np.ndarray:
    """(N, *out, C) -> (N*out, C)."""
    return x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, x.shape[-1])
