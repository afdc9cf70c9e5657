"""Dense: every output is a weighted sum of all inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations, constraints, initializers, regularizers
from minikeras.layers.core.refusals import refuse
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.elementwise import sum_rows
from minikeras.ops.products import matmul_transposed
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.variables import Variable


class DenseResiduals(NamedTuple):
    """What `Dense.backward` needs.

    Attributes:
        x: the input, (..., D).
        activation: the residuals of the activation.
    """

    x: np.ndarray
    activation: Any


def rows(x: np.ndarray) -> np.ndarray:
    """All axes but the last as one: (..., D) -> (N, D). A view where possible.

    >>> rows(np.zeros((2, 5, 3))).shape
    (10, 3)
    """
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@public("keras.layers")
class Dense(Layer):
    """A fully connected layer: `activation(x @ kernel + bias)` over the last axis.

    Args:
        units: U, the size of the output's last axis; a positive integer.
        activation: name or function; None is linear.
        use_bias: whether `bias` exists.
        kernel_initializer, bias_initializer: how the weights start.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections after each update.
        lora_rank, lora_alpha, quantization_config: None only.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ..., D), of rank 2 or more.

    Output shape:
        (N, ..., U).

    Weights:
        `kernel` (D, U), `bias` (U,).

    **Formula**: `y = activation(z)`, `z = x @ kernel + bias`. Axes between the first
    and the last are more examples: the same kernel acts at each position.

    **Gradient**: with `dz` the activation's gradient of `dy`, and all leading axes
    flattened into N examples,

        dkernel = x.T @ dz        dbias = dz.sum(axis=0)        dx = dz @ kernel.T

    since `z[n, u] = sum_d x[n, d] * kernel[d, u] + bias[u]`: each kernel entry meets
    one input and one output per example.

    **Keeps**: the input, for dkernel, and what the activation keeps.

    >>> layer = Dense(1, kernel_initializer="ones")
    >>> layer(np.array([[1.0, 2.0]], "float32"))
    array([[3.]], dtype=float32)
    """

    ends_in_activation = True

    def __init__(
        self,
        units: int,
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
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                "Received an invalid value for `units`, expected a positive integer. "
                f"Received: units={units!r}"
            )
        refuse(
            "Dense",
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Makes `kernel` and `bias`; from now on the last axis must be this one."""
        width = input_shape[-1]
        self._kernel = self.add_weight(
            name="kernel",
            shape=(width, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})

    @property
    def kernel(self) -> Variable:
        """The weights (D, U)."""
        if not self.built:
            raise AttributeError(
                "You must build the layer before accessing `kernel`. Layer "
                f"'{self.name}' has not seen an input yet."
            )
        return self._kernel

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, DenseResiduals]:
        """`activation(x @ kernel + bias)`."""
        kernel = self.kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        z = rows(x) @ kernel  # (N, D) @ (D, U) -> (N, U)
        if self.bias is not None:
            z += self.bias.value
        z = z.reshape(*x.shape[:-1], self.units)  # (..., U)
        y, activation = self.activation.forward(z)
        return y, DenseResiduals(x, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: DenseResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """`dz @ kernel.T`; adds dkernel and dbias."""
        dz = self.activation.backward(dy, residuals.activation)
        x, dz_rows = rows(residuals.x), rows(dz)  # (N, D), (N, U)
        if grads.wants(self.kernel):
            grads.add(self.kernel, x.T @ dz_rows)  # in forward: z = x @ kernel + bias
        if self.bias is not None:
            grads.add(self.bias, sum_rows(dz_rows))
        if not need_dx:
            return None
        # dz_rows @ kernel.T
        dx = matmul_transposed(dz_rows, self.kernel.value)
        return dx.reshape(residuals.x.shape)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, ..., U)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }
