"""What layers over one known cell share: LSTM, GRU and SimpleRNN are their cell's
arguments, run over time."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from minikeras import regularizers
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.rnn.rnn import RNN


class CellLayer(RNN):
    """An `RNN` whose cell's attributes and configuration are its own."""

    def __init__(self, cell: Any, **kwargs: Any):
        super().__init__(cell, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    units = property(attrgetter("cell.units"))
    activation = property(attrgetter("cell.activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    kernel_initializer = property(attrgetter("cell.kernel_initializer"))
    recurrent_initializer = property(attrgetter("cell.recurrent_initializer"))
    bias_initializer = property(attrgetter("cell.bias_initializer"))
    kernel_regularizer = property(attrgetter("cell.kernel_regularizer"))
    recurrent_regularizer = property(attrgetter("cell.recurrent_regularizer"))
    bias_regularizer = property(attrgetter("cell.bias_regularizer"))
    kernel_constraint = property(attrgetter("cell.kernel_constraint"))
    recurrent_constraint = property(attrgetter("cell.recurrent_constraint"))
    bias_constraint = property(attrgetter("cell.bias_constraint"))
    dropout = property(attrgetter("cell.dropout"))
    recurrent_dropout = property(attrgetter("cell.recurrent_dropout"))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: those of the cell among them. NB: Keras leaves
        out `use_cudnn` and `implementation`."""
        base = super().get_config()
        cell = base.pop("cell")["config"]
        of_the_cell = {k: v for k, v in cell.items() if k not in base}
        penalty = regularizers.serialize(self.activity_regularizer)
        return {**base, **of_the_cell, "activity_regularizer": penalty}


def checked_use_cudnn(use_cudnn: Any) -> bool | str:
    """The argument, if it is one that Keras knows."""
    if use_cudnn not in ("auto", True, False):
        raise ValueError(
            "Invalid valid received for argument `use_cudnn`. Expected one of "
            f"{{'auto', True, False}}. Received: use_cudnn={use_cudnn}"
        )
    return use_cudnn


def refuse_cudnn(use_cudnn: Any, name: str) -> None:
    """Raises when a layer is run that insists on cuDNN, as in Keras on a CPU."""
    if use_cudnn is True:
        raise ValueError(
            f"use_cudnn=True was specified for layer '{name}', but minikeras runs on "
            "NumPy and has no cuDNN. Pass use_cudnn='auto' or False."
        )
