"""SimpleRNN: an RNN over a SimpleRNNCell."""

from __future__ import annotations

from typing import Any

from minikeras.layers.rnn.cell_layer import CellLayer
from minikeras.layers.rnn.simple_rnn_cell import SimpleRNNCell
from minikeras.messages import warn
from minikeras.registry import public


@public("keras.layers")
class SimpleRNN(CellLayer):
    """A fully connected layer whose output is fed back as input at the next step.

    Args:
        units: size of the state and of the output, a positive integer.
        activation, use_bias, kernel_initializer, recurrent_initializer,
        bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer,
        kernel_constraint, recurrent_constraint, bias_constraint, dropout,
        recurrent_dropout, seed: see `SimpleRNNCell`. NB: `seed` is not in the
            configuration, as in Keras.
        activity_regularizer: NB: Keras takes it and forgets it. So does this layer,
            with a warning.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        **kwargs: `zero_output_for_mask` (see `RNN`), `name`, `dtype`, `trainable`.

    Call arguments:
        sequences: (N, T, D).
        initial_state: [h], (N, units); by default zeros.
        mask: (N, T), True where a step counts.
        training: whether to drop.

    Output shape:
        (N, units), or (N, T, units) if `return_sequences`; with `return_state` the
        tuple (output, h).

    Weights:
        those of `cell`: `kernel` (D, units), `recurrent_kernel` (units, units), `bias`
        (units,).

    **Formula**, **Gradient**, **Keeps**: one step is in `SimpleRNNCell`, the way
    through time in `minikeras.ops.simple_rnn`.

    Reference: Elman (1990), Finding Structure in Time, Cognitive Science 14.

    >>> import numpy as np
    >>> layer = SimpleRNN(4, return_sequences=True, name="echo")
    >>> layer(np.zeros((2, 5, 3), "float32")).shape, layer.weights[0].path
    ((2, 5, 4), 'echo/simple_rnn_cell/kernel')
    """

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        cell = SimpleRNNCell(
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
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="simple_rnn_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            **kwargs,
        )
        if activity_regularizer is not None:
            warn(
                f"`activity_regularizer` of layer '{self.name}' has no effect: Keras's "
                "SimpleRNN ignores it, and so does this one. Put an "
                "`ActivityRegularization` layer after it.",
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments. NB: Keras leaves out `seed`."""
        config = super().get_config()
        del config["seed"]
        return config
