"""GRU: an RNN over a GRUCell."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from minikeras.layers.rnn.cell_layer import CellLayer, checked_use_cudnn, refuse_cudnn
from minikeras.layers.rnn.gru_cell import GRUCell
from minikeras.layers.rnn.rnn import RNNResiduals
from minikeras.registry import public


@public("keras.layers")
class GRU(CellLayer):
    """Gated recurrent unit: a recurrent layer with one state and two gates.

    The new state is a mean of the old one and of a candidate; the update gate z is the
    weight of the old one. The candidate sees the old state through the reset gate r.

    Args:
        units: size of the state and of the output, a positive integer.
        activation, recurrent_activation, use_bias, kernel_initializer,
        recurrent_initializer, bias_initializer, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after,
        seed: see `GRUCell`.
        activity_regularizer: penalty on the output.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: `"auto"` or False: there is no cuDNN here. True raises when the layer
            runs, as in Keras on a CPU.
        **kwargs: `zero_output_for_mask` (see `RNN`), `implementation` (see `GRUCell`),
            `name`, `dtype`, `trainable`.

    Call arguments:
        sequences: (N, T, D).
        initial_state: [h], (N, units); by default zeros.
        mask: (N, T), True where a step counts.
        training: whether to drop.

    Output shape:
        (N, units), or (N, T, units) if `return_sequences`; with `return_state` the
        tuple (output, h).

    Weights:
        those of `cell`: `kernel` (D, 3 * units), `recurrent_kernel` (units, 3 *
        units), `bias` (2, 3 * units), or (3 * units,) without `reset_after`; in the
        order of the gates z, r and of the candidate.

    **Formula**, **Gradient**, **Keeps**: one step is in `GRUCell`, the way through time
    in `minikeras.ops.gru`: `gru_sequence` and `gru_sequence_grad`.

    Reference: Cho et al. (2014), Learning Phrase Representations using RNN
    Encoder-Decoder for Statistical Machine Translation, arXiv:1406.1078.

    >>> layer = GRU(4, return_state=True, name="memory")
    >>> y, h = layer(np.zeros((2, 5, 3), "float32"))
    >>> y.shape, [w.shape for w in layer.weights]
    ((2, 4), [(3, 12), (4, 12), (2, 12)])
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
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        cell = GRUCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            reset_after=reset_after,
            seed=seed,
            implementation=kwargs.pop("implementation", 2),
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="gru_cell",
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
    reset_after = property(attrgetter("cell.reset_after"))

    def forward(
        self,
        sequences: np.ndarray,
        initial_state: Any = None,
        *,
        mask: Any = None,
        training: bool = False,
    ) -> tuple[Any, RNNResiduals]:
        """The output, or `(output, h)`; see `RNN.forward`."""
        refuse_cudnn(self.use_cudnn, self.name)
        return super().forward(sequences, initial_state, mask=mask, training=training)
