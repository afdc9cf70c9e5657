"""EinsumDense: a dense layer between any axes, by an Einstein sum."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations, constraints, initializers, regularizers
from minikeras.layers.core.refusals import refuse
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.contraction import einsum, einsum_grad_a, einsum_grad_b, sum_to
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.variables import Variable


class EinsumDenseResiduals(NamedTuple):
    """What `EinsumDense.backward` needs.

    Attributes:
        x: the input.
        activation: the residuals of the activation.
    """

    x: np.ndarray
    activation: Any


@public("keras.layers")
class EinsumDense(Layer):
    """A dense layer whose input, kernel and output axes are named by an equation.

    Args:
        equation: `"input,kernel->output"`, a letter per axis: `"abc,cd->abd"` is a
            `Dense` over the last axis. The input and the output may begin or end with
            `...`, for any number of axes.
        output_shape: sizes of the output's axes but the first; None where it is the
            input's. `...` axes are left out.
        activation: name or function; None is linear.
        bias_axes: letters of the output that the bias has; None: no bias.
        kernel_initializer, bias_initializer: how the weights start. Fans count the
            kernel's letters that are summed over, and those that are in the output.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, bias_constraint: projections after each update.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: None
            only.
        **kwargs: `activity_regularizer`, `name`, `dtype`, `trainable`.

    Input shape:
        as in the equation.

    Output shape:
        as in the equation.

    Weights:
        `kernel`, as in the equation; `bias`, the output's axes from the first of
        `bias_axes` on, with 1 where a letter is not among them.

    **Formula** `y = activation(z)`, `z = einsum(equation, x, kernel) + bias`.

    **Gradient** by swapping subscripts, see `minikeras.ops.contraction`. For
    `"abc,cd->abd"`:

        dkernel = einsum("abc,abd->cd", x, dz)
        dx = einsum("abd,cd->abc", dz, kernel)
        dbias = the sum of dz over the axes the bias was repeated along

    **Keeps** the input, for dkernel, and what the activation keeps.

    >>> layer = EinsumDense("abc,cd->abd", (None, 2), kernel_initializer="ones")
    >>> layer(np.array([[[1.0, 2.0]]], "float32"))
    array([[[3., 3.]]], dtype=float32)
    """

    ends_in_activation = True

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        refuse(
            "EinsumDense",
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )
        super().__init__(**kwargs)
        self.equation = equation
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        self.partial_output_shape = tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        """Makes `kernel` and `bias` in the shapes that the equation gives them."""
        shapes = self._shapes(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._kernel = self.add_weight(
            name="kernel",
            shape=shapes.kernel,
            initializer=self._kernel_initializer(shapes),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if shapes.bias is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=shapes.bias,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _kernel_initializer(self, shapes: EinsumShapes) -> Any:
        """The initializer, told which axes are inputs and which outputs."""
        given = self.kernel_initializer
        if not isinstance(given, initializers.VarianceScaling):
            return given
        if given.input_axes is not None and given.output_axes is not None:
            return given
        config = given.get_config()
        config["seed"] = given.seed  # the one it drew: a copy would draw another
        config["input_axes"] = shapes.input_axes
        config["output_axes"] = shapes.output_axes
        return type(given).from_config(config)

    def _shapes(self, input_shape: Any) -> EinsumShapes:
        return einsum_shapes(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )

    @property
    def kernel(self) -> Variable:
        """The weights."""
        if not self.built:
            raise AttributeError(
                "You must build the layer before accessing `kernel`. Layer "
                f"'{self.name}' has not seen an input yet."
            )
        return self._kernel

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, EinsumDenseResiduals]:
        """`activation(einsum(equation, x, kernel) + bias)`."""
        kernel = self.kernel.value
        x = x.astype(kernel.dtype, copy=False)  # integers are counted as floats
        z = einsum(self.equation, x, kernel)
        if self.bias is not None:
            z += self.bias.value
        y, activation = self.activation.forward(z)
        return y, EinsumDenseResiduals(x, activation)

    def backward(
        self,
        dy: np.ndarray,
        residuals: EinsumDenseResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> np.ndarray | None:
        """dx; adds dkernel and dbias."""
        dz = self.activation.backward(dy, residuals.activation)
        x, kernel = residuals.x, self.kernel.value
        # in forward: z = einsum(equation, x, kernel) + bias
        if grads.wants(self.kernel):
            grads.add(self.kernel, einsum_grad_b(self.equation, dz, x, kernel))
        if grads.wants(self.bias):
            grads.add(self.bias, sum_to(dz, self.bias.shape))
        return einsum_grad_a(self.equation, dz, x, kernel) if need_dx else None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """As in the equation."""
        return self._shapes(input_shape).output

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        penalty = regularizers.serialize(self.activity_regularizer)
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": penalty,
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }


class EinsumShapes(NamedTuple):
    """What an equation makes of an input shape.

    Attributes:
        kernel, bias: shapes of the weights; None: no bias.
        output: the output's shape.
        input_axes, output_axes: the kernel's axes that are summed over, and those that
            are in the output.
    """

    kernel: tuple[Any, ...]
    bias: tuple[Any, ...] | None
    output: tuple[Any, ...]
    input_axes: list[int]
    output_axes: list[int]


_FORMS = (
    r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)",
    r"\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]+)",
    r"([a-zA-Z]{2,})\.\.\.,([a-zA-Z]+)->([a-zA-Z]+)\.\.\.",
)


def einsum_shapes(
    equation: str, bias_axes: str | None, input_shape: Any, output_shape: Any
) -> EinsumShapes:
    """The shapes of the weights and of the output.

    Args:
        output_shape: as the user gave it: without the first axis and without those that
            `...` stands for.

    Raises:
        ValueError: if the equation is none of Keras's three forms, or does not fit.
    """
    found = [re.fullmatch(form, equation) for form in _FORMS]
    match = next((m for m in found if m), None)
    if match is None:
        raise ValueError(
            f"Invalid einsum equation '{equation}'. Equations must be in the form "
            "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
        )
    inputs, weights, outputs = match.groups()
    dots_first = found[1] is not None
    hidden = len(input_shape) - len(inputs)  # how many axes `...` stands for
    if hidden < 0 or (hidden > 0 and found[0] is not None):
        raise ValueError(
            f"The einsum equation '{equation}' is for an input of {len(inputs)} axes. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    # All sizes, by letter: `...` first or last, the batch axis from the input.
    offset = hidden if dots_first else 0
    input_sizes = dict(zip(inputs, input_shape[offset:], strict=False))
    full = [input_shape[0], *output_shape]
    if hidden and dots_first:
        full = [*input_shape[:hidden], *output_shape]
    elif hidden:
        full = [*full, *input_shape[len(inputs) :]]
    output_sizes = dict(zip(outputs, full[offset:], strict=False))
    _check_letters(match.groups(), bias_axes, input_sizes, output_sizes)
    sizes = input_sizes | {c: n for c, n in output_sizes.items() if n is not None}
    bias = None
    if bias_axes is not None:
        first = min(outputs.find(c) for c in bias_axes)
        bias = [output_sizes[c] if c in bias_axes else 1 for c in outputs[first:]]
        bias += [] if dots_first else [1] * hidden
    return EinsumShapes(
        tuple(sizes[c] for c in weights),
        None if bias is None else tuple(bias),
        tuple(full),
        [i for i, c in enumerate(weights) if c not in outputs],
        [i for i, c in enumerate(weights) if c in outputs],
    )


def _check_letters(
    parts: tuple[str, ...],
    bias_axes: str | None,
    input_sizes: dict[str, Any],
    output_sizes: dict[str, Any],
) -> None:
    """Every letter must come from somewhere, and shared ones have one size."""
    inputs, weights, outputs = parts
    if len(output_sizes) != len(outputs):
        raise ValueError(
            f"The output '{outputs}' has {len(outputs)} axes. Received: an "
            f"`output_shape` for {len(output_sizes)} of them (it leaves out the first)."
        )
    for c in inputs:
        size = output_sizes.get(c)
        if size is not None and size != input_sizes[c]:
            raise ValueError(
                f"Input shape and output shape do not match at shared dimension '{c}'. "
                f"Input shape is {input_sizes[c]}, and output shape is {size}."
            )
    for c in outputs:
        if c not in inputs and c not in weights:
            raise ValueError(
                f"Dimension '{c}' was specified in the output '{outputs}' but has no "
                f"corresponding dim in the input spec '{inputs}' or weight spec "
                f"'{weights}'"
            )
    for c in weights:
        if c not in inputs and c not in outputs:
            raise ValueError(
                f"Weight dimension '{c}' did not have a match in either the input spec "
                f"'{inputs}' or the output spec '{outputs}'. For this layer, the "
                "weight must be fully specified."
            )
    for c in bias_axes or "":
        if c not in outputs:
            raise ValueError(
                f"Bias dimension '{c}' was requested, but is not part of the output "
                f"spec '{outputs}'"
            )
