"""Maximum: the largest of several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.layers.merging.base_extremum import Extremum
from minikeras.registry import public


@public("keras.layers")
class Maximum(Extremum):
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

    _choose = np.maximum
    _first_wins = np.greater_equal


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)
