"""What the convolution layers share, whatever the number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations, constraints, initializers, regularizers
from minikeras.activations.rectified import ReLUResiduals
from minikeras.config import standardize_data_format
from minikeras.layers.arguments import standardize_padding, standardize_tuple
from minikeras.layers.convolutional.windowed import Windowed
from minikeras.layers.core.refusals import refuse
from minikeras.layers.input_spec import InputSpec
from minikeras.ops.conv import (
    conv,
    conv_grad_bias,
    conv_grads,
)
from minikeras.ops.elementwise import add_to_rows, rectify_in_place, rows
from minikeras.ops.windows import (
    Geometry,
    from_channels_last,
    to_channels_last,
)

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.variables import Variable


class ConvResiduals(NamedTuple):
    """What the backward pass of a convolution needs.

    Attributes:
        x: the input, channels last: (N, *spatial, C). Not its windows, which are
            `kernel_size` times as large; see `ops/conv.py`.
        geometry: how the window moved over it.
        activation: the residuals of the activation.
    """

    x: np.ndarray
    geometry: Geometry
    activation: Any


class BaseConv(Windowed):
    """`activation(conv(x, kernel) + bias)` with `rank` spatial axes.

    The mathematics is in `ops/conv.py`; this class checks the arguments, owns the
    weights and turns `"channels_first"` inputs (views, no copies, see
    `to_channels_last`).

    Args:
        rank: the number of spatial axes.
        Others: see `Conv2D`.
    """

    ends_in_activation = True
    _allows_causal = True

    def __init__(
        self,
        rank: int,
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
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(type(self).__name__, lora_rank=lora_rank, lora_alpha=lora_alpha)
        self.rank = rank
        self.filters = filters
        self.groups = groups
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size")
        self.strides = standardize_tuple(strides, rank, "strides")
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate")
        causal = rank == 1 and self._allows_causal
        self.padding = standardize_padding(padding, allow_causal=causal)
        self.data_format = standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)
        self._check_arguments()

    def _check_arguments(self) -> None:
        for name in ("filters", "groups"):
            value = getattr(self, name)
            if not hasattr(value, "__index__") or value <= 0:
                raise ValueError(
                    f"Invalid value for argument `{name}` of {type(self).__name__}. "
                    "Expected a strictly positive integer. Received: "
                    f"{name}={value!r}"
                )
        if self.filters % self.groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of "
                f"groups. Received: groups={self.groups}, filters={self.filters}"
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` is not supported in conjunction with `dilation_rate > "
                f"1`, on whatever axes. Received: strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}"
            )

    def build(self, input_shape: Any) -> None:
        """Makes `kernel` (*kernel_size, C / groups, filters) and `bias` (filters,)."""
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"The number of input channels of layer '{self.name}' must be evenly "
                f"divisible by the number of groups. Received: groups={self.groups}, "
                f"but the input has {channels} channels (full input shape "
                f"{tuple(input_shape)}, data_format={self.data_format!r})."
            )
        self.compute_output_shape(input_shape)  # refuses an empty output
        self._add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._add_bias(self.filters)
        self._expect_channels(channels)

    def _add_kernel(self, shape: tuple[int, ...]) -> None:
        self._kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    @property
    def kernel(self) -> Variable:
        """The weights (*kernel_size, C / groups, filters)."""
        if not self.built:
            raise AttributeError(
                "You must build the layer before accessing `kernel`. Layer "
                f"'{self.name}' has not seen an input yet."
            )
        return self._kernel

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ConvResiduals]:
        """`activation(conv(x, kernel) + bias)`."""
        g = self._geometry(x.shape)
        kernel = self.kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        x = np.ascontiguousarray(to_channels_last(x, self.data_format))
        z = conv(x, kernel, g)  # (N, *out, filters)
        if self.bias is not None:
            add_to_rows(rows(z), self.bias.value)
        if self.activation is activations.relu:  # z is ours: relu needs no new array
            rectify_in_place(rows(z))
            y = from_channels_last(z, self.data_format)
            return y, ConvResiduals(x, g, ReLUResiduals(y, None))
        y, activation = self.activation.forward(from_channels_last(z, self.data_format))
        return y, ConvResiduals(x, g, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: ConvResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """dx; adds dkernel and dbias."""
        x, g, activation = residuals
        dz = self.activation.backward(dy, activation)
        dz = np.ascontiguousarray(to_channels_last(dz, self.data_format))
        kernel = self.kernel.value
        # in forward: z = conv(x, kernel) + bias
        dx, dkernel = conv_grads(dz, x, kernel, g, need_dx, grads.wants(self.kernel))
        if dkernel is not None:
            grads.add(self.kernel, dkernel)
        if self.bias is not None:
            grads.add(self.bias, conv_grad_bias(dz))
        if dx is None:
            return None
        return from_channels_last(dx, self.data_format)

    def _output_channels(self, input_shape: Any) -> int:
        return self.filters

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
