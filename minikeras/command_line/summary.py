"""`python -m minikeras summary FILE`: the table that `model.summary()` prints."""

from __future__ import annotations

import argparse
import json

from minikeras.saving.errors import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("file", help=".keras, .h5, or .json from to_json")
    parser.add_argument(
        "--nested", action="store_true", help="show nested models' layers"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Prints; returns the exit status."""
    model = load(options.file)
    if not options.json:
        lines: list[str] = []
        model.summary(expand_nested=options.nested, print_fn=lines.append)
        print(visible("\n".join(lines)).rstrip("\n"))
        return 0
    rows = [
        {
            "name": layer.name,
            "class_name": type(layer).__name__,
            "parameters": layer.count_params() if layer.built else None,
            "trainable": layer.trainable,
        }
        for layer in model.layers
    ]
    total = model.count_params() if model.built else None
    print(
        json.dumps({"name": model.name, "layers": rows, "parameters": total}, indent=2)
    )
    return 0


def load(file: str, compile: bool = False):
    """The model of a file: a saved model, or an architecture as JSON."""
    from minikeras.saving import load_model
    from minikeras.saving.building import model_from_text
    from minikeras.saving.contents import open_contents

    with open_contents(file) as contents:
        is_text = contents.format == "architecture"
    if not is_text:
        return load_model(file, compile=compile)
    with open(file, "rb") as text:
        return model_from_text(text.read())
