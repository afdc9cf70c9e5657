"""The arithmetic of shapes that layers with a sliding kernel share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.windows import Geometry, geometry, output_lengths

if TYPE_CHECKING:
    from minikeras.variables import Variable


class Windowed(Layer):
    """A layer with `rank` spatial axes over which a kernel slides.

    A subclass sets the attributes below and defines `_output_channels`.
    """

    rank: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]
    data_format: str
    use_bias: bool
    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any

    def _output_channels(self, input_shape: Any) -> int:
        raise NotImplementedError

    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape: Any) -> int:
        """The number of input channels, which the weights depend on."""
        axis = self._channel_axis()
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"The channel axis (axis {axis}) of the inputs of layer '{self.name}' "
                "must be known, since the kernel's shape depends on it. Received: "
                f"input shape {tuple(input_shape)}"
            )
        return channels

    def _expect_channels(self, channels: int) -> None:
        """Later calls must have as many."""
        axes = {self._channel_axis(): channels}
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes=axes)

    def _add_bias(self, channels: int) -> Variable | None:
        if not self.use_bias:
            return None
        return self.add_weight(
            name="bias",
            shape=(channels,),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def _spatial(self, input_shape: Any) -> tuple:
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"Layer '{self.name}' expects inputs of rank {self.rank + 2}: batch, "
                f"{self.rank} spatial axes and channels ({self.data_format}). "
                f"Received: input shape {tuple(input_shape)}"
            )
        if self.data_format == "channels_last":
            return tuple(input_shape[1:-1])
        return tuple(input_shape[2:])

    def _geometry(self, input_shape: tuple[int, ...]) -> Geometry:
        return geometry(
            self._spatial(input_shape),
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            caller=f"layer '{self.name}'",
        )

    def _output_lengths(self, input_shape: Any) -> tuple[int | None, ...]:
        return output_lengths(
            self._spatial(input_shape),
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
            caller=f"layer '{self.name}'",
        )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The output shape; sizes that are None stay None."""
        out = self._output_lengths(input_shape)
        channels = self._output_channels(input_shape)
        if self.data_format == "channels_last":
            return (input_shape[0], *out, channels)
        return (input_shape[0], channels, *out)
