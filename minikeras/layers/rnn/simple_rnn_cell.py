"""SimpleRNNCell: one step of a simple recurrent network, and all steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations
from minikeras.layers.rnn.dropout_rnn_cell import DropoutMasks
from minikeras.layers.rnn.one_state_cell import OneStateCell, state_gradient
from minikeras.ops.recurrence import rows_sum
from minikeras.ops.rnn import (
    dropped_matmul,
    dropped_matmul_dkernel,
    dropped_matmul_dx,
)
from minikeras.ops.simple_rnn import (
    SimpleRNNSequence,
    SimpleRNNStep,
    simple_rnn_sequence,
    simple_rnn_sequence_grad,
    simple_rnn_step,
    simple_rnn_step_grad,
)
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class SimpleRNNCellResiduals(NamedTuple):
    """What `SimpleRNNCell.backward` needs.

    Attributes:
        x: (N, D), the input.
        h_prev: (N, units), the output of the step before.
        step: what `simple_rnn_step` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    h_prev: np.ndarray
    step: SimpleRNNStep
    masks: DropoutMasks


class SimpleRNNCellSequenceResiduals(NamedTuple):
    """What `SimpleRNNCell.backward_sequence` needs.

    Attributes:
        x: (T, N, D), the inputs.
        steps: what `simple_rnn_sequence` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    steps: SimpleRNNSequence
    masks: DropoutMasks


@public("keras.layers")
class SimpleRNNCell(OneStateCell):
    """One step of a simple recurrent network: the output is fed back as input.

    Args:
        units: size of the state and of the output, a positive integer.
        activation: of the output.
        use_bias: whether `bias` exists.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights
            start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: projections after each
            update.
        dropout: share of the inputs to drop in training; clipped to [0, 1].
        recurrent_dropout: share of h to drop on its way into the next step; likewise.
        seed: of the dropout masks.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: (N, D).
        states: [h], or h, (N, units).
        training: whether to drop.

    Output:
        `(h, [h])`, or `(h, h)` if the state came bare.

    Weights:
        `kernel` (D, units), `recurrent_kernel` (units, units), `bias` (units,).

    **Formula** `h = tanh(x @ kernel + h_prev @ recurrent_kernel + bias)`

    **Gradient** with `dz = dh * (1 - h**2)`:

        dkernel = x.T @ dz           drecurrent_kernel = h_prev.T @ dz
        dx = dz @ kernel.T           dh_prev = dz @ recurrent_kernel.T
        dbias = dz.sum(axis=0)

    **Keeps** x, h_prev and h.

    Reference: Elman (1990), Finding Structure in Time.

    >>> cell = SimpleRNNCell(1, kernel_initializer="ones", activation="linear")
    >>> cell.build((None, 1))
    >>> cell(np.ones((1, 1), "float32"), [np.zeros((1, 1), "float32")])[0]
    array([[1.]], dtype=float32)
    """

    _draws_seed_first = True

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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

    def _draw(self, x: np.ndarray, rate: float, training: bool) -> np.ndarray | None:
        if rate == 1 and training:  # NB: here, unlike in LSTM and GRU, 1 drops all.
            return np.zeros((1, *x.shape), x.dtype)
        return super()._draw(x, rate, training)

    def _activation(self) -> Any:
        """For `simple_rnn_step`; None for tanh, which it computes itself."""
        return None if self.activation is activations.tanh else self.activation

    def forward(
        self,
        inputs: np.ndarray,
        states: Any,
        *,
        training: bool = False,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, Any], SimpleRNNCellResiduals]:
        """One step. `masks` come from `draw_masks`; without them the cell makes and
        keeps its own, see `get_dropout_mask`."""
        h_prev = self._one_state(states)
        x = inputs.astype(self.compute_dtype, copy=False)
        if masks is None:
            # NB: Keras's cell makes them in inference too, where they change nothing
            # but what the next call finds.
            masks = self._kept_masks(x, h_prev)
        masks = masks if training else DropoutMasks()
        step = simple_rnn_step(
            dropped_matmul(x, self.kernel.value, masks.inputs),  # (N, D) @ (D, units)
            h_prev,
            self.recurrent_kernel.value,
            None if self.bias is None else self.bias.value,
            recurrent_masks=masks.recurrent,
            activation=self._activation(),
        )
        h = step.y
        new_states = [h] if isinstance(states, list | tuple) else h
        return (h, new_states), SimpleRNNCellResiduals(x, h_prev, step, masks)

    def backward(
        self, dy: Any, residuals: SimpleRNNCellResiduals, grads: Gradients
    ) -> tuple[np.ndarray, Any]:
        """`dx, [dh_prev]`, for `dy = (d_output, [dh])`."""
        x, h_prev, step, masks = residuals
        dh, nested = state_gradient(dy, h_prev)
        # in forward: h = simple_rnn_step(x @ kernel, h_prev)
        dz, dh_prev = simple_rnn_step_grad(
            dh,
            step,
            self.recurrent_kernel.value,
            recurrent_masks=masks.recurrent,
            activation=self._activation(),
        )
        self._add_gradients(dz, x, h_prev, masks, grads)
        dx = dropped_matmul_dx(dz, self.kernel.value, masks.inputs)
        return dx, [dh_prev] if nested else dh_prev

    def _add_gradients(
        self,
        dz: np.ndarray,
        x: np.ndarray,
        h_prev: np.ndarray,
        masks: DropoutMasks,
        grads: Gradients,
    ) -> None:
        """Gradients of the weights, for one step (N, ...) or for all (T, N, ...)."""
        # in forward: z = x @ kernel + h_prev @ recurrent_kernel + bias
        if grads.wants(self.kernel):
            grads.add(self.kernel, dropped_matmul_dkernel(dz, x, masks.inputs))
        if grads.wants(self.recurrent_kernel):
            gradient = dropped_matmul_dkernel(dz, h_prev, masks.recurrent)
            grads.add(self.recurrent_kernel, gradient)
        if self.bias is not None:
            grads.add(self.bias, rows_sum(dz))

    def forward_sequence(
        self,
        x: np.ndarray,
        states: Any,
        *,
        mask: np.ndarray | None = None,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, list[np.ndarray]], SimpleRNNCellSequenceResiduals]:
        """All steps: `(outputs, last states), residuals`; the input's share of z is one
        product for the whole sequence.

        Args:
            x: (T, N, D), time-major.
            mask: (T, N, 1).
        """
        masks = masks or DropoutMasks()
        x = np.ascontiguousarray(x, self.compute_dtype)
        steps = simple_rnn_sequence(
            dropped_matmul(x, self.kernel.value, masks.inputs),
            self._one_state(states),
            self.recurrent_kernel.value,
            None if self.bias is None else self.bias.value,
            mask=mask,
            recurrent_masks=masks.recurrent,
            activation=self._activation(),
        )
        # A copy: a view of the last step would keep all steps in memory.
        last = [steps.h[-1].copy()]
        return (steps.h[1:], last), SimpleRNNCellSequenceResiduals(x, steps, masks)

    def backward_sequence(
        self,
        d_outputs: np.ndarray | Sequence[np.ndarray | None],
        d_states: Sequence[np.ndarray],
        residuals: SimpleRNNCellSequenceResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """`dx, [dh0]`: the same as `backward` for every step, last to first."""
        x, steps, masks = residuals
        dz, dh0 = simple_rnn_sequence_grad(
            d_outputs,
            *d_states,
            steps,
            self.recurrent_kernel.value,
            recurrent_masks=masks.recurrent,
            activation=self._activation(),
        )
        self._add_gradients(dz, x, steps.h[:-1], masks, grads)
        dx = None
        if need_dx:
            dx = dropped_matmul_dx(dz, self.kernel.value, masks.inputs)
        return dx, [dh0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}
