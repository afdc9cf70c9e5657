"""`python -m minikeras convert A B`: from one format to another, by the name of B."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from minikeras.command_line.summary import load
from minikeras.saving.atomic import atomic_path, check_overwrite
from minikeras.saving.named import ENDINGS

_ENDINGS = (".keras", ".weights.h5", ".weights.json", ".h5", ".hdf5", ".json", *ENDINGS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("a", help="a model: .keras, .h5, or .json from to_json")
    parser.add_argument("b", help=f"the file to write: {', '.join(_ENDINGS)}")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--shard",
        type=float,
        default=5.0,
        help="GB a file of .weights.json (default 5)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Writes; returns the exit status."""
    if not options.b.endswith(_ENDINGS):
        raise ValueError(
            f"'{options.b}': the name must end in one of {', '.join(_ENDINGS)}."
        )
    check_overwrite_unless(options.force, options.b)
    model = load(options.a, compile=True)
    write(model, options.b, options.shard)
    size = os.path.getsize(options.b)
    if options.json:
        print(json.dumps({"a": options.a, "b": options.b, "size": size}))
    else:
        print(f"{options.b}: {size:,} bytes")
    return 0


def check_overwrite_unless(force: bool, path: str) -> None:
    """Raises a FileExistsError if the file exists, unless told to replace it."""
    try:
        check_overwrite(path, force)
    except FileExistsError:
        raise FileExistsError(f"'{path}' exists. Replace it with --force.") from None


def write(model: Any, path: str, shard: float) -> None:
    """Writes in the format of the path's ending."""
    if path.endswith((".weights.h5", *ENDINGS)):
        model.save_weights(path)
    elif path.endswith(".weights.json"):
        model.save_weights(path, max_shard_size=shard)
    elif path.endswith(".json"):
        with atomic_path(path) as temporary:
            temporary.write_text(model.to_json(indent=2) + "\n", encoding="utf-8")
    else:
        model.save(path)
