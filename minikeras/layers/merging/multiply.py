"""Multiply: the product of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge, MergeResiduals
from minikeras.ops.merge import ProductResiduals, product, product_grad
from minikeras.registry import public


@public("keras.layers")
class Multiply(Merge):
    """The elementwise product of a list of inputs: gates are made with it.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        mask: a list of booleans (N, T), or None, one per input (N, T, ..., F). An input
            counts as 1 where its mask is False; if all have masks, the output is 0
            where all are False.

    Input shape:
        A list of shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = x_0 * x_1 * ...`

    **Gradient**: `dx_i = dy * (product of the others)`, summed over repeated axes, and
    0 where x_i is masked.

    **Keeps**: the inputs and their partial products.

    >>> Multiply()([np.array([[2.0]], "float32"), np.array([[3.0]], "float32")])
    array([[6.]], dtype=float32)
    """

    records_mask = False  # in a graph masks travel beside the values

    def forward(
        self, inputs: Any, *, mask: Any = None
    ) -> tuple[np.ndarray, MergeResiduals]:
        """The product."""
        return self._run(inputs, mask)

    def _merge(
        self, xs: list[np.ndarray], masks: list[Any]
    ) -> tuple[np.ndarray, ProductResiduals]:
        return product(xs, masks)

    def _merge_grad(
        self, dy: np.ndarray, kept: ProductResiduals, shapes: Any
    ) -> Sequence[np.ndarray]:
        return product_grad(dy, kept)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)
