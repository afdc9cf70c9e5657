"""What recurrent layers ask of a cell. `RNN` says what a cell is."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import tree
from minikeras.layers.layer import Layer
from minikeras.symbolic import KerasTensor


def check_cell(cell: Any, subject: str = "The cell of an RNN") -> None:
    """Raises a ValueError if an object lacks what a cell must have."""
    for name in ("forward", "backward", "state_size"):
        if not hasattr(cell, name):
            raise ValueError(
                f"{subject} should have `forward`, `backward` and `state_size` (an "
                f"integer, or a list of integers, one per state). Received: {cell}, "
                f"without `{name}`"
            )


def build_cell(cell: Any, input_shape: Any) -> None:
    """Builds a cell that is a layer, the layers inside it included."""
    if not isinstance(cell, Layer) or cell.built:
        return
    cell.build(input_shape)
    if type(cell).build is Layer.build:
        # Made of layers, which are built as they are called: one symbolic step.
        sizes = cell.state_size
        sizes = sizes if isinstance(sizes, list | tuple) else [sizes]
        states = [KerasTensor((None, size), cell.compute_dtype) for size in sizes]
        cell(KerasTensor((None, *input_shape[1:]), cell.compute_dtype), states)


def output_size(cell: Any) -> int:
    """The cell's `output_size`, or the size of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
        size = size[0] if isinstance(size, list | tuple) else size
    return size


def starting_states(cell: Any, batch_size: int | None) -> list[Any]:
    """What the cell starts from: its own `get_initial_state`, or zeros."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if tree.is_nested(states) else [states]
    sizes = cell.state_size
    sizes = sizes if isinstance(sizes, list | tuple) else [sizes]
    dtype = getattr(cell, "compute_dtype", None)
    return [np.zeros((batch_size, size), dtype) for size in sizes]


def state_shapes(n: int | None, sizes: list[Any]) -> list[Any]:
    """The shape of each state; a list of shapes for a stacked cell."""
    return [
        state_shapes(n, list(size)) if isinstance(size, list | tuple) else (n, size)
        for size in sizes
    ]
