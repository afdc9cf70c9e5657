"""Maximum: the largest of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge, MergeResiduals
from minikeras.ops.merge import extremum, extremum_grad
from minikeras.registry import public


@public("keras.layers")
class Maximum(Merge):
    """The elementwise maximum of a list of inputs.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Call arguments:
        mask: a list of booleans (N, T), or None, one per input (N, T, ..., F). An input
            does not compete where its mask is False.

    Input shape:
        A list of shapes (N, ...) that broadcast; see `Merge` for unequal ranks.

    Output shape:
        The broadcast shape.

    **Formula**: `y = max(x_0, x_1, ...)`

    **Gradient**: dy goes to the input that won, to the first one of equals.

    **Keeps**: which input won, one byte per element.

    >>> a, b = np.array([[1.0, 5.0]], "float32"), np.array([[3.0, 4.0]], "float32")
    >>> Maximum()([a, b])
    array([[3., 5.]], dtype=float32)
    """

    records_mask = False  # in a graph masks travel beside the values

    def forward(
        self, inputs: Any, *, mask: Any = None
    ) -> tuple[np.ndarray, MergeResiduals]:
        """The maximum."""
        return self._run(inputs, mask)

    def _merge(
        self, xs: list[np.ndarray], masks: list[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        return extremum(xs, np.maximum, np.greater_equal, masks)

    def _merge_grad(
        self, dy: np.ndarray, kept: np.ndarray, shapes: list[tuple[int, ...]]
    ) -> Sequence[np.ndarray]:
        return extremum_grad(dy, kept, shapes)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)
