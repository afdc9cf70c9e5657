"""A trace as one page: the data of its steps, put into the template."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.command_line.axes import LEGEND
from minikeras.teach.documented import formula, section, settings
from minikeras.teach.trace_arrays import ArrayStore, shown_axes
from minikeras.teach.trace_axes import axes_of
from minikeras.teach.trace_calls import Call, Update
from minikeras.teach.trace_text import leaves, residual_arrays

if TYPE_CHECKING:
    from minikeras.teach.trace_result import Trace


def page(trace: Trace) -> str:
    """The text of the page."""
    template, style, script = (
        files("minikeras.teach").joinpath("page", name).read_text(encoding="utf-8")
        for name in ("trace.html", "trace.css", "trace.js")
    )
    data = json.dumps(page_data(trace), ensure_ascii=True, allow_nan=False)
    parts = {
        "TITLE": html.escape(f"One training step of {trace.title}"),
        # Nothing but this script and this style runs, whatever the names of layers.
        "SCRIPT_HASH": _hash(script),
        "STYLE_HASH": _hash(style),
        "STYLE": style,
        "SCRIPT": script,
        # In JSON these stand for themselves; in a page they could end the element.
        "DATA": data.replace("<", "\\u003c").replace(">", "\\u003e"),
    }
    pieces = template.split("@@")  # text, name, text, name, ...
    return "".join(parts[p] if i % 2 else p for i, p in enumerate(pieces))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def page_data(trace: Trace) -> dict[str, Any]:
    """What the page shows, as plain data."""
    steps = list(_Steps(trace).all())
    named = [entry for s in steps for g in s["groups"] for entry in g["arrays"]]
    store = ArrayStore(len({id(entry["array"]) for entry in named}))
    for entry in named:
        array = entry["array"]
        entry["array"] = store.add(array, tuple(entry["shown"]))
    return {
        "title": trace.title,
        "loss": f"{float(trace.loss):.6g}",
        "optimizer": trace.optimizer,
        "steps": steps,
        "arrays": store.arrays,
    }


class _Steps:
    """The steps one goes through: the batch, forward, loss, backward, updates."""

    def __init__(self, trace: Trace):
        self.trace = trace

    def all(self) -> Iterator[dict[str, Any]]:
        """In their order."""
        yield self.batch()
        for call in self.trace.calls:
            yield self.forward(call)
        yield self.loss()
        for call in self.trace.backward:
            yield self.backward(call)
        yield from self.updates()

    def batch(self) -> dict[str, Any]:
        """What goes in."""
        trace = self.trace
        data = [*self._named(None, "x", trace.x), *self._named(None, "y", trace.y)]
        data += self._named(None, "sample_weight", trace.sample_weight)
        return _step(
            "start", "The batch", "", notes=trace.notes, groups=[_group("Data", data)]
        )

    def forward(self, call: Call) -> dict[str, Any]:
        """One call."""
        weights = [
            entry
            for key, value in call.weights.items()
            for entry in self._named(call, key, value)
        ]
        given = [*self._named(call, "inputs", call.inputs)]
        given += self._named(call, "mask", call.mask)
        made = self._named(call, "logits", call.logits)
        made += self._named(call, "outputs", call.outputs)
        return _step(
            "forward",
            call.label,
            _made(call),
            formula=call.formula,
            shapes=f"{_shapes(call.inputs)} → {_shapes(call.outputs)}",
            depth=call.depth,
            notes=[n for n in call.notes if "backward" in n or "mask" in n],
            groups=[
                _group("Comes in", given),
                _group("Weights", weights),
                _group("Goes out", made),
                _group("Kept for the backward pass", self._kept(call), folded=True),
            ],
        )

    def backward(self, call: Call) -> dict[str, Any]:
        """The same call, the other way."""
        given = self._named(call, "doutputs", call.doutputs)
        given += self._named(call, "dlogits", call.dlogits)
        weights = [
            entry
            for key, value in call.dweights.items()
            for entry in self._named(call, f"d{key}", value)
        ]
        made = self._named(call, "dinputs", call.dinputs)
        return _step(
            "backward",
            call.label,
            _made(call),
            formula=call.derivative,
            shapes=f"{_shapes(call.outputs)} → {_shapes(call.inputs)}",
            depth=call.depth,
            notes=call.notes,
            groups=[
                _group("Comes back", given),
                _group("Gradients of the weights", weights),
                _group("Goes on back", made),
                _group("Kept by the forward pass", self._kept(call), folded=True),
            ],
        )

    def loss(self) -> dict[str, Any]:
        """From the outputs to one number, and the first gradients."""
        trace = self.trace
        seen = [
            *self._named(None, "y_pred", trace.y_pred),
            *self._named(None, "y", trace.y),
            *self._named(None, "sample_weight", trace.sample_weight),
        ]
        gradients = []
        for call in trace.calls:
            for name, value in (("dlogits", call.dlogits), ("doutputs", call.doutputs)):
                if value is not None and self._is_last(call, name):
                    for entry in self._named(call, name, value):
                        entry["name"] = f"{entry['name']} of {call.label}"
                        gradients.append(entry)
        notes = [_sum_of(trace)]
        formulas = []
        for term in trace.terms:
            function = getattr(term.loss, "fn", None) or type(term.loss)
            formulas.append(section(function, "Formula"))
        notes += [note for note in trace.notes if "loss" in note.lower()]
        return _step(
            "loss",
            "The loss",
            ", ".join(dict.fromkeys(_loss_name(term.loss) for term in trace.terms)),
            formula="\n\n".join(dict.fromkeys(f for f in formulas if f)),
            notes=notes,
            groups=[
                _group("Comes in", seen),
                _group("Where the gradients begin", gradients),
            ],
        )

    def _is_last(self, call: Call, name: str) -> bool:
        """Whether this gradient comes from the loss itself."""
        if call.parent is not None and name == "doutputs":
            return False
        if name == "dlogits":
            return call.logits is not None
        outputs = [id(a) for _, a, _ in leaves("", self.trace.y_pred)]
        return any(id(a) in outputs for _, a, _ in leaves("", call.outputs))

    def updates(self) -> Iterator[dict[str, Any]]:
        """Each layer's weights, before and after."""
        optimizer = self.trace.model.optimizer
        layers: dict[str, list[Update]] = {}
        for update in self.trace.updates.values():
            layers.setdefault(update.name.rpartition("/")[0], []).append(update)
        for name, members in layers.items():
            yield _step(
                "update",
                name,
                _call(self.trace.optimizer, settings(optimizer)),
                formula=formula(optimizer),
                groups=[self._update(update) for update in members],
            )

    def _update(self, update: Update) -> dict[str, Any]:
        title = update.name.rpartition("/")[2]
        if not update.trainable:
            title += ": not trainable"
            moved = np.any(update.difference)
            title += ", changed by the forward pass" if moved else ""
        both = [float(np.abs(a).max(initial=0)) for a in (update.before, update.after)]
        scale = max(both)
        entries = []
        for name in ("before", "gradient", "after", "difference"):
            array = getattr(update, name)
            if array is not None:
                entry = _entry(name, array, list(update.axes), "", update.gates)
                if name in ("before", "after") and np.isfinite(scale):
                    entry["scale"] = scale
                entries.append(entry)
        return _group(title, entries)

    def _kept(self, call: Call) -> list[dict[str, Any]]:
        found = []
        for name, array, meaning in residual_arrays(call.residuals):
            if array.dtype.kind in "biuf":
                axes = axes_of(call, name, array.shape, meaning)
                found.append(_entry(name, array, axes, meaning))
        return found

    def _named(self, call: Call | None, name: str, value: Any) -> list[dict[str, Any]]:
        """An entry for each array in a structure."""
        found = []
        for label, array, _ in leaves(name, value):
            axes = axes_of(call, label, array.shape, "")
            update = call.updates.get(name.removeprefix("d")) if call else None
            found.append(_entry(label, array, axes, "", update and update.gates))
        return found


def _step(phase: str, title: str, subtitle: str, **more: Any) -> dict[str, Any]:
    step = {
        "phase": phase,
        "title": title,
        "subtitle": subtitle,
        "formula": "",
        "shapes": "",
        "depth": 0,
        "notes": [],
        **more,
    }
    step["groups"] = [group for group in step["groups"] if group["arrays"]]
    return step


def _group(title: str, arrays: list, folded: bool = False) -> dict[str, Any]:
    return {"title": title, "arrays": arrays, "folded": folded}


def _entry(
    name: str, array: np.ndarray, axes: list, meaning: str, gates: Any = None
) -> dict[str, Any]:
    is_image = "rows" in axes and "columns" in axes
    shown = shown_axes(array.shape, is_image)
    if is_image and array.ndim >= 4:
        shown = (axes.index("rows"), axes.index("columns"))
    blocks = {g: [s.start, s.stop] for g, s in (gates or {}).items()}
    if blocks and not meaning:
        legend = LEGEND.get(f"[{' '.join(blocks)}]", "")
        meaning = f"{', '.join(blocks)}: {legend}" if legend else ""
    return {
        "name": name,
        "array": array,
        "axes": axes,
        "shown": list(shown),
        "meaning": meaning,
        "gates": blocks,
    }


def _made(call: Call) -> str:
    return _call(call.kind, call.settings)


def _call(name: str, arguments: dict[str, Any]) -> str:
    parts = []
    for key, value in arguments.items():
        # A learning rate of 0.01 is kept as a float32: 0.009999999776482582.
        text = f"{value:.7g}" if isinstance(value, float) else repr(value)
        parts.append(f"{key}={text}")
    return f"{name}({', '.join(parts)})"


def _sum_of(trace: Trace) -> str:
    """The loss as the sum of its parts."""
    total = float(trace.loss)
    parts, rest = [], total
    for term in trace.terms:
        weight = 1.0 if term.weight is None else float(term.weight)
        times = "" if term.weight is None else f"{weight:g} x "
        parts.append(f"{times}{float(term.value):.6g} ({term.name})")
        rest -= weight * float(term.value)
    if trace.terms and abs(rest) > 1e-6 * abs(total):
        parts.append(f"{rest:.6g} (penalties)")
    sentence = f"The loss of this batch is {total:.6g}"
    return f"{sentence} = {' + '.join(parts)}." if len(parts) > 1 else f"{sentence}."


def _loss_name(loss: Any) -> str:
    function = getattr(loss, "fn", None)
    return getattr(function, "__name__", type(loss).__name__)


def _shapes(structure: Any) -> str:
    shapes = [str(tuple(array.shape)) for _, array, _ in leaves("", structure)]
    return " and ".join(shapes) or "nothing"
