"""`python -m minikeras inspect FILE`: what is in a file, without making the model."""

from __future__ import annotations

import argparse
import json
from typing import Any

from minikeras.command_line.axes import LEGEND
from minikeras.command_line.reading import describe
from minikeras.saving.contents import open_contents
from minikeras.saving.errors import visible

FORMATS = ".keras, .weights.h5, .h5, .hdf5, .weights.json, .json, .npz or .safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("file", help=FORMATS)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Prints; returns the exit status."""
    with open_contents(options.file) as contents:
        found = describe(contents)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    _print(visible(found))
    return 0


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    model = found["model"] or {}
    version = found["keras_version"]
    written = (
        f"Keras version {escape(version)}" if version else "no Keras version in it"
    )
    console.print(
        f"[bold]{escape(found['file'])}[/]: {found['format']}", highlight=False
    )
    console.print(f"  {found['size']:,} bytes, {written}")
    if model:
        text = (
            f"  {model['class_name']} '{model['name']}', {len(found['layers'])} layers"
        )
        console.print(escape(text))
    if found["layers"]:
        table = Table("layer", "class", "arguments", box=None)
        for layer in found["layers"]:
            arguments = ", ".join(f"{k}={v}" for k, v in layer["arguments"].items())
            cells = (layer["name"], str(layer["class_name"]), arguments[:80])
            table.add_row(*(escape(cell) for cell in cells))
        console.print(table)
    if found["weights"]:
        _print_arrays(console, found["weights"])
        console.print(f"  {found['parameters']:,} parameters")
    optimizer = found["optimizer"]
    if optimizer:
        arrays, class_name = optimizer["arrays"], optimizer["class_name"]
        console.print(
            escape(
                f"  optimizer {class_name or '(of unknown class)'}: "
                f"{len(arrays)} arrays, "
                f"{optimizer['iterations']} iterations"
            )
        )


def _print_arrays(console: Any, arrays: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("array", "shape", "axes", "mean ± std", "range", box=None)
    table.columns[0].overflow = "fold"
    for a in arrays:
        path = a["path"].removeprefix("model_weights/")
        named = path.removesuffix(":0").endswith(a["name"])
        what = path if named else f"{path} ({a['name']})"
        shape = f"({', '.join(map(str, a['shape']))})"
        spread, span = "", "no finite value"
        if a["mean"] is not None:
            spread = f"{a['mean']:.3g} ± {a['std']:.3g}"
            span = f"{a['min']:.3g} .. {a['max']:.3g}"
        if a["not_finite"]:
            span += f", {a['not_finite']} not finite"
        table.add_row(*map(escape, (what, shape, a["axes"], spread, span)))
    console.print(table)
    dtypes = sorted({a["dtype"] for a in arrays})
    console.print(f"  {', '.join(dtypes)}", highlight=False)
    for letters, words in LEGEND.items():
        if any(letters in a["axes"] for a in arrays):
            console.print(escape(f"  {letters}: {words}"), highlight=False)
