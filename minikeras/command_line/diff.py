"""`python -m minikeras diff A B`: what differs, where first, by how much."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from minikeras.saving.contents import Contents, open_contents
from minikeras.saving.errors import FileRefused, visible

_TREES = ("keras", "weights", "sharded weights")
_MISSING = object()
# Keys that say nothing about the model, and keys that may be left out.
_NO_DIFFERENCE = ("shared_object_id",)
_OPTIONAL = ("module", "registered_name", "build_config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument("a", help="a file")
    parser.add_argument("b", help="another")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="largest difference that is none"
    )


def run(options: argparse.Namespace) -> int:
    """Prints; returns 0 if the files are the same, 1 if they differ."""
    with open_contents(options.a) as a, open_contents(options.b) as b:
        found = compare(a, b, options.tolerance)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _print(visible(found))
    return 1 if found["configuration"] or found["arrays"] else 0


def compare(a: Contents, b: Contents, tolerance: float = 0.0) -> dict[str, Any]:
    """The differences as plain values.

    Raises:
        FileRefused: if the two formats name their arrays differently.
    """
    kinds = {_naming(c) for c in (a, b) if c.arrays}
    if len(kinds) > 1:
        raise FileRefused(
            b.source,
            "",
            f"is '{b.format}' and '{a.source}' is '{a.format}': they name their arrays "
            "differently. Convert one of them first.",
        )
    configs: list[dict[str, Any]] = []
    if a.config is not None and b.config is not None:
        configs = compare_values(a.config, b.config)
    arrays = []
    if "architecture" not in (a.format, b.format):
        paths = dict.fromkeys([*a.arrays, *b.arrays])
        arrays = [compare_arrays(p, a.arrays.get(p), b.arrays.get(p)) for p in paths]
    differing = [x for x in arrays if x["problem"] or x["largest"] > tolerance]
    return {
        "a": a.source,
        "b": b.source,
        "configuration": configs,
        "arrays": differing,
        "arrays_compared": len(arrays),
    }


def _naming(contents: Contents) -> str:
    if contents.format in ("npz", "safetensors"):
        return "paths"
    return "tree" if contents.format in _TREES else "legacy"


def compare_values(a: Any, b: Any, path: str = "") -> list[dict[str, Any]]:
    """Where two configurations differ in what they say of the model."""
    if isinstance(a, dict) and isinstance(b, dict):
        found = []
        for key in dict.fromkeys([*a, *b]):
            if key in _NO_DIFFERENCE or (
                key in _OPTIONAL
                and _MISSING in (a.get(key, _MISSING), b.get(key, _MISSING))
            ):
                continue
            inner = f"{path}.{key}" if path else key
            found += compare_values(a.get(key, _MISSING), b.get(key, _MISSING), inner)
        return found
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [d for i, (x, y) in pairs for d in compare_values(x, y, f"{path}[{i}]")]
    if type(a) is type(b) and a == b:
        return []
    if isinstance(a, int | float) and isinstance(b, int | float) and a == b:
        return []
    return [{"path": path, "a": _shown(a), "b": _shown(b)}]


def _shown(value: Any) -> Any:
    if value is _MISSING:
        return "(absent)"
    text = json.dumps(value)
    return value if len(text) <= 200 else f"{text[:200]}..."


def compare_arrays(path: str, a: Any, b: Any) -> dict[str, Any]:
    """How two arrays differ: the largest difference, where, and how many."""
    result: dict[str, Any] = {"path": path, "problem": "", "largest": 0.0}
    if a is None or b is None:
        result["problem"] = f"only in {'B' if a is None else 'A'}"
        return result
    if a.shape != b.shape:
        result["problem"] = f"shape {a.shape} and {b.shape}"
        return result
    if a.dtype != b.dtype:
        result["problem"] = f"dtype {a.dtype} and {b.dtype}"
    x, y = a.read().astype("float64"), b.read().astype("float64")
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return result
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(x - y))
    if not np.isfinite(distance).all():
        result["problem"] = result["problem"] or "NaN or infinity in one of them"
        distance = np.where(np.isfinite(distance), distance, 0.0)
    first = np.unravel_index(int(np.argmax(~same)), x.shape)
    result.update(
        largest=float(distance.max()),
        count=int((~same).sum()),
        size=int(x.size),
        first=[int(i) for i in first],
        a=float(x[first]),
        b=float(y[first]),
    )
    return result


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not found["configuration"] and not found["arrays"]:
        count = found["arrays_compared"]
        console.print(f"no difference ({count} arrays compared)", highlight=False)
        return
    if found["configuration"]:
        table = Table("configuration", "A", "B", box=None)
        for d in found["configuration"]:
            table.add_row(*(escape(str(d[key])) for key in ("path", "a", "b")))
        console.print(table)
    if found["arrays"]:
        table = Table("array", "largest", "differ", "first at", "A", "B", box=None)
        for d in found["arrays"]:
            if "count" not in d:
                table.add_row(escape(d["path"]), escape(d["problem"]))
                continue
            differ = f"{d['count']:,} of {d['size']:,} {d['problem']}".strip()
            first = ", ".join(map(str, d["first"]))
            values = (f"{d['largest']:.3g}", differ, first, str(d["a"]), str(d["b"]))
            table.add_row(escape(d["path"]), *values)
        console.print(table)
