"""Writes down every call of a forward and a backward pass: see `watching`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minikeras.gradients import Gradients
from minikeras.graph_steps import Record, Step
from minikeras.layers.layer import Layer
from minikeras.logits import ActivatedResiduals
from minikeras.symbolic import Node
from minikeras.teach.documented import formula, settings
from minikeras.teach.trace_calls import Call
from minikeras.variables import Variable


class Recorder:
    """A watcher that makes a `Call` of each call.

    Args:
        names: id of a variable -> its name in the model, `"dense/kernel"`.

    Attributes:
        calls: in the order in which they began.
        backward: those that ran backward, in that order.
    """

    def __init__(self, names: dict[int, str]):
        self.calls: list[Call] = []
        self.backward: list[Call] = []
        self._names = names
        self._open: list[Call] = []  # those that run, outermost first
        self._by_record: dict[int, Call] = {}
        self._records: list[Record] = []  # lest another object gets the id of one
        self._variables: dict[int, list[Variable]] = {}  # of the call with this index

    # --- What the graph tells ---------------------------------------------------------

    def begins(
        self, step: Step, args: tuple, kwargs: dict[str, Any], mask: Any
    ) -> None:
        """See `Watcher`."""
        with self.inside(step.operation) as call:
            self._open.append(call)
        call.inputs = _packed(_arguments(step.node, args, kwargs))
        call.mask = kwargs.get("mask", mask)

    def ends(self, record: Record, outputs: list[Any]) -> None:
        """See `Watcher`."""
        call = self._open.pop()
        call.outputs = outputs[0] if len(outputs) == 1 else tuple(outputs)
        residuals = record.residuals
        if isinstance(residuals, ActivatedResiduals):
            call.logits = residuals.logits.z
            residuals = residuals.before_residuals
            if record.residuals.before is None:
                residuals = record.residuals.activation_residuals
        call.residuals = residuals
        self._by_record[id(record)] = call
        self._records.append(record)
        self._note_weights(call)
        call.calls = len(self._same(call))

    def begins_backward(self, record: Record, dy: Any, dlogits: tuple) -> None:
        """See `Watcher`."""
        call = self._by_record[id(record)]
        self._open.append(call)
        self.backward.append(call)
        call.doutputs = dy
        call.dlogits = dlogits[0] if dlogits else None

    def ends_backward(self, record: Record, dx: Any) -> None:
        """See `Watcher`."""
        call = self._open.pop()
        call.dinputs = dx
        if isinstance(call.inputs, dict) and isinstance(dx, tuple):
            call.dinputs = dict(zip(call.inputs, dx, strict=True))

    def adds(self, variable: Variable, gradient: np.ndarray) -> None:
        """A call adds to the gradient of a variable."""
        if not self._open:  # the loss itself looked at it
            return
        call = self._open[-1]
        for key, known in self._keyed(call):
            if known is variable:
                before = call.dweights.get(key)
                gradient = np.asarray(gradient, variable.value.dtype)
                call.dweights[key] = gradient if before is None else before + gradient

    # --- A model with a forward of its own has no graph -------------------------------

    @contextmanager
    def inside(self, operation: Any) -> Iterator[Call]:
        """A call that nobody tells of."""
        call = Call(len(self.calls), operation, self._open[-1] if self._open else None)
        call.settings = settings(operation)
        call.formula = formula(operation)
        call.derivative = formula(operation, "Gradient")
        self.calls.append(call)
        call.call = len(self._same(call)) - 1
        yield call

    @contextmanager
    def back_through(self, call: Call) -> Iterator[None]:
        """Its backward."""
        self._note_weights(call)
        self._open.append(call)
        self.backward.append(call)
        try:
            yield
        finally:
            self._open.pop()

    # --- Weights ----------------------------------------------------------------------

    def _same(self, call: Call) -> list[Call]:
        same = [c for c in self.calls if c.layer is call.layer and c.path == call.path]
        for one in same:
            one.calls = len(same)
        return same

    def _note_weights(self, call: Call) -> None:
        """Those of its layer that belong to no call inside of it."""
        inside = {
            id(v)
            for c in self.calls
            if _is_inside(c, call)
            for v in self._variables.get(c.index, ())
        }
        found = list(getattr(call.layer, "weights", ()))
        self._variables[call.index] = [v for v in found if id(v) not in inside]
        # NB: a moving mean has moved meanwhile; `finish` writes what was before.
        call.weights = {key: v.numpy() for key, v in self._keyed(call)}

    def _keyed(self, call: Call) -> list[tuple[str, Variable]]:
        """(name, variable): the name alone where that is enough, else layer/name."""
        variables = self._variables.get(call.index, [])
        names = [v.name for v in variables]
        return [
            (v.name if names.count(v.name) == 1 else self._names[id(v)], v)
            for v in variables
        ]

    def finish(self, updates: dict[int, Any]) -> None:
        """Gives each call the updates of its weights.

        Args:
            updates: id of a variable -> `Update`.
        """
        kept = [v.value for call in self._variables.values() for v in call]
        for call in self.calls:
            for key, variable in self._keyed(call):
                call.updates[key] = updates[id(variable)]
                call.weights[key] = updates[id(variable)].before
            for name in "inputs outputs residuals logits mask".split():
                setattr(call, name, own(getattr(call, name), kept))


class RecordedGradients(Gradients):
    """Gradients that tell a recorder which call they come from."""

    def __init__(self, variables: Iterable[Variable], recorder: Recorder):
        super().__init__(variables)
        self._recorder = recorder

    def add(self, variable: Variable, gradient: np.ndarray) -> None:
        """As in `Gradients`."""
        super().add(variable, gradient)
        if self.wants(variable):
            self._recorder.adds(variable, gradient)


def _is_inside(call: Call | None, outer: Call) -> bool:
    while call is not None:
        call = call.parent
        if call is outer:
            return True
    return False


def _arguments(node: Node, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
    """(name, value) of the arguments that gradients are returned for."""
    forward = type(node.operation).forward
    if forward is Layer.forward:
        forward = type(node.operation).call
    names = list(inspect.signature(forward).parameters)[1:]
    names += [f"argument {i}" for i in range(len(names), len(args))]
    symbolic = [*zip(names, node.args, strict=False), *node.kwargs.items()]
    carrying = {id(a) for a in node.tensor_arguments}
    values = [*args, *(kwargs[name] for name in node.kwargs)]
    pairs = zip(symbolic, values, strict=True)
    return [(name, value) for (name, a), value in pairs if id(a) in carrying]


def _packed(arguments: list[Any]) -> Any:
    if len(arguments) == 1:
        return arguments[0][1]
    return dict(arguments) if arguments else None


def own(value: Any, kept: list[np.ndarray]) -> Any:
    """`value` with copies of the arrays in it that would change with a variable."""
    if isinstance(value, np.ndarray):
        shared = any(np.may_share_memory(value, array) for array in kept)
        return value.copy() if shared else value
    if isinstance(value, dict):
        return {key: own(item, kept) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(own(item, kept) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(own(item, kept) for item in value)
    return value
