"""Reshape: the values of each example in another shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class ReshapeResiduals(NamedTuple):
    """What `Reshape.backward` needs.

    Attributes:
        shape: of the input.
    """

    shape: tuple[int, ...]


@public("keras.layers")
class Reshape(Layer):
    """Gives each example another shape.

    Args:
        target_shape: without the batch axis. One entry may be -1: whatever is left.
            None entries are sizes known only when data comes.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ...).

    Output shape:
        (N, *target_shape).

    **Formula**: the same values in the same order, the last axis running fastest.

    **Gradient**: dy in the input's shape.

    **Keeps**: that shape.

    >>> Reshape((-1, 2))(np.zeros((5, 12), "float32")).shape
    (5, 6, 2)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        target_shape = tuple(target_shape)
        known = [n for n in target_shape if isinstance(n, int | np.integer)]
        if any(n < -1 for n in known):
            raise ValueError(
                "Each dimension in `target_shape` must be a non-negative integer, or "
                "`-1` for a single unknown dimension. Received: "
                f"target_shape={target_shape}."
            )
        if known.count(-1) > 1:
            raise ValueError(
                "There must be at most one unknown dimension (-1) in `target_shape`. "
                f"Received: target_shape={target_shape}."
            )
        self.target_shape = target_shape

    def _resolve(self, shape: tuple) -> tuple:
        """The target for an example of this shape; None for what cannot be known."""
        target = self.target_shape
        if None in shape or None in target:
            return tuple(None if n == -1 else n for n in target)
        size, known = math.prod(shape), math.prod(n for n in target if n != -1)
        if -1 not in target:
            if size != known:
                raise ValueError(
                    "The total size of the tensor must be unchanged. Received: "
                    f"input_shape={shape}, target_shape={target} in layer '{self.name}'"
                )
            return target
        if known == 0 or size % known:
            raise ValueError(
                "The total size of the tensor must be unchanged, however, the input "
                "size cannot be divided by the specified dimensions in target_shape. "
                f"Received: input_shape={shape}, target_shape={target} in layer "
                f"'{self.name}'"
            )
        return tuple(size // known if n == -1 else n for n in target)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ReshapeResiduals]:
        """`x` as (N, *target_shape)."""
        target = self._resolve(x.shape[1:])
        y = x.reshape(x.shape[0], *(-1 if n is None else n for n in target))
        return y, ReshapeResiduals(x.shape)

    def backward(
        self, dy: np.ndarray, residuals: ReshapeResiduals, grads: Gradients
    ) -> np.ndarray:
        """`dy` as the input was."""
        return dy.reshape(residuals.shape)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """(N, *target_shape), with -1 replaced where that is possible."""
        return (input_shape[0], *self._resolve(tuple(input_shape[1:])))

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Keeps the dtype, which may be an integer one."""
        return KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "target_shape": self.target_shape}
