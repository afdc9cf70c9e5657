"""The table of `Model.summary()`, as Keras draws it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from typing import Any

from minikeras import config

_LINE = 50  # a formula longer than this gets two lines


def count_params(weights: list[Any]) -> int:
    """The number of elements in a list of variables, each counted once."""
    return int(sum({id(w): w.size for w in weights}.values()))


def weight_memory_size(weights: list[Any]) -> int:
    """Their size in bytes."""
    return int(sum({id(w): w.value.nbytes for w in weights}.values()))


def readable_memory_size(size: float) -> str:
    """Bytes for people.

    >>> readable_memory_size(407080)
    '397.54 KB'
    """
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size / 1024.0 < 1.0:
            return f"{size:.2f} {unit}"
        size /= 1024.0
    return f"{size:.2f} PB"


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
    formulas: bool = False,
) -> None:
    """Prints the table. See `Model.summary`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    plain = _is_plain_stack(model)
    columns = [("Layer (type)", "left"), ("Output Shape", "left"), ("Param #", "right")]
    if not plain:
        columns.append(("Connected to", "left"))
    if show_trainable:
        columns.append(("Trainable", "center"))
    length, widths = _column_widths(plain, show_trainable, line_length, positions)
    table = Table(width=length, show_lines=True)
    for (title, justify), width in zip(columns, widths, strict=True):
        table.add_column(title, justify=justify, width=width)  # type: ignore[arg-type]
    rows = _select(_rows(model, expand_nested), layer_range)
    for layer, depth in rows:
        cells = [_name(layer, depth), _output_shape(layer), _parameters(layer)]
        if not plain:
            cells.append(_connections(layer, model))
        if show_trainable:
            has_weights = bool(getattr(layer, "weights", ()))
            cells.append(("Y" if layer.trainable else "N") if has_weights else "-")
        table.add_row(*(escape(cell) for cell in cells))
    interactive = print_fn is None and config.is_interactive_logging_enabled()
    console = Console(highlight=False, color_system=None, force_terminal=False)
    if not interactive:
        console.begin_capture()
    console.print(f'Model: "{escape(model.name)}"', markup=False)
    console.print(table)
    if formulas:
        console.print(_formulas([layer for layer, _ in rows]))
    for line in _totals(model):
        console.print(line, markup=False)
    if not interactive:
        text = console.end_capture()
        if print_fn is not None:
            print_fn(text)
        else:
            import logging

            logging.getLogger("minikeras").info(text)


def _is_plain_stack(model: Any) -> bool:
    """Whether each layer feeds only the next: then there is nothing to connect."""
    if not hasattr(model, "_graph"):
        return True
    nodes = model._graph.nodes
    operations = [id(node.operation) for node in nodes]
    in_a_row = all(len(node.input_tensors) <= 1 for node in nodes)
    branches = len(model.inputs) > 1 or any(
        sum(child in nodes for child in node.operation._outbound_nodes) > 1
        for node in nodes
    )
    return in_a_row and not branches and len(set(operations)) == len(operations)


def _column_widths(
    plain: bool, show_trainable: bool, line_length: int | None, positions: Any
) -> tuple[int, list[int]]:
    """(line length, width of each column), by Keras's proportions."""
    default = 88 if plain else 108
    positions = positions or ([0.45, 0.8, 1.0] if plain else [0.3, 0.56, 0.74, 1.0])
    if show_trainable:
        default += 12
        positions = [*(p * 0.9 for p in positions), 1.0]
    length = line_length or min(default, shutil.get_terminal_size().columns - 4)
    ends = [int(p * length) for p in positions]
    widths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(widths) < 4:
        raise ValueError(
            "Insufficient console width to print summary. Received: "
            f"line_length={line_length}, positions={positions}"
        )
    return length, widths


def _rows(model: Any, expand_nested: bool, depth: int = 0) -> list[tuple[Any, int]]:
    operations = model.layers
    if hasattr(model, "_graph") and type(model).__name__ != "Sequential":
        operations = model.operations
    rows = []
    for layer in operations:
        rows.append((layer, depth))
        if expand_nested and getattr(layer, "layers", None):
            rows.extend(_rows(layer, expand_nested, depth + 1))
    return rows


def _select(rows: list[tuple[Any, int]], layer_range: Any) -> list[tuple[Any, int]]:
    if layer_range is None:
        return rows
    if len(layer_range) != 2 or not all(isinstance(x, str) for x in layer_range):
        raise ValueError(
            "layer_range must be a list or tuple of two layer names. Received: "
            f"layer_range={layer_range}"
        )
    found = [
        [i for i, (layer, _) in enumerate(rows) if re.match(pattern, layer.name)]
        for pattern in layer_range
    ]
    if not all(found):
        raise ValueError(
            "Passed layer_names do not match the layer names in the model. Received: "
            f"{layer_range}"
        )
    first, last = min(map(min, found)), max(map(max, found))
    return rows[first : last + 1]


def _name(layer: Any, depth: int) -> str:
    prefix = "   " * depth + "└ " if depth else ""
    return f"{prefix}{layer.name} ({type(layer).__name__})"


def _output_shape(layer: Any) -> str:
    """The shape of what the layer last gave; "?" where it is not known yet."""
    nodes = getattr(layer, "_inbound_nodes", [])
    if nodes:
        shapes = [str(t.shape) for t in nodes[-1].outputs]
        return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"
    outputs = getattr(layer, "_graph", None) and layer.outputs
    if outputs:
        return str(outputs[0].shape) if len(outputs) == 1 else str(layer.output_shape)
    if getattr(layer, "_build_shapes", None):  # built by hand
        return str(tuple(layer.compute_output_shape(*layer._build_shapes.values())))
    return "?"


def _parameters(layer: Any) -> str:
    if not hasattr(layer, "count_params"):
        return "0"
    if not layer.built:
        return "0 (unbuilt)"
    return f"{count_params(layer.weights):,}"


def _formulas(layers: list[Any]) -> Any:
    """How the parameters of each layer are counted, with the numbers put in."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from minikeras.teach import explain

    found: dict[str, str] = {}
    for layer in layers:
        if getattr(layer, "weights", None) and layer.built:
            found |= explain(layer).formulas
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, formula in found.items():
        if len(formula) > _LINE:  # words on one line, numbers on the next
            formula = formula.replace(" = ", "\n= ", 1)
        table.add_row(Text(name), Text(formula))
    return Padding(table, (0, 1))


def _connections(layer: Any, model: Any) -> str:
    in_model = {id(node) for node in model._graph.nodes}
    found = []
    for node in layer._inbound_nodes:
        if id(node) in in_model:
            for tensor in node.input_tensors:
                origin, index, tensor_index = tensor._keras_history
                found.append(f"{origin.name}[{index}][{tensor_index}]")
    return ", ".join(found) or "-"


def _totals(model: Any) -> list[str]:
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    optimizer = getattr(model, "optimizer", None)
    kept = []
    if optimizer is not None and getattr(optimizer, "built", False):
        kept = list(optimizer.variables)
    rows = [("Total params", [*trainable, *frozen, *kept])]
    rows += [("Trainable params", trainable), ("Non-trainable params", frozen)]
    if kept:
        rows.append(("Optimizer params", kept))
    return [
        f" {title}: {count_params(weights):,} "
        f"({readable_memory_size(weight_memory_size(weights))})"
        for title, weights in rows
    ]
