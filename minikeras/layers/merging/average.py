"""Average: the mean of several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.config import floatx
from minikeras.layers.merging.add import total
from minikeras.layers.merging.base_merge import Merge
from minikeras.registry import public


@public("keras.layers")
class Average(Merge):
    """The elementwise mean of a list of inputs.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        A list of shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = (x_0 + x_1 + ...) / k` for k inputs.

    **Gradient**: `dx_i = dy / k`, summed over repeated axes.

    **Keeps**: the shapes.

    >>> Average()([np.array([[1.0]], "float32"), np.array([[4.0]], "float32")])
    array([[2.5]], dtype=float32)
    """

    def _merge(self, xs: list[np.ndarray], masks: list[Any]) -> tuple[np.ndarray, None]:
        y = total(xs)
        y = y if y.dtype.kind == "f" else y.astype(floatx())
        return y / len(xs), None

    def _merge_grad(
        self, dy: np.ndarray, kept: None, shapes: list[tuple[int, ...]]
    ) -> list[np.ndarray]:
        return [dy / len(shapes)] * len(shapes)  # y = (x_0 + x_1 + ...) / k


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)
