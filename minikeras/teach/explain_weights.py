"""`explain`: what each array in `get_weights()` is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras.command_line.axes import LEGEND, MEANINGS
from minikeras.layers.layer import Layer
from minikeras.naming import to_snake_case
from minikeras.registry import suggest
from minikeras.teach.parameter_counts import array_count, gates_of, layer_count
from minikeras.teach.torch_layout import torch_layout
from minikeras.variables import Variable

_NARROWEST, _WIDEST = 40, 100


class ArrayExplanation(NamedTuple):
    """One array of `get_weights()`.

    Attributes:
        index: its place in `get_weights()`.
        layer: the name of the layer it belongs to.
        kind: that layer's class.
        name: such as `"kernel"`.
        path: such as `"lstm/lstm_cell/kernel"`.
        shape: of the array.
        axes: what each axis counts; `""` if it is not known.
        gates: name of a gate -> its columns, a slice of the last axis; empty without
            gates.
        count: how many numbers it has.
        formula: their count from the sizes of the axes.
        trainable: whether training changes it.
        torch: how it is laid out in PyTorch; `""` if there is no counterpart.
    """

    index: int
    layer: str
    kind: str
    name: str
    path: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    gates: dict[str, slice]
    count: int
    formula: str
    trainable: bool
    torch: str


class Explanation(Sequence):
    """What `explain` returns: a sequence of `ArrayExplanation`, that prints as a table.

    `explanation[0]`, `explanation["kernel"]` and `explanation["lstm/kernel"]` are
    single arrays; `for array in explanation` goes in the order of `get_weights()`.

    Attributes:
        title: class and name of what is explained.
        arrays: all arrays.
        formulas: name of a layer -> the formula of its parameter count.
    """

    def __init__(
        self, title: str, arrays: list[ArrayExplanation], formulas: dict[str, str]
    ):
        self.title = title
        self.arrays = arrays
        self.formulas = formulas

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(array.count for array in self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[ArrayExplanation]:
        return iter(self.arrays)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.arrays[key]
        if not isinstance(key, str):
            if not -len(self) <= key < len(self):
                raise IndexError(
                    f"{self.title} has {len(self)} arrays. Received: index {key}"
                )
            return self.arrays[key]
        found = [a for a in self.arrays if key in _keys(a)]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(
                f"{len(found)} arrays of {self.title} are called {key!r}; say which: "
                f"{[f'{a.layer}/{a.name}' for a in found]}"
            )
        known = [k for a in self.arrays for k in _keys(a)]
        raise KeyError(
            f"{self.title} has no array {key!r}. It has "
            f"{[f'{a.layer}/{a.name}' for a in self.arrays]}.{suggest(key, known)}"
        )

    def __rich__(self) -> Any:
        """The table, for `rich.print`."""
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        still = sum(a.count for a in self.arrays if not a.trainable)
        title = f"{self.title}: {self.parameters:,} parameters"
        title += f", {still:,} of them not trainable" if still else ""
        if not self.arrays:
            return Text(f"{title}. No layer in it has weights.")
        table = Table(pad_edge=False)
        table.add_column("#", justify="right")
        table.add_column("array", overflow="fold")
        table.add_column("what it is", overflow="fold", ratio=1)
        layer = None
        for a in self.arrays:
            if a.layer != layer:
                table.add_section()
                heading = f"{a.kind}: {self.formulas[a.layer]}"
                if a.gates:
                    heading += "\n" + LEGEND[f"[{' '.join(a.gates)}]"]
                table.add_row("", Text(a.layer, "bold"), Text(heading, "bold"))
            layer = a.layer
            cell = f"{a.name}\n{_shape(a.shape)}"
            table.add_row(str(a.index), escape(cell), escape("\n".join(_lines(a))))
        return Group(Text(title), table)

    def __str__(self) -> str:
        """The table as text, as wide as the terminal, at most 100 columns."""
        from rich.console import Console

        width = shutil.get_terminal_size().columns
        console = Console(
            width=max(_NARROWEST, min(width, _WIDEST)),
            color_system=None,
            force_terminal=False,
            highlight=False,
        )
        with console.capture() as capture:
            console.print(self.__rich__())
        return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))

    __repr__ = __str__


def explain(layer_or_model: Any) -> Explanation:
    """What each array in `get_weights()` is.

    For each one: its shape, what each axis counts, which columns belong to which gate,
    how many numbers it has and why, whether training changes it, and how PyTorch keeps
    the same array (`minikeras.interop.to_torch` makes it).

    Args:
        layer_or_model: a built layer or model.

    Returns:
        An `Explanation`: print it, or read its fields.

    Raises:
        TypeError: if it is not a layer.
        ValueError: if it is not built.

    >>> import minikeras as keras
    >>> layer = keras.layers.LSTM(8, name="lstm")
    >>> layer.build((None, 20, 3))
    >>> explanation = explain(layer)
    >>> explanation.formulas["lstm"]
    '4 x (inputs x units + units x units + units) = 4 x (3 x 8 + 8 x 8 + 8) = 384'
    >>> explanation["bias"].gates["f"]
    slice(8, 16, None)
    >>> explanation["kernel"].torch
    'weight_ih_l0 = kernel.T, (32, 3)'
    """
    check_built(layer_or_model, "explain")
    owners: dict[int, Any] = {}
    _find_owners(layer_or_model, owners)
    arrays: list[ArrayExplanation] = []
    members: dict[str, list[ArrayExplanation]] = {}
    layouts: dict[int, dict[int, str]] = {}
    labels = _labels(layer_or_model.weights, owners)
    for index, variable in enumerate(layer_or_model.weights):
        owner = owners[id(variable)]
        if id(owner) not in layouts:
            layouts[id(owner)] = torch_layout(owner)
        array = _explain_array(index, variable, owner)._replace(
            layer=labels[id(owner)],
            torch=layouts[id(owner)].get(id(variable), ""),
        )
        arrays.append(array)
        members.setdefault(array.layer, []).append(array)
    formulas = {name: layer_count([a[5:8] for a in m]) for name, m in members.items()}
    title = f"{type(layer_or_model).__name__} '{layer_or_model.name}'"
    return Explanation(title, arrays, formulas)


def check_built(layer: Any, function: str) -> None:
    """Refuses what is no layer, and a layer without weights yet."""
    if not isinstance(layer, Layer):
        what, hint = type(layer).__name__, ""
        if isinstance(layer, type) and issubclass(layer, Layer):
            what, hint = (
                f"the class {layer.__name__}",
                " Make a layer of it, and build it.",
            )
        elif isinstance(layer, list | np.ndarray | Variable):
            hint = " An array does not know where it belongs: pass its layer or model."
        elif isinstance(layer, str):
            hint = (
                " A layer by its name is `model.get_layer(name)`; a model in a file, "
            )
            hint += "`keras.models.load_model(path)`."
        raise TypeError(
            f"`{function}` expects a layer or model. Received: {what}.{hint}"
        )
    if not layer.built:
        raise ValueError(
            f"`{function}` needs a built layer: {type(layer).__name__} '{layer.name}' "
            "does not know its input shape, and so has no weights yet. Call it on "
            "data, call `build(input_shape)`, or begin the model with an `Input`."
        )


def _find_owners(layer: Any, owners: dict[int, Any]) -> None:
    """variable -> the outermost layer whose arrays have names we know, or its own."""
    if to_snake_case(type(layer).__name__) not in MEANINGS:
        for inner in layer._sublayers():
            _find_owners(inner, owners)
    for variable in layer.weights:
        owners.setdefault(id(variable), layer)


def _labels(variables: list[Any], owners: dict[int, Any]) -> dict[int, str]:
    """The names of the layers; where two have one name, their paths."""
    found = {id(owners[id(v)]): (owners[id(v)].name, v.path) for v in variables}
    names = [name for name, _ in found.values()]
    return {
        key: name if names.count(name) == 1 else path.rpartition("/")[0]
        for key, (name, path) in found.items()
    }


def _explain_array(index: int, variable: Any, owner: Any) -> ArrayExplanation:
    kind = type(owner).__name__
    shape = tuple(variable.shape)
    axes = _axes(to_snake_case(kind), variable.name, len(shape))
    gates = gates_of(axes, shape)
    return ArrayExplanation(
        index=index,
        layer=owner.name,
        kind=kind,
        name=variable.name,
        path=variable.path,
        shape=shape,
        axes=axes,
        gates=gates,
        count=int(variable.size),
        formula=array_count(shape, axes, gates),
        trainable=bool(variable.trainable),
        torch="",
    )


def _axes(kind: str, name: str, rank: int) -> tuple[str, ...]:
    """What the axes count, by the table that `inspect` uses for files."""
    known = dict(MEANINGS.get(kind, ())).get(name, "")
    axes = tuple(known.split(", ")) if known else ()
    if len(axes) == 1:
        axes *= rank  # a scale for each feature, over several axes
    # NB: the bias of a GRU without `reset_after` lacks the first axis.
    axes = axes[len(axes) - rank :] if len(axes) >= rank else ()
    return axes or ("",) * rank


# --- Printing -------------------------------------------------------------------------


def _keys(array: ArrayExplanation) -> tuple[str, ...]:
    return array.name, f"{array.layer}/{array.name}", array.path


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _lines(array: ArrayExplanation) -> list[str]:
    """What the table says of an array."""
    lines = []
    if any(array.axes):
        lines.append(f"axes: {', '.join(array.axes)}")
    if array.gates:
        slices = (f"{g} {s.start}:{s.stop}" for g, s in array.gates.items())
        lines.append(f"columns: {', '.join(slices)}")
    lines.append(array.formula + ("" if array.trainable else ", not trainable"))
    if array.torch:
        lines.append(f"PyTorch: {array.torch}")
    return lines
