"""`plot_model`: a picture of a model's layers and how they are connected.

Drawn without graphviz: layers stand in rows by their longest path from an input, and
within a row where their inputs are.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, NamedTuple

FONT = 12.0  # height of the letters; all sizes are in pixels at 72 dpi
LINE = 18.0
MARGIN = 12.0
GAP_X, GAP_Y = 28.0, 34.0
_WIDE = 0.62  # mean width of a letter, as part of FONT
_RANKDIR = ("TB", "LR")


class Box(NamedTuple):
    """A layer in the picture; a nested model has boxes inside."""

    key: int
    lines: list[str]
    x: float  # left
    y: float  # top
    width: float
    height: float
    inside: list[Box]
    arrows: list[tuple[int, int]]  # between boxes inside, by key


def plot_model(
    model: Any,
    to_file: str | Path = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> None:
    """Writes a picture of the model: `.svg`, or `.png` or `.pdf` with matplotlib.

    Args:
        model: a built model.
        to_file: where to; the ending says the format.
        show_shapes: whether to show the shapes of inputs and outputs.
        show_dtype: whether to show the dtype of each layer.
        show_layer_names: whether to show names beside the kinds of layers.
        rankdir: `"TB"`, from top to bottom, or `"LR"`, from left to right.
        expand_nested: whether to draw what is inside nested models.
        dpi: dots per inch of a picture made of dots.
        show_layer_activations: whether to show the activation of layers with one.
        show_trainable: whether to say which layers are trainable.
        splines: accepted as in Keras; arrows are straight.

    Raises:
        ImportError: for anything but `.svg`, if matplotlib is missing.
        ValueError: if the model is not built, or for unknown arguments.
    """
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError("Argument `layer_range` is no longer supported.")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
    if rankdir not in _RANKDIR:
        raise ValueError(
            f"`rankdir` must be one of {_RANKDIR}. Received: rankdir={rankdir!r}"
        )
    show = {
        "shapes": show_shapes,
        "dtype": show_dtype,
        "names": show_layer_names,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    picture = lay_out(model, show, rankdir == "LR", expand_nested)
    path = Path(to_file)
    path = path if path.suffix else path.with_suffix(".png")
    if path.suffix == ".svg":
        path.write_text(to_svg(picture), encoding="utf-8")
    else:
        _draw(picture, path, dpi)


def lay_out(model: Any, show: dict[str, bool], across: bool, expand: bool) -> Box:
    """The whole model as a box without lines, all boxes placed inside it."""
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling "
            "`build()` or by calling the model on a batch of data."
        )
    operations, parents = _connections(model)
    boxes = [_box(operation, show, across, expand) for operation in operations]
    rows = _rows(operations, parents)
    placed = _place(boxes, rows, parents, across)
    arrows = [(p, id(o)) for o in operations for p in parents[id(o)]]
    width = max(b.x + b.width for b in placed) + MARGIN
    height = max(b.y + b.height for b in placed) + MARGIN
    return Box(id(model), [], 0.0, 0.0, width, height, placed, arrows)


def _connections(model: Any) -> tuple[list[Any], dict[int, list[int]]]:
    """(operations in order, for each by its id the ids of those it gets input from)."""
    functional = getattr(model, "_functional", None) or model
    graph = getattr(functional, "_graph", None)
    if graph is None:  # a subclass: its layers, in a row
        layers = list(model.layers)
        before = [[], *[[id(layer)] for layer in layers]]
        return layers, {id(o): b for o, b in zip(layers, before, strict=False)}
    hidden = set()
    if functional is not model:  # NB: Keras does not draw the input of a Sequential
        hidden = {id(o) for o in graph.operations if type(o).__name__ == "InputLayer"}
    operations = [o for o in graph.operations if id(o) not in hidden]
    parents: dict[int, list[int]] = {id(o): [] for o in operations}
    for node in graph.nodes:
        for parent in node.parent_nodes:
            key = id(parent.operation)
            known = parents.get(id(node.operation))
            if known is not None and key not in hidden and key not in known:
                known.append(key)
    return operations, parents


def _box(operation: Any, show: dict[str, bool], across: bool, expand: bool) -> Box:
    lines = _lines(operation, show)
    width = max(len(line) for line in lines) * FONT * _WIDE + 2 * MARGIN
    height = len(lines) * LINE + MARGIN
    inside, arrows = [], []
    if expand and hasattr(operation, "layers") and operation.layers:
        whole = lay_out(operation, show, across, expand)
        inside = [_moved(box, 0.0, height - MARGIN) for box in whole.inside]
        arrows = whole.arrows
        width = max(width, whole.width)
        height += whole.height - MARGIN
    return Box(id(operation), lines, 0.0, 0.0, width, height, inside, arrows)


def _lines(operation: Any, show: dict[str, bool]) -> list[str]:
    kind = type(operation).__name__
    title = f"{operation.name} ({kind})" if show["names"] else kind
    lines = [title]
    activation = getattr(operation, "activation", None)
    if show["activations"] and activation is not None:
        name = getattr(activation, "__name__", None) or str(activation)
        lines.append(f"Activation: {name}")
    if show["shapes"]:
        for side in ("input", "output"):
            try:
                tensor = getattr(operation, side)
            except (AttributeError, ValueError):  # called never, or more than once
                continue
            if _shapes(tensor):
                lines.append(f"{side.capitalize()} shape: {_shapes(tensor)}")
    if show["dtype"]:
        lines.append(f"Dtype: {getattr(operation, 'dtype', '?')}")
    if show["trainable"]:
        trainable = getattr(operation, "trainable", None)
        if getattr(operation, "weights", None):
            lines.append("Trainable" if trainable else "Non-trainable")
    return lines


def _shapes(tensors: Any) -> str:
    if isinstance(tensors, dict):
        tensors = list(tensors.values())
    if isinstance(tensors, list | tuple):
        return ", ".join(_shapes(t) for t in tensors)
    return str(tuple(tensors.shape))


def _rows(operations: list[Any], parents: dict[int, list[int]]) -> list[list[int]]:
    """Keys by the longest path that leads to them; inputs beside their first use."""
    depth: dict[int, int] = {}
    for operation in operations:  # parents come first in Keras's order
        above = [depth[p] + 1 for p in parents[id(operation)] if p in depth]
        depth[id(operation)] = max(above, default=0)
    for operation in operations:
        if not parents[id(operation)]:
            uses = [depth[k] for k, above in parents.items() if id(operation) in above]
            depth[id(operation)] = max(min(uses, default=1) - 1, 0)
    rows: list[list[int]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for operation in operations:
        rows[depth[id(operation)]].append(id(operation))
    return [row for row in rows if row]


def _place(
    boxes: list[Box], rows: list[list[int]], parents: dict[int, list[int]], across: bool
) -> list[Box]:
    """Puts rows one after the other, and each box near the middle of its parents."""
    by_key = {box.key: box for box in boxes}
    middle: dict[int, float] = {}
    placed: list[Box] = []
    along = MARGIN
    for row in rows:
        wanted = {
            key: _mean([middle[p] for p in parents[key] if p in middle]) for key in row
        }
        row = sorted(row, key=lambda key: wanted[key])
        sizes = [_extent(by_key[key], across) for key in row]
        total = sum(sizes) + (GAP_X * (len(row) - 1))
        side = max(MARGIN, _mean(list(wanted.values())) - total / 2)
        deep = max(_extent(by_key[key], not across) for key in row)
        for key, size in zip(row, sizes, strict=True):
            middle[key] = side + size / 2
            x, y = (along, side) if across else (side, along)
            placed.append(_moved(by_key[key], x, y))
            side += size + GAP_X
        along += deep + GAP_Y
    least = min((b.y if across else b.x) for b in placed)
    shift = MARGIN - least
    return [_moved(b, *((0.0, shift) if across else (shift, 0.0))) for b in placed]


def _extent(box: Box, across: bool) -> float:
    return box.height if across else box.width


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 1000.0


def _moved(box: Box, dx: float, dy: float) -> Box:
    inside = [_moved(b, dx, dy) for b in box.inside]
    return box._replace(x=box.x + dx, y=box.y + dy, inside=inside)


def _ends(a: Box, b: Box) -> tuple[float, float, float, float]:
    """Where an arrow from a to b begins and ends: at the sides that face each other."""
    if b.y >= a.y + a.height:
        return a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y
    if b.x >= a.x + a.width:
        return a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2
    return a.x, a.y + a.height / 2, b.x + b.width, b.y + b.height / 2


def arrows_of(box: Box) -> list[tuple[float, float, float, float]]:
    """The ends of all arrows between the boxes inside."""
    by_key = {b.key: b for b in box.inside}
    pairs = [(by_key[a], by_key[b]) for a, b in box.arrows if a in by_key]
    return [_ends(a, b) for a, b in pairs]


def to_svg(picture: Box) -> str:
    """The picture as SVG text."""
    size = f'width="{picture.width:.0f}" height="{picture.height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'font-family="monospace" font-size="{FONT}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    _svg_inside(picture, parts)
    return "\n".join([*parts, "</svg>\n"])


def _svg_inside(picture: Box, parts: list[str]) -> None:
    for box in picture.inside:
        fill = "#f2f2f2" if box.inside else "#e3ecf7"
        parts.append(
            f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="4" fill="{fill}" stroke="#345"/>'
        )
        for i, line in enumerate(box.lines):
            weight = ' font-weight="bold"' if i == 0 else ""
            x, y = box.x + box.width / 2, box.y + LINE * (i + 1)
            parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{weight}>'
                f"{html.escape(line)}</text>"
            )
        _svg_inside(box, parts)
    for x1, y1, x2, y2 in arrows_of(picture):
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            'stroke="black" marker-end="url(#tip)"/>'
        )


def _draw(picture: Box, path: Path, dpi: int) -> None:
    """Writes the picture with matplotlib, in the format of the ending."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            f"`plot_model` needs matplotlib to write '{path.name}': "
            "pip install matplotlib. Without it, it writes `.svg` files."
        ) from None
    figure = Figure(figsize=(picture.width / 72, picture.height / 72))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)  # y grows downwards
    axes.axis("off")
    draw_inside(picture, axes)
    figure.savefig(path, dpi=dpi, facecolor="white")


def draw_inside(picture: Box, axes: Any, points: float = 1.0) -> None:
    """Draws the boxes inside with matplotlib; `points` of a letter for each pixel."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    for box in picture.inside:
        fill = "#f2f2f2" if box.inside else "#e3ecf7"
        place, size = (box.x, box.y), (box.width, box.height)
        axes.add_patch(Rectangle(place, *size, facecolor=fill, edgecolor="#334455"))
        for i, line in enumerate(box.lines):
            axes.text(
                box.x + box.width / 2,
                box.y + LINE * (i + 1),
                line,
                ha="center",
                family="monospace",
                fontsize=FONT * points,
                weight="bold" if i == 0 else "normal",
            )
        draw_inside(box, axes, points)
    for x1, y1, x2, y2 in arrows_of(picture):
        axes.add_patch(
            FancyArrowPatch(
                (x1, y1),
                (x2, y2),
                arrowstyle="-|>",
                mutation_scale=8 * points,
                shrinkA=0,
                shrinkB=0,
                color="black",
            )
        )
