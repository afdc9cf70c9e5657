"""`gates`: what the gates and states of an LSTM or GRU are at every time step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.graph_steps import graph_residuals
from minikeras.layers.input_spec import check_inputs
from minikeras.layers.layer import Layer
from minikeras.layers.rnn.bidirectional import Bidirectional, BidirectionalResiduals
from minikeras.layers.rnn.gru_cell import GRUCell
from minikeras.layers.rnn.lstm_cell import LSTMCell
from minikeras.layers.rnn.rnn import RNN, RNNResiduals
from minikeras.layers.rnn.time_distributed import TimeDistributed
from minikeras.messages import warn
from minikeras.ops.lstm_fused import FusedSequence
from minikeras.ops.rnn import column_blocks
from minikeras.registry import suggest
from minikeras.teach.explain_weights import check_built
from minikeras.teach.gate_values import GRUGates, LSTMGates


def gates(
    model_or_layer: Any,
    layer_name: str | None = None,
    x: Any = None,
    *,
    mask: Any = None,
    call: int | None = None,
) -> LSTMGates | GRUGates:
    """The gates, candidate and states of an LSTM or GRU, for each example, step, unit.

    One forward pass, as `predict` makes it: the values are those that the layer itself
    computed on the way to its output. The states of a stateful layer are afterwards
    what they were before.

    Args:
        model_or_layer: a built model, or an LSTM or GRU (or an RNN over their cells).
        layer_name: which recurrent layer of the model (or the layer itself), also one
            inside of another model or of a Bidirectional (`"forward_lstm"`,
            `"backward_lstm"`); not needed if there is only one.
        x: the input, as for `predict`.
        mask: (N, T), for the input of a layer; masks made inside a model (Masking,
            Embedding) are followed by themselves.
        call: which call, 0 for the first, of a layer that is called several times.

    Returns:
        `LSTMGates` or `GRUGates`: arrays (N, T, units), with a `plot` method.

    Raises:
        ValueError: if there is no such layer, it is not recurrent or not built.

    >>> import minikeras as keras
    >>> model = keras.Sequential([keras.Input((20, 1)), keras.layers.LSTM(4)])
    >>> x = np.zeros((3, 20, 1), "float32")
    >>> found = gates(model, x=x)
    >>> found.f.shape, bool((found.hidden[:, -1] == model(x)).all())
    ((3, 20, 4), True)
    """
    check_built(model_or_layer, "gates")
    layer = _find(model_or_layer, layer_name)
    if x is None:
        raise ValueError("`gates` needs data: gates(model, layer_name, x)")
    before = [v.numpy() for v in _states(model_or_layer)]
    try:
        residuals = _run(model_or_layer, x, mask)
    finally:
        for variable, value in zip(_states(model_or_layer), before, strict=True):
            variable.assign(value)
    calls = [
        kept for owner, kept in _calls(model_or_layer, residuals) if owner is layer
    ]
    if not calls:
        raise ValueError(
            f"Layer '{layer.name}' did not run, or inside of a layer whose calls are "
            "not kept. Pass it its own input: gates(layer, x=...)"
        )
    if call is None and len(calls) == 1:
        call = 0
    if call is None or not 0 <= call < len(calls):
        raise ValueError(
            f"Layer '{layer.name}' is called {len(calls)} times in "
            f"'{model_or_layer.name}': say which by `call`, 0 to {len(calls) - 1}. "
            f"Received: call={call}"
        )
    found = _values(layer, calls[call])
    if not np.isfinite(found.hidden).all():
        _warn_of_nan(model_or_layer, layer, x)
    return found


def _warn_of_nan(model: Any, layer: Any, x: Any) -> None:
    where = "inside of it"
    if any(not np.isfinite(a).all() for a in model.get_weights()):
        where = "in the weights: training went astray, or read NaN itself"
    elif any(not np.isfinite(a).all() for a in map(np.asarray, tree.flatten(x))):
        where = "in the input"
    warn(f"The states of layer '{layer.name}' have NaN or infinity, which is {where}.")


# --- Which layer ----------------------------------------------------------------------


def _has_gates(layer: Any) -> bool:
    return isinstance(layer, RNN) and isinstance(layer.cell, LSTMCell | GRUCell)


def _find(model: Any, name: str | None) -> Any:
    """The one recurrent layer that is meant."""
    layers = [model, *model._all_sublayers()]
    if any(name is layer and _has_gates(layer) for layer in layers):
        return name
    if isinstance(name, Layer):
        name = name.name
    if name is not None and not isinstance(name, str):
        raise TypeError(
            "`layer_name` must be the name of a layer. Received: "
            f"{type(name).__name__}. The data is the third argument: gates(model, x=x)"
        )
    recurrent = [layer for layer in layers if _has_gates(layer)]
    names = [layer.name for layer in recurrent]
    there = f"The LSTM and GRU layers are: {names}."
    if not recurrent:
        raise ValueError(
            f"{type(model).__name__} '{model.name}' has no gates: neither it nor a "
            "layer inside is an LSTM or GRU, or an RNN over one of their cells. (A "
            "SimpleRNN has a state, its output, but no gates.)"
        )
    if name is None:
        if len(recurrent) > 1:
            raise ValueError(
                f"'{model.name}' has {len(recurrent)} recurrent layers; say which by "
                f"`layer_name`. {there}"
            )
        return recurrent[0]
    found = [layer for layer in recurrent if layer.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"{len(found)} layers inside of '{model.name}' are called '{name}'; pass "
            "the inner model itself, with its own input."
        )
    others = [layer for layer in layers if layer.name == name]
    if others:
        raise ValueError(
            f"Layer '{name}' is of class {type(others[0]).__name__}, which has no "
            f"gates. {there}"
        )
    raise ValueError(
        f"No such layer: {name}. {there}{suggest(name, [v.name for v in layers])}"
    )


def _states(model: Any) -> list[Any]:
    """The state variables of all stateful layers."""
    layers = [model, *model._all_sublayers()]
    found = [layer.states for layer in layers if isinstance(layer, RNN)]
    return [v for v in tree.flatten(found) if v is not None]


# --- One forward pass, and the residuals of the calls in it ---------------------------


@np.errstate(all="ignore")
def _run(model: Any, x: Any, mask: Any) -> Any:
    if isinstance(x, list) and not any(hasattr(a, "dtype") for a in tree.flatten(x)):
        x = np.asarray(x)  # one input as lists of numbers
    x = tree.map_structure(np.asarray, x)
    x = model._cast(x)
    if isinstance(model, RNN):
        check_inputs(model.input_spec, x, model.name)
    _, residuals = model.run_forward((x,), {}, False, mask)
    return residuals


def _calls(layer: Any, residuals: Any) -> Iterator[tuple[Any, Any]]:
    """(layer, residuals) of this call and of all calls inside, in their order."""
    yield layer, residuals
    inner = graph_residuals(residuals)
    if inner is not None:
        trace = getattr(residuals, "trace", None)  # of a `call`; else a model's graph
        functional = layer._require() if hasattr(layer, "_require") else layer
        graph = trace.graph if trace is not None else functional._graph
        for step, record in zip(graph.steps, inner.records, strict=True):
            yield from _calls(step.operation, record.residuals)
    elif isinstance(layer, Bidirectional) and isinstance(
        residuals, BidirectionalResiduals
    ):
        yield from _calls(layer.forward_layer, residuals.forward.record.residuals)
        yield from _calls(layer.backward_layer, residuals.backward.record.residuals)
    elif isinstance(layer, TimeDistributed):
        for kept in residuals.calls:
            yield from _calls(layer.layer, kept)


# --- The values -----------------------------------------------------------------------


def _values(layer: Any, residuals: RNNResiduals) -> LSTMGates | GRUGates:
    """Cuts what the steps kept into gates, batch first."""
    steps = residuals.cell.steps
    mask = steps.mask  # (T, N, 1) or None

    def gate(a: np.ndarray) -> np.ndarray:
        """(T, N, units) -> (N, T, units), a copy; NaN where the step was skipped."""
        if mask is not None:
            a = np.where(mask, a, a.dtype.type(np.nan))
        return np.ascontiguousarray(a.swapaxes(0, 1))

    def state(a: np.ndarray) -> np.ndarray:
        return a[1:].swapaxes(0, 1).copy()  # a[0] is before the first step

    time = np.arange(residuals.steps)
    if layer.go_backwards:
        time = time[::-1].copy()
    rest = {
        "hidden": state(steps.h),
        "time": time,
        "mask": None if mask is None else mask[..., 0].T.copy(),
        "layer": layer.name,
    }
    if isinstance(layer.cell, GRUCell):
        blocks = [steps.gates[..., b] for b in column_blocks(steps.gates.shape[-1], 3)]
        z, r, h = map(gate, blocks)
        return GRUGates(z, r, h, **rest)
    if isinstance(steps, FusedSequence):  # (T, 4, N, units)
        i, f, o, c = (gate(steps.gates[:, k]) for k in range(4))
    else:
        blocks = [steps.gates[..., b] for b in column_blocks(steps.gates.shape[-1], 4)]
        i, f, c, o = map(gate, blocks)
    return LSTMGates(i, f, c, o, cell=state(steps.c), **rest)
