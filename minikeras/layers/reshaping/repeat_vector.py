"""RepeatVector: a vector becomes a sequence of copies of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class RepeatVector(Layer):
    """Repeats each example n times along a new axis 1.

    Args:
        n: how often; a positive integer.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, D).

    Output shape:
        (N, n, D).

    **Formula**: `y[:, t, :] = x` for every t.

    **Gradient**: `dx` is the sum of `dy` over t.

    **Keeps**: nothing.

    >>> RepeatVector(3)(np.zeros((2, 4), "float32")).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        if n <= 0:
            raise ValueError(
                f"Argument `n` should be a positive integer. Received: n={n}"
            )
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """n copies of `x`."""
        return np.repeat(x[:, np.newaxis, :], self.n, axis=1), None  # (N, n, D)

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """The sum over the copies."""
        return dy.sum(axis=1)  # in forward: y[:, t] = x for every t

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, n, D)."""
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "n": self.n}
