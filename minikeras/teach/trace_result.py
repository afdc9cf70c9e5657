"""`Trace`: what `trace` returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from minikeras.registry import suggest
from minikeras.teach.trace_calls import Call, Updates


class LossTerm(NamedTuple):
    """One loss of the sum.

    Attributes:
        name: what it is reported as.
        output: the place of its output among the outputs.
        value: without the weight.
        weight: its factor in the sum; None is 1.
        from_logits: whether it was computed from the logits of that output.
        loss: the `Loss` itself.
    """

    name: str
    output: int
    value: Any
    weight: float | None
    from_logits: bool
    loss: Any


class Trace:
    """One training step, call by call.

    `trace["lstm"]` is the call of the layer with this name; `trace["shared", 1]` the
    second call of a layer that is called twice; `trace["encoder/dense"]` a call inside
    of a nested model; `trace[0]` the first call. `for call in trace` goes in the order
    of the forward pass.

    Attributes:
        model: the model.
        calls: all calls, in the order in which they began.
        backward: those that the backward pass came through, in its order.
        x, y, sample_weight: the batch, in the dtypes the model computes in.
        y_pred: the outputs.
        dx: the gradient of the inputs; None for integers.
        loss: the total, with penalties.
        terms: the single losses, `LossTerm`.
        activity_penalty: what layers added to the loss on the way.
        updates: `{"lstm/kernel": Update}`: each weight before and after.
        optimizer: the class that made the step.
        notes: what is worth knowing, as sentences.
    """

    def __init__(
        self,
        *,
        model: Any,
        calls: list[Call],
        backward: list[Call],
        x: Any,
        y: Any,
        sample_weight: Any,
        y_pred: Any,
        dx: Any,
        loss: Any,
        terms: list[LossTerm],
        activity_penalty: Any,
        updates: Updates,
        optimizer: str,
    ):
        self.model = model
        self.calls = calls
        self.backward = backward
        self.x = x
        self.y = y
        self.sample_weight = sample_weight
        self.y_pred = y_pred
        self.dx = dx
        self.loss = loss
        self.terms = terms
        self.activity_penalty = activity_penalty
        self.updates = updates
        self.optimizer = optimizer
        self.notes: list[str] = []

    @property
    def title(self) -> str:
        """Class and name of the model."""
        return f"{type(self.model).__name__} '{self.model.name}'"

    def __len__(self) -> int:
        return len(self.calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __getitem__(self, key: Any) -> Call:
        if isinstance(key, int):
            return self.calls[key]
        name, number = key if isinstance(key, tuple) else (key, None)
        found = [c for c in self.calls if name in (c.path, c.name)]
        exact = [c for c in found if name == c.path]
        found = exact or found
        if number is not None and 0 <= number < len(found):
            return found[number]
        if len(found) == 1 and number is None:
            return found[0]
        if found:
            paths = [c.path for c in found]
            which = [f"trace[{p!r}]" for p in paths]
            if len(set(paths)) < len(paths):
                which = [f"trace[{name!r}, {k}]" for k in range(len(found))]
            raise KeyError(
                f"There are {len(found)} calls of {name!r} in {self.title}; say which: "
                f"{', '.join(which)}"
            )
        known = [c.path for c in self.calls]
        hint = suggest(name, known) if isinstance(name, str) else ""
        raise KeyError(f"{self.title} has no call of {name!r}. It has {known}.{hint}")

    def __rich__(self) -> Any:
        from minikeras.teach.trace_text import trace_table

        return trace_table(self)

    def __str__(self) -> str:
        from minikeras.teach.trace_text import as_text

        return as_text(self.__rich__())

    __repr__ = __str__

    def to_html(self, path: Any) -> None:
        """Writes a page on which one steps through the trace, with every array.

        The page is one file that needs nothing else: open it in a browser. Of arrays of
        more than some thousand numbers it shows a part, and says so.

        Args:
            path: of the file, `"trace.html"`.
        """
        from minikeras.teach.trace_page import page

        Path(path).write_text(page(self), encoding="utf-8")
