"""StackedRNNCells: several cells, one on top of the other, as one cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.layers.layer import Layer
from minikeras.layers.rnn.cells import (
    build_cell,
    check_cell,
    output_size,
    starting_states,
)
from minikeras.layers.rnn.loop import step_keywords
from minikeras.registry import public
from minikeras.serialization import deserialize_keras_object, serialize_keras_object

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class StackedRNNCellsResiduals(NamedTuple):
    """What `StackedRNNCells.backward` needs.

    Attributes:
        cells: what each cell kept.
    """

    cells: list[Any]


@public("keras.layers")
class StackedRNNCells(Layer):
    """Runs cells one after the other at each step: `RNN([cell, cell])` makes one.

    Args:
        cells: list of cells (see `RNN`).
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: (N, D).
        states: one entry per cell: its list of states.

    Output:
        `(output of the last cell, new states in the structure of states)`.

    **Formula** `x, new_states[k] = cells[k](x, states[k])` for k = 0, 1, ...

    **Gradient** The same from the last cell to the first: dx of one cell is the
    gradient of the output of the cell below.

    >>> from minikeras.layers.rnn.lstm_cell import LSTMCell
    >>> StackedRNNCells([LSTMCell(3), LSTMCell(2)]).state_size
    [[3, 3], [2, 2]]
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, "All cells")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The `state_size` of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        """Builds each cell on the output of the one below."""
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def draw_masks(
        self, inputs: np.ndarray, states: Any, training: bool = False
    ) -> Any:
        """The dropout masks of each cell, from the first cell to the last.

        NB: Like Keras, it runs a step to see what the upper cells' inputs look like; a
        cell that draws random numbers in its steps moves on by that.
        """
        found = []
        for cell, own in zip(self.cells, states, strict=True):
            masks = None
            if hasattr(cell, "draw_masks"):
                masks = cell.draw_masks(inputs, own, training)
            found.append(masks)
            own = own if tree.is_nested(own) else [own]
            keywords = step_keywords(cell, training, masks)
            (inputs, _), _ = cell.forward(inputs, own, **keywords)
        return found

    def forward(
        self,
        inputs: np.ndarray,
        states: Any,
        *,
        training: bool = False,
        masks: Any = None,
    ) -> tuple[tuple[np.ndarray, list[Any]], StackedRNNCellsResiduals]:
        """One step through all cells."""
        masks = masks or [None] * len(self.cells)
        new_states, kept = [], []
        for cell, own, mask in zip(self.cells, states, masks, strict=True):
            own = own if tree.is_nested(own) else [own]
            keywords = step_keywords(cell, training, mask)
            (inputs, new), residuals = cell.forward(inputs, own, **keywords)
            new_states.append(new)
            kept.append(residuals)
        return (inputs, new_states), StackedRNNCellsResiduals(kept)

    def backward(
        self, dy: Any, residuals: StackedRNNCellsResiduals, grads: Gradients
    ) -> tuple[np.ndarray, list[Any]]:
        """`dx, d_states`, for `dy = (d_output, d_new_states)`."""
        d_output, d_new_states = dy
        d_states: list[Any] = [None] * len(self.cells)
        for k in reversed(range(len(self.cells))):
            # in forward: inputs, new_states[k] = cells[k](inputs, states[k])
            d_output, d_states[k] = self.cells[k].backward(
                (d_output, d_new_states[k]), residuals.cells[k], grads
            )
        return d_output, d_states

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The initial states of each cell."""
        return [starting_states(cell, batch_size) for cell in self.cells]

    def get_config(self) -> dict[str, Any]:
        """The cells' own configs."""
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> StackedRNNCells:
        """The inverse of `get_config`."""
        config = dict(config)
        cells = [
            deserialize_keras_object(cell, custom_objects=custom_objects)
            for cell in config.pop("cells")
        ]
        return super().from_config({**config, "cells": cells})
