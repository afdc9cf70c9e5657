"""LSTMCell: one step of an LSTM, and all steps of a sequence at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations
from minikeras.layers.rnn.base_cell import BaseCell
from minikeras.layers.rnn.dropout_rnn_cell import DropoutMasks
from minikeras.layers.rnn.loop import or_zeros
from minikeras.ops.elementwise import sum_rows
from minikeras.ops.lstm import (
    LSTMGates,
    LSTMSequence,
    lstm_gates,
    lstm_gates_grad,
    lstm_sequence,
    lstm_sequence_grad,
)
from minikeras.ops.lstm_fused import (
    FusedSequence,
    fused_sequence,
    fused_sequence_grad,
)
from minikeras.ops.rnn import (
    dropped_matmul,
    dropped_matmul_dkernel,
    dropped_matmul_dx,
)
from minikeras.registry import public
from minikeras.threads import together

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class LSTMCellResiduals(NamedTuple):
    """What `LSTMCell.backward` needs.

    Attributes:
        x: (N, D), the input.
        h_prev: (N, units), the output of the step before.
        gates: what `lstm_gates` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    h_prev: np.ndarray
    gates: LSTMGates
    masks: DropoutMasks


class LSTMCellSequenceResiduals(NamedTuple):
    """What `LSTMCell.backward_sequence` needs.

    Attributes:
        x: (T, N, D), the inputs.
        steps: what `lstm_sequence` or `fused_sequence` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    steps: LSTMSequence | FusedSequence
    masks: DropoutMasks


@public("keras.layers")
class LSTMCell(BaseCell):
    """One step of an LSTM. `LSTM` and `RNN(LSTMCell(...))` run it over a sequence.

    Args:
        units: size of the states h and c and of the output, a positive integer.
        activation: of the candidate and of c on its way to the output.
        recurrent_activation: of the three gates.
        use_bias: whether `bias` exists.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights
            start.
        unit_forget_bias: start the forget gate's part of the bias at 1: an untrained
            cell then remembers.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: projections after each
            update.
        dropout: share of the inputs to drop in training; clipped to [0, 1].
        recurrent_dropout: share of h to drop on its way to the gates; likewise.
        seed: of the dropout masks.
        **kwargs: `implementation` (2: one input mask for all gates; 1, also if
            `recurrent_dropout` is not 0: one for each), `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: (N, D).
        states: [h, c], both (N, units).
        training: whether to drop.

    Output:
        `(h, [h, c])`, all (N, units).

    Weights:
        `kernel` (D, 4 * units), `recurrent_kernel` (units, 4 * units), `bias`
        (4 * units,); the columns are those of the gates i, f, g (the candidate; Keras
        calls it c) and o.

    **Formula**: `z = x @ kernel + h_prev @ recurrent_kernel + bias`, then `lstm_gates`
    of `minikeras.ops.lstm`:

        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
        c = f * c_prev + i * g;   h = o * tanh(c)

    **Gradient**: `lstm_gates_grad` gives dz and dc_prev; z is linear in the rest, so

        dkernel = x.T @ dz           drecurrent_kernel = h_prev.T @ dz
        dx = dz @ kernel.T           dh_prev = dz @ recurrent_kernel.T
        dbias = dz.sum(axis=0)

    **Keeps**: x and h_prev, the other factors of these products, and the gates.

    Reference: Hochreiter and Schmidhuber (1997), Long Short-Term Memory; Jozefowicz,
    Zaremba and Sutskever (2015) for the forget bias of 1.

    >>> cell = LSTMCell(1, kernel_initializer="zeros", recurrent_initializer="zeros")
    >>> state = np.full((1, 1), 2.0, "float32")
    >>> h, (h, c) = cell(state, [state, state])
    >>> c                                                   # sigmoid(1) * 2
    array([[1.4621172]], dtype=float32)
    """

    _blocks = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.implementation = 1 if self.recurrent_dropout != 0.0 else implementation
        self.dropout_mask_count = 4 if self.implementation == 1 else None
        self.state_size = [units, units]

    def _initial_bias(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape, dtype)
        i = self.bias_initializer((self.units,), dtype=dtype)
        f = np.ones(self.units, dtype)
        g_and_o = self.bias_initializer((2 * self.units,), dtype=dtype)
        return np.concatenate([i, f, g_and_o])

    def _pair(self) -> tuple[Any, Any] | None:
        """The activations for `lstm_gates`; None for the usual two, which it fuses."""
        if (
            self.activation is activations.tanh
            and self.recurrent_activation is activations.sigmoid
        ):
            return None
        return self.activation, self.recurrent_activation

    def forward(
        self,
        inputs: np.ndarray,
        states: Any,
        *,
        training: bool = False,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, list[np.ndarray]], LSTMCellResiduals]:
        """One step. `masks` come from `draw_masks`; without them, training makes and
        keeps its own, see `get_dropout_mask`."""
        h_prev, c_prev = self._two_states(states)
        x = inputs.astype(self.compute_dtype, copy=False)
        if masks is None:
            masks = self._kept_masks(x, h_prev) if training else DropoutMasks()
        # (N, D) @ (D, 4 * units) + (N, units) @ (units, 4 * units)
        z = dropped_matmul(x, self.kernel.value, masks.inputs)
        z += dropped_matmul(h_prev, self.recurrent_kernel.value, masks.recurrent)
        if self.bias is not None:
            z += self.bias.value
        (h, c), gates = lstm_gates(z, c_prev, self._pair())
        return (h, [h, c]), LSTMCellResiduals(x, h_prev, gates, masks)

    def backward(
        self, dy: Any, residuals: LSTMCellResiduals, grads: Gradients
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """`dx, [dh_prev, dc_prev]`, for `dy = (d_output, [dh, dc])`."""
        x, h_prev, gates, masks = residuals
        # The output and the state h are one array: their gradients add.
        d_output, (dh, dc) = or_zeros(dy, (h_prev, (h_prev, h_prev)))
        # in forward: h, c = lstm_gates(z, c_prev)
        dz, dc_prev = lstm_gates_grad(d_output + dh, dc, gates, self._pair())
        # in forward: z = x @ kernel + h_prev @ recurrent_kernel + bias
        kernel = self.kernel.value

        def find_dx() -> np.ndarray:
            return dropped_matmul_dx(dz, kernel, masks.inputs)

        dx = self._add_gradients(dz, x, h_prev, masks, grads, find_dx)
        dh_prev = dropped_matmul_dx(dz, self.recurrent_kernel.value, masks.recurrent)
        return dx, [dh_prev, dc_prev]

    def _add_gradients(
        self,
        dz: np.ndarray,
        x: np.ndarray,
        h_prev: np.ndarray,
        masks: DropoutMasks,
        grads: Gradients,
        find_dx: Callable[[], np.ndarray | None],
    ) -> np.ndarray | None:
        """Gradients of the weights, for one step (N, ...) or for all (T, N, ...).

        Returns:
            `find_dx()`: like the other products it may run on another thread.
        """

        def find_dkernel() -> np.ndarray | None:
            if not grads.wants(self.kernel):
                return None
            return dropped_matmul_dkernel(dz, x, masks.inputs)

        def find_drecurrent() -> np.ndarray | None:
            if not grads.wants(self.recurrent_kernel):
                return None
            return dropped_matmul_dkernel(dz, h_prev, masks.recurrent)

        positions = 2 * math.prod(dz.shape[:-1])
        operations = positions * (2 * self.kernel.size + self.recurrent_kernel.size)
        dkernel, drecurrent, dx = together(
            find_dkernel, find_drecurrent, find_dx, operations=operations
        )
        if dkernel is not None:
            grads.add(self.kernel, dkernel)
        if drecurrent is not None:
            grads.add(self.recurrent_kernel, drecurrent)
        if self.bias is not None:
            grads.add(self.bias, sum_rows(dz))
        return dx

    def forward_sequence(
        self,
        x: np.ndarray,
        states: Any,
        *,
        mask: np.ndarray | None = None,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, list[np.ndarray]], LSTMCellSequenceResiduals]:
        """All steps: `(outputs, last states), residuals`; the input's share of z is one
        product for the whole sequence.

        Args:
            x: (T, N, D), time-major.
            mask: (T, N, 1).
        """
        masks = masks or DropoutMasks()
        x = np.ascontiguousarray(x, self.compute_dtype)
        h0, c0 = self._two_states(states)
        z = dropped_matmul(x, self.kernel.value, masks.inputs)
        recurrent_kernel = self.recurrent_kernel.value
        bias = None if self.bias is None else self.bias.value
        steps: LSTMSequence | FusedSequence
        if self._pair() is None and masks.recurrent is None:
            steps = fused_sequence(z, h0, c0, recurrent_kernel, bias, mask)
        else:
            steps = lstm_sequence(
                z,
                h0,
                c0,
                recurrent_kernel,
                bias,
                mask=mask,
                recurrent_masks=masks.recurrent,
                activations=self._pair(),
            )
        # Copies: a view of the last step would keep all steps in memory.
        last = [steps.h[-1].copy(), steps.c[-1].copy()]
        return (steps.h[1:], last), LSTMCellSequenceResiduals(x, steps, masks)

    def backward_sequence(
        self,
        d_outputs: np.ndarray | Sequence[np.ndarray | None],
        d_states: Sequence[np.ndarray],
        residuals: LSTMCellSequenceResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """`dx, [dh0, dc0]`: the same as `backward` for every step, last to first."""
        x, steps, masks = residuals
        recurrent_kernel = self.recurrent_kernel.value
        if isinstance(steps, FusedSequence):
            dz, dh0, dc0 = fused_sequence_grad(
                d_outputs, *d_states, steps, recurrent_kernel
            )
        else:
            dz, dh0, dc0 = lstm_sequence_grad(
                d_outputs,
                *d_states,
                steps,
                recurrent_kernel,
                recurrent_masks=masks.recurrent,
                activations=self._pair(),
            )
        # in forward: z[t] = x[t] @ kernel + h[t] @ recurrent_kernel + bias
        kernel = self.kernel.value

        def find_dx() -> np.ndarray | None:
            return dropped_matmul_dx(dz, kernel, masks.inputs) if need_dx else None

        dx = self._add_gradients(dz, x, steps.h[:-1], masks, grads, find_dx)
        return dx, [dh0, dc0]

    def _two_states(self, states: Any) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(states, list | tuple) or len(states) != 2:
            raise ValueError(
                f"The states of '{self.name}' are the list [h, c]. Received: "
                f"{[np.shape(s) for s in states]}"
            )
        h, c = (np.asarray(s, self.compute_dtype) for s in states)
        return h, c

    def get_initial_state(self, batch_size: int | None = None) -> list[np.ndarray]:
        """Zeros for h and c, (batch_size, units)."""
        return [np.zeros((batch_size, n), self.compute_dtype) for n in self.state_size]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves `implementation` out."""
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
            "seed": self.seed,
        }
