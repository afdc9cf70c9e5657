"""The verification itself: two models, and a report as plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.command_line.verify_causes import likely_cause
from minikeras.command_line.verify_compare import (
    Found,
    Part,
    Step,
    compare,
    compare_gradients,
    keras_step,
    our_step,
    parts,
    recording_keras,
    recording_ours,
    rounding,
    update_room,
    worst,
)
from minikeras.interop.state import (
    Pair,
    copy_optimizer,
    copy_variables,
    pair_variables,
)


@dataclass
class Row:
    """One layer, and the worst difference of each kind."""

    path: str
    class_name: str
    found: dict[str, Found] = field(default_factory=dict)

    def add(self, kind: str, found: Found) -> None:
        """Keeps the worst."""
        known = self.found.get(kind)
        self.found[kind] = found if known is None else worst([known, found])


class Verification:
    """Compares two models; `rows` grows as it goes.

    Args:
        keras: the module.
        ours, theirs: the same model in both libraries, compiled.
        tolerance: see `compare`.
    """

    def __init__(self, keras: Any, ours: Any, theirs: Any, tolerance: float | None):
        self.keras, self.ours, self.theirs = keras, ours, theirs
        self.tolerance = tolerance
        self.pairs = pair_variables(ours, theirs, "minikeras", "Keras")
        self.rows: dict[str, Row] = {}
        self.losses: list[dict[str, float]] = []
        self.first: dict[str, Any] | None = None  # the first difference
        self.owners = dict(self._owners())

    def _owners(self) -> Iterator[tuple[int, str]]:
        whole = Part("(the model)", self.ours, True)
        for part in [whole, *parts(self.ours)]:  # the innermost owner comes last
            self._row(part.path, part.operation)
            for variable in getattr(part.operation, "variables", ()):
                yield id(variable), part.path

    def _row(self, path: str, operation: Any) -> Row:
        return self.rows.setdefault(path, Row(path, type(operation).__name__))

    def _note(self, kind: str, path: str, found: Found, what: str = "") -> None:
        """Puts a comparison into its row; remembers the first that failed."""
        self.rows[path].add(kind, found)
        if not found.ok and self.first is None:
            row = self.rows[path]
            version = self.keras.__version__
            self.first = {
                "layer": path,
                "class_name": row.class_name,
                "kind": kind,
                "what": what or kind,
                "problem": found.problem,
                "relative": found.relative,
                "ulp": found.ulp,
                "likely_cause": likely_cause(kind, row.class_name, found, version),
            }

    # --- What is compared -------------------------------------------------------------

    def weights(self) -> None:
        """Every variable: of interest when Keras has read the file itself."""
        for a, b in self.pairs:
            if "seed" in a.name:
                continue  # a file does not hold them
            found = compare(a.numpy(), b.numpy(), tolerance=0.0)
            self._note("weights", self.owners[id(a)], found, a.path)

    def forward(self, x: Any, training: bool) -> None:
        """What every layer returns, each time it is called."""
        before = [v.numpy() for v, _ in self.pairs]
        with recording_ours(self.ours) as ours:
            y = self.ours(x, training=training)
        with recording_keras(self.theirs) as theirs:
            y_expected = self.theirs(x, training=training)
        kind = "training" if training else "forward"
        # What a layer returns may be what is left of larger numbers on the way to it.
        largest = _largest(tree.flatten(x))
        for path, calls in ours.items():
            expected = theirs.get(path, [])
            if len(expected) != len(calls):
                text = f"{len(calls)} calls, in Keras {len(expected)}"
                self._note(kind, path, Found(problem=text))
                continue
            for flat, flat_expected in zip(calls, expected, strict=True):
                largest = max(largest, _largest(flat))
                for a, b in zip(flat, flat_expected, strict=True):
                    found = compare(a, b, self.tolerance, _left(b) * largest)
                    self._note(kind, path, found, f"the output of {path}")
        flat = zip(tree.flatten(y), tree.flatten(y_expected), strict=True)
        for a, b in flat:
            b = np.asarray(b)
            found = compare(a, b, self.tolerance, _left(b) * largest)
            self._note(kind, "(the model)", found, "the output of the model")
        for (variable, _), value in zip(self.pairs, before, strict=True):
            variable.assign(value)  # batch statistics and seeds, if training
        copy_variables(self.pairs)

    def step(self, x: Any, y: Any) -> None:
        """One training step of both from the same state."""
        trained = list(self.ours.trainable_variables)
        before = {id(v): v.numpy() for v in trained}
        ours = our_step(self.ours, x, y)
        theirs = keras_step(self.keras, self.theirs, x, y)
        self.losses.append({"minikeras": ours.loss, "keras": theirs.loss})
        dtype = trained[0].dtype
        total = compare(
            np.asarray(ours.loss, dtype), np.asarray(theirs.loss, dtype), self.tolerance
        )
        self._note("loss", "(the model)", total, "the loss")
        found = compare_gradients(ours, theirs, self.tolerance)
        for variable, one in reversed(list(zip(trained, found, strict=True))):
            if one is not None:
                path = self.owners[id(variable)]
                self._note("gradients", path, one, f"the gradient of {variable.path}")
        self._compare_updates(trained, before, theirs)
        self._compare_optimizers(trained)
        copy_variables(self.pairs)
        copy_optimizer(self.ours.optimizer, self.theirs.optimizer)

    def _compare_updates(self, trained: Any, before: Any, step: Step) -> None:
        pairs = zip(trained, step.gradients, strict=True)
        gradients = {id(v): g for v, g in pairs}
        sizes = self._sizes()
        for ours, theirs in self.pairs:
            values = [ours.numpy(), np.asarray(theirs.numpy())]
            kind = "state"
            # The mean of what was centred before is nothing but rounding.
            room = rounding(ours.dtype) * sizes.get(self.owners.get(id(ours), ""), 0.0)
            if id(ours) in before:
                kind = "updates"
                start, gradient = before[id(ours)], gradients[id(ours)]
                room = update_room(start, values, gradient, step.noise)
            found = compare(*values, self.tolerance, room)
            path = self.owners.get(id(ours), "(the model)")
            self._note(kind, path, found, f"{ours.path} after a step")

    def _sizes(self) -> dict[str, float]:
        """The largest number that each layer keeps."""
        sizes: dict[str, float] = {}
        for ours, _ in self.pairs:
            path, value = self.owners.get(id(ours), ""), ours.numpy()
            if value.dtype.kind == "f" and np.isfinite(value).all():
                largest = float(np.abs(value).max(initial=0.0))
                sizes[path] = max(sizes.get(path, 0.0), largest)
        return sizes

    def _compare_optimizers(self, trained: Any) -> None:
        """Moments of all weights are measured by the largest of their kind."""
        pairs = [
            Pair(a, b)
            for a, b in zip(
                self.ours.optimizer.variables,
                self.theirs.optimizer.variables,
                strict=True,
            )
        ]
        owners = {v.path.replace("/", "_"): self.owners[id(v)] for v in trained}
        largest: dict[str, float] = {}
        for _, b in pairs:
            kind = _kind(b.name)
            value = float(np.abs(np.asarray(b.numpy())).max(initial=0.0))
            largest[kind] = max(largest.get(kind, 0.0), value)
        for a, b in pairs:
            expected = np.asarray(b.numpy())
            size = largest[_kind(b.name)]
            room = rounding(a.dtype) * size if np.isfinite(size) else 0.0
            found = compare(a.numpy(), expected, self.tolerance, room)
            owner = [p for name, p in owners.items() if a.name.startswith(f"{name}_")]
            path = owner[-1] if owner else "(the model)"
            self._note("updates", path, found, f"the optimizer's {a.name}")


def _largest(arrays: list[Any]) -> float:
    """The largest finite number in arrays of floats."""
    found = 0.0
    for array in arrays:
        array = np.asarray(array)
        if array.dtype.kind == "f":
            finite = array[np.isfinite(array)]
            found = max(found, float(np.abs(finite).max(initial=0.0)))
    return found


def _left(array: np.ndarray) -> float:
    """Some roundings; an eighth of what a sum of many terms is allowed."""
    return rounding(array.dtype) / 8


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def same_seeds(pairs: list[Pair]) -> None:
    """The states of seed generators, which no file holds, as they are here."""
    copy_variables([p for p in pairs if re.search("seed", p.source.name)])
