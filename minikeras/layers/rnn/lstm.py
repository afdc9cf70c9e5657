"""LSTM: an RNN over an LSTMCell."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from minikeras.layers.rnn.cell_layer import CellLayer, checked_use_cudnn, refuse_cudnn
from minikeras.layers.rnn.lstm_cell import LSTMCell
from minikeras.layers.rnn.rnn import RNNResiduals
from minikeras.registry import public


@public("keras.layers")
class LSTM(CellLayer):
    """Long short-term memory: a recurrent layer whose gates decide what it remembers.

    Two states are carried along the sequence: c, the memory, which each step scales by
    the forget gate and adds to; and h, the output, what the output gate lets out of it.

    Args:
        units: size of the output and of both states, a positive integer.
        activation, recurrent_activation, use_bias, kernel_initializer,
        recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed: see
            `LSTMCell`.
        activity_regularizer: penalty on the output.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: `"auto"` or False: there is no cuDNN here. True raises when the layer
            runs, as in Keras on a CPU.
        **kwargs: `zero_output_for_mask` (see `RNN`), `implementation` (see `LSTMCell`),
            `name`, `dtype`, `trainable`.

    Call arguments:
        sequences: (N, T, D).
        initial_state: [h, c], both (N, units); by default zeros.
        mask: (N, T), True where a step counts.
        training: whether to drop.

    Output shape:
        (N, units), or (N, T, units) if `return_sequences`; with `return_state` the
        tuple (output, h, c).

    Weights:
        those of `cell`: `kernel` (D, 4 * units), `recurrent_kernel` (units, 4 * units),
        `bias` (4 * units,), in the order of the gates i, f, c, o.

    **Formula**, **Gradient**, **Keeps**: one step is in `LSTMCell`, the way
    through time in `minikeras.ops.lstm`: `lstm_sequence` and `lstm_sequence_grad`.

    Reference: Hochreiter and Schmidhuber (1997), Long Short-Term Memory, Neural
    Computation 9.

    >>> layer = LSTM(4, return_state=True, name="memory")
    >>> y, h, c = layer(np.zeros((2, 5, 3), "float32"))
    >>> y.shape, [w.path for w in layer.weights][0]
    ((2, 4), 'memory/lstm_cell/kernel')
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        cell = LSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            implementation=kwargs.pop("implementation", 2),
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.use_cudnn = checked_use_cudnn(use_cudnn)

    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    unit_forget_bias = property(attrgetter("cell.unit_forget_bias"))

    def forward(
        self,
        sequences: np.ndarray,
        initial_state: Any = None,
        *,
        mask: Any = None,
        training: bool = False,
    ) -> tuple[Any, RNNResiduals]:
        """The output, or `(output, h, c)`; see `RNN.forward`."""
        refuse_cudnn(self.use_cudnn, self.name)
        return super().forward(sequences, initial_state, mask=mask, training=training)
