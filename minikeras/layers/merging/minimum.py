"""Minimum: the smallest of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge, MergeResiduals
from minikeras.ops.merge import extremum, extremum_grad
from minikeras.registry import public


@public("keras.layers")
class Minimum(Merge):
    """The elementwise minimum of a list of inputs.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        mask: a list of booleans (N, T), or None, one per input (N, T, ..., F). An input
            does not compete where its mask is False.

    Input shape:
        A list of shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = min(x_0, x_1, ...)`

    **Gradient**: dy goes to the input that won, to the first one of equals.

    **Keeps**: which input won, one byte per element.

    >>> a, b = np.array([[1.0, 5.0]], "float32"), np.array([[3.0, 4.0]], "float32")
    >>> Minimum()([a, b])
    array([[1., 4.]], dtype=float32)
    """

    records_mask = False  # in a graph masks travel beside the values

    def forward(
        self, inputs: Any, *, mask: Any = None
    ) -> tuple[np.ndarray, MergeResiduals]:
        """The minimum."""
        return self._run(inputs, mask)

    def _merge(
        self, xs: list[np.ndarray], masks: list[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        return extremum(xs, np.minimum, np.less_equal, masks)

    def _merge_grad(
        self, dy: np.ndarray, kept: np.ndarray, shapes: list[tuple[int, ...]]
    ) -> Sequence[np.ndarray]:
        return extremum_grad(dy, kept, shapes)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)
