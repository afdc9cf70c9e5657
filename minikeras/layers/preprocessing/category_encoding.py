"""CategoryEncoding: numbers of categories as rows of zeros, ones or counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.layer import Layer
from minikeras.ops.encoding import encode
from minikeras.registry import public, suggest
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

MODES = ("count", "one_hot", "multi_hot")


class CategoryEncodingResiduals(NamedTuple):
    """What `CategoryEncoding.backward` needs.

    Attributes:
        weighted: whether there were two arguments.
    """

    weighted: bool


@public("keras.layers")
class CategoryEncoding(Layer):
    """Encodes integers below `num_tokens`.

    Args:
        num_tokens: how many categories there are.
        output_mode: `"multi_hot"`: one row for all categories of an example, 1 for
            those among them; `"count"`: how often each is among them; `"one_hot"`: a
            row for each.
        sparse: False only; NumPy has no sparse arrays.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        count_weights: with `"count"`, what each entry counts; of the inputs' shape.

    Input shape:
        (N,) or (N, T).

    Output shape:
        (N, num_tokens); with `"one_hot"` (N, T, num_tokens), or (N, num_tokens) for
        T = 1. A vector (N,) is one example in the other modes: (num_tokens,).

    **Formula**: `y[n, c]` is 1 if some `x[n, t] = c`, or the number of such t. NB:
    numbers not below num_tokens are left out, as in Keras on TensorFlow.

    **Gradient**: none.

    **Keeps**: nothing.

    >>> CategoryEncoding(3, output_mode="count")(np.array([[0, 2, 2]]))
    array([[1., 0., 2.]], dtype=float32)
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in MODES:
            raise ValueError(
                f"Unknown arg for output_mode: {output_mode!r}. Expected one of "
                f"{MODES}.{suggest(output_mode, MODES)}"
            )
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer: the number of categories."
            )
        if num_tokens < 1:
            raise ValueError(
                f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}."
            )
        if sparse:
            raise ValueError(
                "`sparse=True` is not implemented in minikeras: NumPy has no sparse "
                "arrays."
            )
        self.num_tokens = num_tokens
        self.output_mode = output_mode
        self.sparse = False

    def forward(
        self, inputs: np.ndarray, count_weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, CategoryEncodingResiduals]:
        """The rows."""
        if count_weights is not None:
            if self.output_mode != "count":
                raise ValueError(
                    "`count_weights` is not used when `output_mode` is not `'count'`. "
                    f"Layer '{self.name}' received `count_weights={count_weights}`."
                )
            count_weights = np.asarray(count_weights, self.compute_dtype)
        y = encode(
            inputs,
            self.num_tokens,
            self.output_mode,
            self.compute_dtype,
            count_weights,
        )
        return y, CategoryEncodingResiduals(count_weights is not None)

    def backward(
        self, dy: np.ndarray, residuals: CategoryEncodingResiduals, grads: Gradients
    ) -> Any:
        """None for the numbers; in Keras their weights have no gradient either."""
        return (None, None) if residuals.weighted else None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(..., num_tokens); see the class."""
        shape = tuple(input_shape)
        whole = self.output_mode == "one_hot" and (len(shape) == 1 or shape[-1] != 1)
        return (*(shape if whole else shape[:-1]), self.num_tokens)

    def compute_output_spec(
        self, inputs: KerasTensor, count_weights: Any = None
    ) -> KerasTensor:
        """Floats of the compute dtype."""
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
        }
