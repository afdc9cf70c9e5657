"""Add: the sum of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge
from minikeras.registry import public


def total(xs: Sequence[np.ndarray]) -> np.ndarray:
    """The sum, from left to right, in one new array where that is large enough."""
    if len(xs) == 1:
        return xs[0]
    y = xs[0] + xs[1]
    for x in xs[2:]:
        fits = np.broadcast_shapes(y.shape, x.shape) == y.shape and y.dtype == x.dtype
        y = np.add(y, x, out=y) if fits else y + x
    return y


@public("keras.layers")
class Add(Merge):
    """The elementwise sum of a list of inputs: what a residual connection is made with.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        A list of shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = x_0 + x_1 + ...`

    **Gradient**: `dx_i = dy`, summed over the axes along which x_i was repeated.

    **Keeps**: the shapes.

    Reference: He et al., "Deep residual learning" (2016), section 3.

    >>> Add()([np.array([[1.0, 2.0]], "float32"), np.array([[3.0, 4.0]], "float32")])
    array([[4., 6.]], dtype=float32)
    """

    def _merge(self, xs: list[np.ndarray], masks: list[Any]) -> tuple[np.ndarray, None]:
        return total(xs), None

    def _merge_grad(
        self, dy: np.ndarray, kept: None, shapes: list[tuple[int, ...]]
    ) -> list[np.ndarray]:
        return [dy] * len(shapes)  # y = x_0 + x_1 + ...


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)
