"""A trace as text: tables for a terminal of 80 columns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.teach.documented import fields

if TYPE_CHECKING:
    from minikeras.teach.trace_calls import Call
    from minikeras.teach.trace_result import Trace

_NARROWEST, _WIDEST = 40, 100


def as_text(renderable: Any) -> str:
    """What rich draws, as wide as the terminal, at most 100 columns."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns
    console = Console(
        width=max(_NARROWEST, min(width, _WIDEST)),
        color_system=None,
        force_terminal=False,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))


def trace_table(trace: Trace) -> Any:
    """One row for each call, the loss, and the way back."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(pad_edge=False, show_lines=True)
    table.add_column("#", justify="right")
    table.add_column("call", overflow="fold")
    table.add_column("forward, and what came back", overflow="fold", ratio=1)
    for call in trace.calls:
        name = f"{'  ' * call.depth}{call.label}\n{'  ' * call.depth}{call.kind}"
        lines = "\n".join(_lines(call))
        table.add_row(str(call.index), Text(name), Text(lines))
    heading = f"{trace.title}: loss {float(trace.loss):.6g}, {trace.optimizer}"
    notes = [Text(f"- {note}") for note in trace.notes]
    return Group(Text(heading), table, *notes)


def _lines(call: Call) -> Iterator[str]:
    formula = first_formula(call.formula)
    if formula:
        yield formula
    yield f"{_shapes(call.inputs)} -> {_shapes(call.outputs)}"
    if call.dlogits is not None:
        yield f"dlogits {_size(call.dlogits)}"
    for name in ("doutputs", "dinputs"):
        value = getattr(call, name)
        if value is not None:
            yield f"{name} {_sizes(value)}"
    for key, update in call.updates.items():
        line = f"{key} {_shape(update.before)}"
        if key in call.dweights:
            line += f", gradient {_size(call.dweights[key])}"
        if np.any(update.difference):
            line += f", changes {_size(update.difference)}"
        yield line


def call_table(call: Call) -> Any:
    """One row for each array of a call."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(pad_edge=False)
    for name in ("array", "shape", "smallest", "mean", "largest"):
        side = "left" if name in ("array", "shape") else "right"
        table.add_column(name, justify=side, overflow="fold")
    for name, array, _ in arrays_of(call):
        if array.size and array.dtype.kind in "biuf":
            values = array.astype("float64")
            numbers = (values.min(), values.mean(), values.max())
            cells = [f"{number:.4g}" for number in numbers]
        else:
            cells = ["", "", ""]
        table.add_row(Text(name), _shape(array), *cells)
    made_with = ", ".join(f"{k}={v!r}" for k, v in call.settings.items())
    heading = f"{call.label}: {call.kind}({made_with})"
    parts = [Text(heading, "bold")]
    parts += [Text(call.formula)] if call.formula else []
    return Group(*parts, table, *[Text(f"- {note}") for note in call.notes])


def arrays_of(call: Call) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, array, meaning) of everything a call has."""
    yield from leaves("inputs", call.inputs)
    yield from leaves("mask", call.mask)
    for key, value in call.weights.items():
        yield key, value, ""
    if call.logits is not None:
        yield "logits", call.logits, "what went into the final activation"
    yield from leaves("outputs", call.outputs)
    yield from residual_arrays(call.residuals)
    if call.dlogits is not None:
        yield "dlogits", call.dlogits, ""
    yield from leaves("doutputs", call.doutputs)
    for key, value in call.dweights.items():
        yield f"d{key}", value, ""
    yield from leaves("dinputs", call.dinputs)


def leaves(name: str, structure: Any) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, array, "") of each array in a structure: `inputs[0]`, `inputs['a']`."""
    if isinstance(structure, np.ndarray | np.generic):
        yield name, np.asarray(structure), ""
    elif isinstance(structure, dict):
        for key, value in structure.items():
            yield from leaves(f"{name}[{key!r}]", value)
    elif isinstance(structure, list | tuple):
        for i, value in enumerate(structure):
            yield from leaves(f"{name}[{i}]", value)


def residual_arrays(
    residuals: Any, name: str = "residuals", meaning: str = ""
) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, array, meaning) of each array in residuals, fields by their names."""
    if isinstance(residuals, np.ndarray | np.generic):
        yield name, np.asarray(residuals), meaning
    elif isinstance(residuals, tuple) and hasattr(residuals, "_fields"):
        known = fields(residuals)
        for field in residuals._fields:
            if field not in ("graph", "trace", "records"):  # of a nested model
                value = getattr(residuals, field)
                found = known.get(field, meaning)
                yield from residual_arrays(value, f"{name}.{field}", found)
    elif isinstance(residuals, list | tuple):
        for i, value in enumerate(residuals):
            yield from residual_arrays(value, f"{name}[{i}]", meaning)


def first_formula(text: str) -> str:
    """The first formula in a section, without its marks: `y = activation(z), ...`."""
    block = re.search(r"(?:^|\n)((?: {4}.*\n?)+)", text)
    quoted = re.findall(r"`([^`]+)`", text)
    if quoted and "=" in quoted[0]:
        joined = [q for q in quoted[:2] if "=" in q]
        return "; ".join(" ".join(q.split()) for q in joined)
    if block:
        lines = [line.strip() for line in block[1].strip("\n").split("\n")]
        return "\n".join(line for line in lines if line)
    return ""


def _shape(array: Any) -> str:
    sizes = ", ".join(map(str, array.shape))
    return f"({sizes}{',' if array.ndim == 1 else ''})"


def _shapes(structure: Any) -> str:
    found = [_shape(array) for _, array, _ in leaves("", structure)]
    return " and ".join(found) or "nothing"


def _size(array: Any) -> str:
    """How large the numbers are."""
    if not array.size:
        return "empty"
    return f"up to {float(np.abs(array).max()):.3g}"


def _sizes(structure: Any) -> str:
    found = [_size(array) for _, array, _ in leaves("", structure)]
    return ", ".join(found) or "none"
