"""One call of a layer, as `trace` recorded it, and what became of each weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from minikeras.registry import suggest


class Update(NamedTuple):
    """One weight before and after the optimizer's step.

    Attributes:
        name: layer and weight, such as `"dense/kernel"`.
        path: the variable's path.
        axes: what each axis counts; `""` if it is not known.
        gates: gate -> its columns of the last axis; empty without gates.
        trainable: whether the optimizer changes it. What is not trainable can still be
            changed by the forward pass: the moving mean of a BatchNormalization.
        before: its value in the forward pass.
        gradient: what the optimizer got: the sum over all calls, and the gradient of
            the regularizer. None if there was none.
        after: its value after the step.
    """

    name: str
    path: str
    axes: tuple[str, ...]
    gates: dict[str, slice]
    trainable: bool
    before: np.ndarray
    gradient: np.ndarray | None
    after: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """`after - before`."""
        return self.after - self.before


class Updates(dict):
    """`{"dense/kernel": Update, ...}` in the order of `get_weights()`."""

    def __missing__(self, name: Any) -> Update:
        hint = suggest(name, list(self)) if isinstance(name, str) else ""
        raise KeyError(f"No weight {name!r}. There are {list(self)}.{hint}")


class Call:
    """One call of a layer or operator: what went in and came out, both ways.

    Besides these attributes a call has one for each weight of its layer, by name, and
    one for its gradient, named d + name: `call.kernel`, `call.dkernel`.

    Attributes:
        index: its place in the order of the forward pass.
        name, kind: of the layer: `"dense_1"`, `"Dense"`.
        path: the names of the calls it is inside of, then its own: `"encoder/dense"`.
        call: 0 for the first call of a layer, 1 for the second, ...
        parent: the call it is inside of, of a nested model; or None.
        layer: the layer or operation itself.
        settings: what it was made with, where that is not the default.
        formula, derivative: the sections **Formula** and **Gradient** of its
            documentation; `""` if it has none.
        inputs, outputs: arrays; in the structure of the call if there are several, a
            dict by name if there are several arguments.
        mask: what came with the inputs; None if nothing did.
        residuals: what its forward left for its backward: a NamedTuple.
        logits: what went into its final softmax or sigmoid, if the model's outputs come
            from there; else None.
        doutputs, dinputs: the gradients, in the structure of `outputs` and `inputs`;
            None where there is none.
        dlogits: the gradient of `logits`, where the loss was computed from them.
        weights: name -> value in the forward pass.
        dweights: name -> gradient: the part that comes from this call.
        notes: what is worth knowing, as sentences.
    """

    def __init__(self, index: int, layer: Any, parent: Call | None):
        self.index = index
        self.layer = layer
        self.name: str = layer.name
        function = getattr(layer, "function", None)  # of an activation in the graph
        self.kind: str = getattr(function, "__name__", type(layer).__name__)
        self.parent = parent
        self.path: str = f"{parent.path}/{self.name}" if parent else self.name
        self.call = 0
        self.calls = 1  # how many there are of this layer
        self.settings: dict[str, Any] = {}
        self.formula = self.derivative = ""
        self.inputs: Any = None
        self.outputs: Any = None
        self.mask: Any = None
        self.residuals: Any = None
        self.logits: np.ndarray | None = None
        self.doutputs: Any = None
        self.dinputs: Any = None
        self.dlogits: np.ndarray | None = None
        self.weights: dict[str, np.ndarray] = {}
        self.dweights: dict[str, np.ndarray] = {}
        self.notes: list[str] = []
        self.updates: dict[str, Update] = {}  # by the names of `weights`

    @property
    def depth(self) -> int:
        """How many calls it is inside of."""
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def label(self) -> str:
        """Its path, with the number of the call if there are several."""
        return self.path if self.calls == 1 else f"{self.path}, call {self.call + 1}"

    @property
    def ran_backward(self) -> bool:
        """Whether the backward pass came through here."""
        return self.doutputs is not None or self.dlogits is not None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "weights" not in self.__dict__:
            raise AttributeError(name)
        known = {_attribute(key): key for key in self.weights}
        if name in known:
            return self.weights[known[name]]
        if name[:1] == "d" and name[1:] in known:
            return self.dweights.get(known[name[1:]])
        names = [*known, *(f"d{key}" for key in known), *_public(self.__dict__)]
        has = f" Its weights are {list(known)}." if known else " It has no weights."
        raise AttributeError(
            f"The call of {self.kind} '{self.label}' has no {name!r}.{has}"
            f"{suggest(name, names)}"
        )

    def __dir__(self) -> list[str]:
        own = [_attribute(key) for key in self.weights]
        return sorted([*super().__dir__(), *own, *(f"d{name}" for name in own)])

    def __rich__(self) -> Any:
        from minikeras.teach.trace_text import call_table

        return call_table(self)

    def __repr__(self) -> str:
        from minikeras.teach.trace_text import as_text

        return as_text(self.__rich__())


def _attribute(key: str) -> str:
    """The weight `"forward_lstm/kernel"` is the attribute `forward_lstm_kernel`."""
    return key.replace("/", "_")


def _public(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]
