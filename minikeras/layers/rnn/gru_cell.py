"""GRUCell: one step of a GRU, and all steps of a sequence at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations
from minikeras.layers.rnn.dropout_rnn_cell import DropoutMasks
from minikeras.layers.rnn.one_state_cell import OneStateCell, state_gradient
from minikeras.ops.gru import (
    GRUSequence,
    GRUStep,
    GRUWeights,
    gru_drecurrent_kernel,
    gru_sequence,
    gru_sequence_grad,
    gru_step,
    gru_step_grad,
)
from minikeras.ops.recurrence import rows_sum
from minikeras.ops.rnn import (
    dropped_matmul,
    dropped_matmul_dkernel,
    dropped_matmul_dx,
)
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class GRUCellResiduals(NamedTuple):
    """What `GRUCell.backward` needs.

    Attributes:
        x: (N, D), the input.
        step: what `gru_step` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    step: GRUStep
    masks: DropoutMasks


class GRUCellSequenceResiduals(NamedTuple):
    """What `GRUCell.backward_sequence` needs.

    Attributes:
        x: (T, N, D), the inputs.
        steps: what `gru_sequence` kept.
        masks: the dropout masks.
    """

    x: np.ndarray
    steps: GRUSequence
    masks: DropoutMasks


@public("keras.layers")
class GRUCell(OneStateCell):
    """One step of a GRU. `GRU` and `RNN(GRUCell(...))` run it over a sequence.

    Args:
        units: size of the state and of the output, a positive integer.
        activation: of the candidate.
        recurrent_activation: of the two gates.
        use_bias: whether `bias` exists.
        kernel_initializer, recurrent_initializer, bias_initializer: how the weights
            start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: projections after each
            update.
        dropout: share of the inputs to drop in training; clipped to [0, 1].
        recurrent_dropout: share of h to drop on its way to the gates; likewise.
        reset_after: whether the reset gate scales `h_prev @ R_g` (as in cuDNN), or
            h_prev before the product (as Keras 2 did by default).
        seed: of the dropout masks.
        **kwargs: `implementation` (2: one input mask for all gates; 1, also if
            `recurrent_dropout` is not 0: one for each), `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: (N, D).
        states: [h], or h, (N, units).
        training: whether to drop.

    Output:
        `(h, [h])`, or `(h, h)` if the state came bare.

    Weights:
        `kernel` (D, 3 * units), `recurrent_kernel` (units, 3 * units), `bias`
        (3 * units,), or (2, 3 * units) if `reset_after`: its second row is added to
        `h_prev @ recurrent_kernel`. The columns are those of the update gate z, the
        reset gate r and the candidate g (Keras calls it h).

    **Formula** `gru_step` of `minikeras.ops.gru`, from `x @ kernel`:

        z, r = sigmoid(x @ K_z + h_prev @ R_z + b_z), sigmoid(x @ K_r + ...)
        g = tanh(x @ K_g + b_g + r * (h_prev @ R_g + c_g))      if reset_after
        g = tanh(x @ K_g + b_g + (r * h_prev) @ R_g)            otherwise
        h = z * h_prev + (1 - z) * g

    **Gradient** `gru_step_grad` gives d_input and d_recurrent, the gradients of the two
    shares `x @ K + b` and `h_prev @ R + c`, and dh_prev; they are linear in the rest:

        dkernel = x.T @ d_input      drecurrent_kernel = h_prev.T @ d_recurrent
        dx = d_input @ kernel.T      db, dc = sums of d_input, d_recurrent over examples

    Without `reset_after` the candidate's share of drecurrent_kernel is
    `(r * h_prev).T @ d_input_g`.

    **Keeps** x, and what `gru_step` keeps.

    Reference: Cho et al. (2014), arXiv:1406.1078.

    >>> cell = GRUCell(1, kernel_initializer="zeros", recurrent_initializer="zeros")
    >>> state = np.full((1, 1), 2.0, "float32")
    >>> cell(state, [state])[0]                                     # 2 / 2 + 0 / 2
    array([[1.]], dtype=float32)
    """

    _blocks = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
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
        self.reset_after = reset_after
        self.implementation = 1 if self.recurrent_dropout != 0.0 else implementation
        self.dropout_mask_count = 3 if self.implementation == 1 else None

    def _bias_shape(self) -> tuple[int, ...]:
        width = 3 * self.units
        return (2, width) if self.reset_after else (width,)

    def _weights(self, masks: DropoutMasks) -> GRUWeights:
        """The weights as `gru_step` wants them."""
        bias = inner_bias = None
        if self.bias is not None:
            bias = self.bias.value
        if bias is not None and self.reset_after:
            # Both rows are added to z and r; only the second is scaled by r.
            first, second = bias
            inner_bias = second[2 * self.units :]
            bias = first.copy()
            bias[: 2 * self.units] += second[: 2 * self.units]
        usual = (
            self.activation is activations.tanh
            and self.recurrent_activation is activations.sigmoid
        )
        return GRUWeights(
            self.recurrent_kernel.value,
            bias,
            inner_bias,
            self.reset_after,
            masks.recurrent,
            None if usual else (self.activation, self.recurrent_activation),
        )

    def forward(
        self,
        inputs: np.ndarray,
        states: Any,
        *,
        training: bool = False,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, Any], GRUCellResiduals]:
        """One step. `masks` come from `draw_masks`; without them, training makes and
        keeps its own, see `get_dropout_mask`."""
        h_prev = self._one_state(states)
        x = inputs.astype(self.compute_dtype, copy=False)
        if masks is None:
            masks = self._kept_masks(x, h_prev) if training else DropoutMasks()
        # (N, D) @ (D, 3 * units)
        z = dropped_matmul(x, self.kernel.value, masks.inputs)
        h, step = gru_step(z, h_prev, self._weights(masks))
        new_states = [h] if isinstance(states, list | tuple) else h
        return (h, new_states), GRUCellResiduals(x, step, masks)

    def backward(
        self, dy: Any, residuals: GRUCellResiduals, grads: Gradients
    ) -> tuple[np.ndarray, Any]:
        """`dx, [dh_prev]`, for `dy = (d_output, [dh])`."""
        x, step, masks = residuals
        dh, nested = state_gradient(dy, step.h_prev)
        weights = self._weights(masks)
        # in forward: h = gru_step(x @ kernel, h_prev)
        d_input, d_recurrent, dh_prev = gru_step_grad(dh, step, weights)
        operands = x, step.h_prev, step.inner
        self._add_gradients(d_input, d_recurrent, operands, masks, grads)
        dx = dropped_matmul_dx(d_input, self.kernel.value, masks.inputs)
        return dx, [dh_prev] if nested else dh_prev

    def _add_gradients(
        self,
        d_input: np.ndarray,
        d_recurrent: np.ndarray,
        operands: tuple[np.ndarray, np.ndarray, np.ndarray],
        masks: DropoutMasks,
        grads: Gradients,
    ) -> None:
        """Gradients of the weights, for one step (N, ...) or for all (T, N, ...)."""
        x, h_prev, inner = operands
        # in forward: z = x @ kernel + bias
        if grads.wants(self.kernel):
            grads.add(self.kernel, dropped_matmul_dkernel(d_input, x, masks.inputs))
        if grads.wants(self.recurrent_kernel):
            weights = self._weights(masks)
            gradient = gru_drecurrent_kernel(d_recurrent, h_prev, inner, weights)
            grads.add(self.recurrent_kernel, gradient)
        if grads.wants(self.bias):
            dbias = rows_sum(d_input)
            if self.reset_after:  # the second row is added to h_prev @ R
                dbias = np.stack([dbias, rows_sum(d_recurrent)])
            grads.add(self.bias, dbias)

    def forward_sequence(
        self,
        x: np.ndarray,
        states: Any,
        *,
        mask: np.ndarray | None = None,
        masks: DropoutMasks | None = None,
    ) -> tuple[tuple[np.ndarray, list[np.ndarray]], GRUCellSequenceResiduals]:
        """All steps: `(outputs, last states), residuals`; the input's share is one
        product for the whole sequence.

        Args:
            x: (T, N, D), time-major.
            mask: (T, N, 1).
        """
        masks = masks or DropoutMasks()
        x = np.ascontiguousarray(x, self.compute_dtype)
        z = dropped_matmul(x, self.kernel.value, masks.inputs)
        steps = gru_sequence(z, self._one_state(states), self._weights(masks), mask)
        # A copy: a view of the last step would keep all steps in memory.
        last = [steps.h[-1].copy()]
        return (steps.h[1:], last), GRUCellSequenceResiduals(x, steps, masks)

    def backward_sequence(
        self,
        d_outputs: np.ndarray | Sequence[np.ndarray | None],
        d_states: Sequence[np.ndarray],
        residuals: GRUCellSequenceResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """`dx, [dh0]`: the same as `backward` for every step, last to first."""
        x, steps, masks = residuals
        d_input, d_recurrent, dh0 = gru_sequence_grad(
            d_outputs, *d_states, steps, self._weights(masks)
        )
        operands = x, steps.h[:-1], steps.inner
        self._add_gradients(d_input, d_recurrent, operands, masks, grads)
        dx = None
        if need_dx:
            dx = dropped_matmul_dx(d_input, self.kernel.value, masks.inputs)
        return dx, [dh0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves `implementation` out."""
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "reset_after": self.reset_after,
            "seed": self.seed,
        }
