"""What the cells with one state share."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.layers.rnn.base_cell import BaseCell


class OneStateCell(BaseCell):
    """The base of `GRUCell` and `SimpleRNNCell`: their state is h, or [h]."""

    def get_initial_state(self, batch_size: int | None = None) -> list[np.ndarray]:
        """Zeros for h, (batch_size, units)."""
        return [np.zeros((batch_size, self.units), self.compute_dtype)]

    def _one_state(self, states: Any) -> np.ndarray:
        if isinstance(states, list | tuple):
            if len(states) != 1:
                raise ValueError(
                    f"The states of '{self.name}' are h, or the list [h]. Received: "
                    f"{[np.shape(s) for s in states]}"
                )
            states = states[0]
        return np.asarray(states, self.compute_dtype)


def state_gradient(dy: Any, like: np.ndarray) -> tuple[np.ndarray, bool]:
    """`dh` and whether the state came in a list, for `dy = (d_output, d_state)`.

    The output and the state h are one array: their gradients add.
    """
    d_output, d_state = dy
    nested = isinstance(d_state, list | tuple)
    d_state = d_state[0] if nested else d_state
    parts = [d for d in (d_output, d_state) if d is not None]
    return sum(parts[1:], parts[0]) if parts else np.zeros_like(like), nested
