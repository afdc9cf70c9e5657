"""The `axis` argument of normalization layers."""

from __future__ import annotations

from typing import Any


def check_axes(axis: Any, input_shape: Any) -> None:
    """Raises a ValueError for an axis that the shape does not have."""
    for one in axis if isinstance(axis, list | tuple) else [axis]:
        if not -len(input_shape) <= one < len(input_shape):
            raise ValueError(
                f"Axis {one} is out of bounds for input shape {tuple(input_shape)}. "
                f"Received: axis={axis}"
            )
