"""Minimum: the smallest of several inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.layers.merging.base_extremum import Extremum
from minikeras.registry import public


@public("keras.layers")
class Minimum(Extremum):
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

    _choose = np.minimum
    _first_wins = np.less_equal


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)
