"""How the weights of each layer are laid out in PyTorch and in Keras.

A `Rule` pairs one variable with the PyTorch arrays it is made of, and says how to go
from one to the other. The table at the end says which class has which rules.

    Linear, Conv     PyTorch keeps (out, in, ...); Keras keeps (..., in, out).
    LSTM             the gates are i, f, g, o in PyTorch and i, f, c, o in Keras: the
                     same order. PyTorch adds two biases, Keras one.
    GRU              the gates are r, z, n in PyTorch and z, r, h in Keras.
    BatchNorm        the same four arrays by other names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from minikeras.variables import Variable

Arrays = tuple[np.ndarray, ...]


class Rule(NamedTuple):
    """One variable of a layer and its counterpart in PyTorch.

    Attributes:
        variable: in minikeras.
        names: of the PyTorch arrays, without the prefix of their module: mostly one.
        to_keras: PyTorch's arrays -> the variable's value.
        to_torch: the variable's value -> PyTorch's arrays.
        likely: what is probably wrong if the shape is that of the variable itself.
    """

    variable: Variable
    names: tuple[str, ...]
    to_keras: Callable[..., np.ndarray]
    to_torch: Callable[[np.ndarray], Arrays]
    likely: str = ""

    def torch_shapes(self) -> list[tuple[int, ...]]:
        """The shapes of PyTorch's arrays."""
        value = np.broadcast_to(np.zeros((), self.variable.dtype), self.variable.shape)
        return [array.shape for array in self.to_torch(value)]


class Unsuited(ValueError):
    """A layer that computes something PyTorch's layer does not."""


# --- Turning axes ---------------------------------------------------------------------


def _same(a: np.ndarray) -> np.ndarray:
    return a


def _plain(variable: Variable, name: str) -> Rule:
    return Rule(variable, (name,), _same, lambda w: (w,))


def _turned(variable: Variable, name: str, likely: str) -> Rule:
    """(out, in, *window) in PyTorch, (*window, in, out) in Keras.

    A transposed convolution has (in, out, *window) and (*window, out, in): the same.
    """

    def to_keras(w: np.ndarray) -> np.ndarray:
        return w.transpose(*range(2, w.ndim), 1, 0)  # OIHW -> HWIO

    def to_torch(w: np.ndarray) -> Arrays:
        last = w.ndim - 1
        return (w.transpose(last, last - 1, *range(last - 1)),)  # HWIO -> OIHW

    return Rule(variable, (name,), to_keras, to_torch, likely)


def feature_order(shape: Iterable[int]) -> np.ndarray:
    """Where PyTorch's Flatten, channels first, puts what Keras's puts at 0, 1, ...

    Args:
        shape: of one example in Keras, channels last: (rows, columns, channels).

    >>> feature_order((2, 1, 3)).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    *window, channels = shape
    places = np.arange(int(np.prod([channels, *window])))
    return np.moveaxis(places.reshape(channels, *window), 0, -1).ravel()


def _permuted(rule: Rule, order: np.ndarray | None) -> Rule:
    """The rule for a layer after a Flatten: Keras's first axis is in another order."""
    if order is None:
        return rule
    back = np.argsort(order)
    return rule._replace(
        to_keras=lambda w: rule.to_keras(w)[order],
        to_torch=lambda w: rule.to_torch(w[back]),
    )


# --- Layers ---------------------------------------------------------------------------


def _dense(layer: Any, order: np.ndarray | None = None) -> list[Rule]:
    likely = (
        "it is transposed: PyTorch's Linear keeps (out, in), Keras's Dense (in, out)"
    )
    rules = [_permuted(_turned(layer.kernel, "weight", likely), order)]
    return rules + ([_plain(layer.bias, "bias")] if layer.use_bias else [])


def _conv(layer: Any) -> list[Rule]:
    likely = (
        "it is in Keras's order: PyTorch keeps (out, in, *window), Keras (*window, in, "
        "out)"
    )
    rules = [_turned(layer.kernel, "weight", likely)]
    return rules + ([_plain(layer.bias, "bias")] if layer.use_bias else [])


def _batch_norm(layer: Any, order: np.ndarray | None = None) -> list[Rule]:
    pairs = [
        (layer.gamma if layer.scale else None, "weight"),
        (layer.beta if layer.center else None, "bias"),
        (layer.moving_mean, "running_mean"),
        (layer.moving_variance, "running_var"),
    ]
    return [_permuted(_plain(v, n), order) for v, n in pairs if v is not None]


def _layer_norm(layer: Any, order: np.ndarray | None = None) -> list[Rule]:
    if getattr(layer, "rms_scaling", False):
        raise Unsuited("`rms_scaling=True` is no LayerNorm of PyTorch.")
    pairs = [
        (layer.gamma if layer.scale else None, "weight"),
        (layer.beta if layer.center else None, "bias"),
    ]
    return [_permuted(_plain(v, n), order) for v, n in pairs if v is not None]


def _embedding(layer: Any) -> list[Rule]:
    return [_plain(layer.embeddings, "weight")]


def _kernels(cell: Any, order: tuple[int, ...], activations: dict[str, str]) -> list:
    """Both kernels of a recurrent cell; each gate is a block of the output axis."""
    for name, expected in activations.items():
        found = getattr(getattr(cell, name), "__name__", None)
        if found != expected:
            raise Unsuited(
                f"`{name}` must be '{expected}', as in PyTorch. Received: {found!r}"
            )
    likely = "it is transposed: PyTorch keeps (gates * units, in)"
    back = tuple(np.argsort(order))
    return [
        Rule(
            variable,
            (name,),
            lambda w: _blocks(w, order, 0).T,
            lambda w: (_blocks(w.T, back, 0),),
            likely,
        )
        for variable, name in (
            (cell.kernel, "weight_ih"),
            (cell.recurrent_kernel, "weight_hh"),
        )
    ]


def _blocks(w: np.ndarray, order: tuple[int, ...], axis: int) -> np.ndarray:
    """The equal blocks of an axis in another order."""
    parts = np.split(w, len(order), axis)
    return np.concatenate([parts[i] for i in order], axis)


def _one_bias(cell: Any) -> list[Rule]:
    """PyTorch adds `bias_ih` and `bias_hh`; back, the second one is zero."""
    if not cell.use_bias:
        return []
    return [
        Rule(
            cell.bias,
            ("bias_ih", "bias_hh"),
            lambda b_ih, b_hh: b_ih + b_hh,
            lambda b: (b, np.zeros_like(b)),
        )
    ]


_LSTM_ORDER = (0, 1, 2, 3)  # i f g o is i f c o
_GRU_ORDER = (1, 0, 2)  # r z n -> z r h, and back


def _simple_rnn(layer: Any) -> list[Rule]:
    cell = getattr(layer, "cell", layer)
    if getattr(cell.activation, "__name__", None) == "relu":  # nonlinearity="relu"
        return [*_kernels(cell, (0,), {}), *_one_bias(cell)]
    return [*_kernels(cell, (0,), {"activation": "tanh"}), *_one_bias(cell)]


def _lstm(layer: Any) -> list[Rule]:
    cell = getattr(layer, "cell", layer)
    names = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return [*_kernels(cell, _LSTM_ORDER, names), *_one_bias(cell)]


def _gru(layer: Any) -> list[Rule]:
    cell = getattr(layer, "cell", layer)
    if not cell.reset_after:
        raise Unsuited(
            "`reset_after=False` resets the state before it is multiplied; PyTorch "
            "does it after, which is another function. Make the layer with "
            "`reset_after=True`."
        )
    names = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    rules = _kernels(cell, _GRU_ORDER, names)
    if not cell.use_bias:
        return rules
    bias = Rule(
        cell.bias,  # (2, 3 * units): for the input and for the state
        ("bias_ih", "bias_hh"),
        lambda b_ih, b_hh: _blocks(np.stack([b_ih, b_hh]), _GRU_ORDER, 1),
        lambda b: tuple(_blocks(b, _GRU_ORDER, 1)),
    )
    return [*rules, bias]


# class -> (its name in PyTorch, its rules)
RULES: dict[str, tuple[str, Callable[..., list[Rule]]]] = {
    "Dense": ("Linear", _dense),
    "Conv1D": ("Conv1d", _conv),
    "Conv2D": ("Conv2d", _conv),
    "Conv3D": ("Conv3d", _conv),
    "Conv1DTranspose": ("ConvTranspose1d", _conv),
    "Conv2DTranspose": ("ConvTranspose2d", _conv),
    "Conv3DTranspose": ("ConvTranspose3d", _conv),
    "BatchNormalization": ("BatchNorm", _batch_norm),
    "LayerNormalization": ("LayerNorm", _layer_norm),
    "Embedding": ("Embedding", _embedding),
    "SimpleRNN": ("RNN", _simple_rnn),
    "LSTM": ("LSTM", _lstm),
    "GRU": ("GRU", _gru),
    "SimpleRNNCell": ("RNNCell", _simple_rnn),
    "LSTMCell": ("LSTMCell", _lstm),
    "GRUCell": ("GRUCell", _gru),
}
# Layers whose input may be the features of a Flatten, in PyTorch's other order.
AFTER_FLATTEN = ("Dense", "BatchNormalization", "LayerNormalization")
RECURRENT = ("SimpleRNN", "LSTM", "GRU")
