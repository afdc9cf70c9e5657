"""Subtract: the difference of two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge
from minikeras.registry import public


@public("keras.layers")
class Subtract(Merge):
    """The elementwise difference of two inputs.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        A list of two shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = x_0 - x_1`

    **Gradient**: `dx_0 = dy`, `dx_1 = -dy`, summed over repeated axes.

    **Keeps**: the shapes.

    >>> Subtract()([np.array([[5.0]], "float32"), np.array([[3.0]], "float32")])
    array([[2.]], dtype=float32)
    """

    def build(self, input_shape: Any) -> None:
        """Checks that there are two inputs whose shapes fit together."""
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. Layer "
                f"'{self.name}' received: input_shape={input_shape}"
            )

    def _merge(self, xs: list[np.ndarray], masks: list[Any]) -> tuple[np.ndarray, None]:
        if len(xs) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. Layer "
                f"'{self.name}' received {len(xs)} inputs."
            )
        return xs[0] - xs[1], None

    def _merge_grad(
        self, dy: np.ndarray, kept: None, shapes: list[tuple[int, ...]]
    ) -> list[np.ndarray]:
        return [dy, -dy]  # y = x_0 - x_1


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)
