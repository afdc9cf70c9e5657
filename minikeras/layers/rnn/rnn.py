"""RNN: a cell, run over the time axis of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import naming, tree
from minikeras.layers.layer import Layer
from minikeras.layers.rnn.cells import (
    build_cell,
    check_cell,
    output_size,
    starting_states,
    state_shapes,
)
from minikeras.layers.rnn.loop import loop_backward, loop_forward, or_zeros
from minikeras.layers.rnn.stacked_rnn_cells import StackedRNNCells
from minikeras.ops.rnn import select, to_batch_major, to_time_major
from minikeras.registry import public
from minikeras.serialization import deserialize_keras_object, serialize_keras_object
from minikeras.variables import Variable

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class RNNResiduals(NamedTuple):
    """What `RNN.backward` needs.

    Attributes:
        cell: what the steps kept.
        steps: T, their number.
        emits: (T, N, 1), where the output is not zero by the mask; None: everywhere.
        states: the last states, for their structure and shapes.
        initial_state: as the caller gave it, for its structure; None if not given.
    """

    cell: Any
    steps: int
    emits: np.ndarray | None
    states: list[Any]
    initial_state: Any


@public("keras.layers")
class RNN(Layer):
    """A recurrent layer over any cell.

    **A cell** is one step. It is a `Layer` (or any object) with

        state_size            an integer, or a list of them: one per state
        output_size           an integer; by default the size of the first state
        build(input_shape)    input_shape is that of one step, (N, D)
        forward(x, states, training=False)
                              -> ((output, new_states), residuals)
        backward((d_output, d_new_states), residuals, grads)
                              -> (dx, d_states)
        get_initial_state(batch_size)      optional; by default zeros

    x is (N, D), `states` a list of (N, size); `new_states`, `d_new_states` and
    `d_states` are lists like it. The gradients that come to a cell are arrays, never
    None. `training` may be left out. `backward` adds to `grads` at each step, and so
    sums over time. Three methods more are optional: `draw_masks`, for random numbers
    that stay the same over a sequence (`DropoutRNNCell`), and, for speed,
    `forward_sequence` and `backward_sequence`, which do all steps at once (`LSTMCell`).

    Args:
        cell: a cell, or a list of cells to stack.
        return_sequences: return the output of each step instead of the last one.
        return_state: return the last states too.
        go_backwards: read the sequence from its end. NB: The outputs come in the order
            they were computed, but a mask goes on to the next layer as it came.
        stateful: start from the states that the call before ended with.
        unroll: accepted as in Keras; here steps are always a loop.
        zero_output_for_mask: give zeros at masked steps instead of the output before.
        **kwargs: `activity_regularizer`, `name`, `dtype`, `trainable`.

    Call arguments:
        sequences: (N, T, D).
        initial_state: list of arrays (N, size), one per state; by default the cell's
            `get_initial_state`.
        mask: (N, T), True where a step counts. A masked step leaves the states alone;
            its output is that of the step before, zeros if there was none.
        training: passed to the cell.

    Output shape:
        (N, units), or (N, T, units) if `return_sequences`; with `return_state` a tuple
        of that and the states.

    **Formula** `output[t], states[t+1] = cell(x[t], states[t])`

    **Gradient** Backpropagation through time: the same steps from last to first. What
    the loss says of the states after a step comes from the steps after it;
    `cell.backward` turns it into what the loss says of the states before, and adds the
    weights' gradients, which sum over steps because each step used the same weights.
    With `initial_state` given, `backward` returns `(dx, d_initial_state)`.

    **Keeps** what the cell keeps of each step: memory grows with T.

    Reference: Werbos (1990), Backpropagation through time.

    >>> from minikeras.layers.rnn.lstm_cell import LSTMCell
    >>> RNN(LSTMCell(4), return_sequences=True)(np.zeros((2, 5, 3), "float32")).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        size = cell.state_size
        if not isinstance(size, list | tuple) and not hasattr(size, "__index__"):
            raise ValueError(
                "state_size must be an integer, or a list/tuple of integers (one for "
                f"each state tensor). Received: cell.state_size={size}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.single_state = not isinstance(size, list | tuple)
        self.state_size = [size] if self.single_state else list(size)
        self._set_states(None)

    # --- Building -------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Builds the cell on one step; a stateful layer gets its states."""
        build_cell(self.cell, (sequences_shape[0], *sequences_shape[2:]))
        if not self.stateful:
            return
        if self.states is not None:
            self.reset_state()
            return
        if sequences_shape[0] is None:
            raise ValueError(
                "When using `stateful=True` in a RNN, the batch size must be static. "
                f"Found dynamic batch size: sequence.shape={tuple(sequences_shape)}. "
                f"Layer '{self.name}': give `batch_size=` to the Input before it."
            )
        with naming.name_scope(self.name, caller=self):
            states = tree.map_structure(
                self._state_variable, self.get_initial_state(sequences_shape[0])
            )
        self._set_states(states)

    def _state_variable(self, value: np.ndarray) -> Variable:
        return Variable(
            value, dtype=self.variable_dtype, trainable=False, name="rnn_state"
        )

    def _set_states(self, states: Any) -> None:
        # NB: As in Keras, the states are in no list of variables and in no file.
        object.__setattr__(self, "states", states)

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """Whether a batch must not be cut: the states belong to its rows."""
        return self.stateful

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states a sequence starts from if none are given."""
        return starting_states(self.cell, batch_size)

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zeros."""
        for state in tree.flatten(self.states):
            if state is not None:
                state.assign(np.zeros(state.shape, state.dtype))

    def reset_states(self) -> None:
        """The older name of `reset_state`."""
        self.reset_state()

    # --- Forward and backward -------------------------------------------------------

    def forward(
        self,
        sequences: np.ndarray,
        initial_state: Any = None,
        *,
        mask: Any = None,
        training: bool = False,
    ) -> tuple[Any, RNNResiduals]:
        """The output, or `(output, *states)`."""
        self._check_steps(sequences.shape)
        states = self._first_states(sequences, initial_state)
        x = to_time_major(sequences, self.go_backwards)  # (N, T, D) -> (T, N, D)
        mask = self._time_major_mask(mask, sequences)
        (outputs, states), kept = self._run(x, states, mask, training)
        if self.stateful:
            pairs = zip(tree.flatten(self.states), tree.flatten(states), strict=True)
            for variable, value in pairs:
                variable.assign(value)
        emits = self._emits(mask)
        y = np.asarray(outputs) if self.return_sequences else outputs[-1]
        if emits is not None:
            y = select(emits if self.return_sequences else emits[-1], y, 0)
        # (T, N, units) -> (N, T, units), in the order computed. The last output is
        # copied: a view of it would keep all others in memory.
        y = to_batch_major(y) if self.return_sequences else y.copy()
        residuals = RNNResiduals(kept, len(x), emits, states, initial_state)
        return ((y, *states) if self.return_state else y), residuals

    def backward(
        self,
        dy: Any,
        residuals: RNNResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> Any:
        """dx, or `(dx, d_initial_state)` if the call had an `initial_state`."""
        kept, steps, emits, states, given = residuals
        d_output, *d_states = dy if self.return_state else (dy,)
        d_states = or_zeros(d_states if self.return_state else None, states)
        # in forward: y = select(emits, outputs, 0), all of them or the last
        d_outputs: Any = [None] * steps
        if d_output is not None and self.return_sequences:
            d_outputs = to_time_major(d_output)  # (N, T, units) -> (T, N, units)
            if emits is not None:
                d_outputs = select(emits, d_outputs, 0)
        elif d_output is not None:
            d_outputs[-1] = d_output
            if emits is not None:
                d_outputs[-1] = select(emits[-1], d_output, 0)
        dx, d_states = self._run_back(d_outputs, d_states, kept, grads, need_dx)
        # in forward: x = to_time_major(sequences)
        dx = None if dx is None else to_batch_major(dx, self.go_backwards)
        if given is None:
            return dx
        if not tree.is_nested(given):
            return dx, d_states[0]
        return dx, tree.pack_sequence_as(given, tree.flatten(d_states))

    def _run(
        self, x: np.ndarray, states: list[Any], mask: np.ndarray | None, training: bool
    ) -> tuple[tuple[Any, list[Any]], Any]:
        """All steps: at once where the cell can, else one by one."""
        masks = None
        if hasattr(self.cell, "draw_masks"):
            masks = self.cell.draw_masks(x[0], states, training)
        if hasattr(self.cell, "forward_sequence"):
            return self.cell.forward_sequence(x, states, mask=mask, masks=masks)
        return loop_forward(
            self.cell,
            x,
            states,
            mask=mask,
            training=training,
            masks=masks,
            unroll=self.unroll,
        )

    def _run_back(
        self,
        d_outputs: Sequence[Any],
        d_states: list[Any],
        kept: Any,
        grads: Gradients,
        need_dx: bool,
    ) -> tuple[Any, list[Any]]:
        """The gradient of `_run`."""
        if hasattr(self.cell, "backward_sequence"):
            return self.cell.backward_sequence(
                d_outputs, d_states, kept, grads, need_dx=need_dx
            )
        return loop_backward(self.cell, d_outputs, d_states, kept, grads)

    # --- Masks and states -----------------------------------------------------------

    def _time_major_mask(self, mask: Any, sequences: np.ndarray) -> np.ndarray | None:
        """(N, T) or (N, T, 1) -> (T, N, 1), in the order of the steps."""
        mask = tree.flatten(mask)[0]
        if mask is None:
            return None
        mask = np.asarray(mask).astype(bool)
        if mask.shape[:2] != sequences.shape[:2] or mask.ndim > 3:
            raise ValueError(
                f"The mask of layer '{self.name}' must have the shape (batch, "
                f"timesteps) = {sequences.shape[:2]}. Received: mask.shape={mask.shape}"
            )
        return to_time_major(mask.reshape(*mask.shape[:2], 1), self.go_backwards)

    def _emits(self, mask: np.ndarray | None) -> np.ndarray | None:
        """Where an output is not zero: after the first unmasked step, or there only."""
        if mask is None:
            return None
        begun = np.logical_or.accumulate(mask, axis=0)
        if not self.zero_output_for_mask:
            return begun
        if self.unroll and self.go_backwards and self.return_sequences:
            # NB: Keras's unrolled loop zeroes in the order of the input here, although
            # the outputs are in reverse order.
            return mask[::-1] & begun
        return mask

    def _first_states(self, sequences: np.ndarray, given: Any) -> list[Any]:
        n = len(sequences)
        if self.stateful:
            expected = len(tree.flatten(self.states)[0])
            if n != expected:
                raise ValueError(
                    "If an RNN is stateful, the batch size of the input sequences must "
                    "be the same as the batch size of the initial state. \n- Expected "
                    f"batch size: {expected}\n- Received batch size: {n}\n"
                    f"Layer: '{self.name}'"
                )
        if given is None and self.stateful:
            return tree.map_structure(lambda v: v.numpy(), self.states)
        default = self.get_initial_state(n)
        if given is None:
            return default
        given = list(given) if tree.is_nested(given) else [given]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = tree.map_structure(lambda s: np.asarray(s, dtype), given)
        shapes = [s.shape for s in tree.flatten(states)]
        expected_shapes = [s.shape for s in tree.flatten(default)]
        if shapes != expected_shapes:
            raise ValueError(
                f"The initial_state of layer '{self.name}' must be a list of "
                f"{len(expected_shapes)} arrays of the shapes {expected_shapes}. "
                f"Received: shapes {shapes}"
            )
        return tree.pack_sequence_as(default, tree.flatten(states))

    # --- Shapes and configuration -----------------------------------------------------

    def _check_steps(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) < 3:
            raise ValueError(
                f"Layer '{self.name}' expected an input of shape (batch, timesteps, "
                f"features), with ndim=3 or more. Received: shape {shape}"
            )
        if shape[1] == 0:
            raise ValueError(
                f"Layer '{self.name}' needs at least one time step. Received: shape "
                f"{shape}"
            )

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        """The output's shape, and the states' if `return_state`."""
        self._check_steps(tuple(sequences_shape))
        n, steps = sequences_shape[:2]
        shape: tuple = (n, output_size(self.cell))
        if self.return_sequences:
            shape = (n, steps, output_size(self.cell))
        if not self.return_state:
            return shape
        return (shape, *state_shapes(n, self.state_size))

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask itself for sequences, None for the last output and the states."""
        mask = tree.flatten(mask)[0]
        mask = mask if self.return_sequences else None
        return [mask] + [None] * len(self.state_size) if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the cell as its own config."""
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialize_keras_object(self.cell),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """The inverse of `get_config`."""
        config = dict(config)
        if isinstance(config.get("cell"), dict):
            config["cell"] = deserialize_keras_object(
                config["cell"], custom_objects=custom_objects
            )
        return super().from_config(config)
