"""What `inspect` and `diff` know of a file, without making the model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from minikeras.command_line.axes import meaning
from minikeras.saving.contents import Contents


def describe(contents: Contents) -> dict[str, Any]:
    """Plain values for everything in an open file: what `inspect --json` prints."""
    arrays = describe_arrays(contents)
    weights = [a for a in arrays if a["kind"] == "weight"]
    return {
        "file": contents.source,
        "format": contents.format,
        "size": contents.size,
        "keras_version": contents.keras_version or None,
        "date_saved": contents.metadata.get("date_saved"),
        "model": _name_of(contents.config),
        "layers": layers(contents.config),
        "parameters": sum(a["size"] for a in weights),
        "weights": weights,
        "optimizer": _optimizer(contents, arrays),
        "other_arrays": [a for a in arrays if a["kind"] == "other"],
    }


def describe_arrays(contents: Contents) -> list[dict[str, Any]]:
    """Each array: path, name, shape, dtype, axes and statistics."""
    counts = Counter(path.rpartition("/")[0] for path in contents.arrays)
    found = []
    for path, stored in contents.arrays.items():
        array = stored.read()
        name, axes = meaning(path, counts[path.rpartition("/")[0]])
        found.append(
            {
                "path": path,
                "name": name,
                "kind": _kind(path),
                "shape": list(array.shape),
                "dtype": array.dtype.name,
                "axes": axes,
                "size": int(array.size),
                **statistics(array),
            }
        )
    return found


def _kind(path: str) -> str:
    start = path.split("/")[0]
    if start in ("optimizer", "optimizer_weights"):
        return "optimizer"
    return "other" if start == "metrics" else "weight"


def statistics(array: np.ndarray) -> dict[str, Any]:
    """Mean, spread and range of the finite values; how many are not finite, or zero."""
    values = array.astype("float64").ravel()
    finite = values[np.isfinite(values)]
    result: dict[str, Any] = dict.fromkeys(("mean", "std", "min", "max"))
    if finite.size:
        result = {
            "mean": float(finite.mean()),
            "std": float(finite.std()),
            "min": float(finite.min()),
            "max": float(finite.max()),
        }
    result["not_finite"] = int(values.size - finite.size)
    result["zeros"] = int((values == 0).sum())
    return result


def _name_of(config: Any) -> dict[str, Any] | None:
    if not isinstance(config, dict):
        return None
    inner = config.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    return {"class_name": config.get("class_name"), "name": name}


def layers(config: Any, prefix: str = "", depth: int = 0) -> list[dict[str, Any]]:
    """Name, class and main arguments of each layer, nested models included."""
    inner = config.get("config") if isinstance(config, dict) else None
    listed = inner.get("layers") if isinstance(inner, dict) else inner
    if not isinstance(listed, list) or depth > 50:
        return []
    found = []
    for layer in listed:
        if not isinstance(layer, dict):
            continue
        arguments = layer.get("config")
        arguments = arguments if isinstance(arguments, dict) else {}
        name = f"{prefix}{arguments.get('name', layer.get('name', ''))}"
        plain = (int, float, str)
        found.append(
            {
                "name": name,
                "class_name": layer.get("class_name"),
                "arguments": {
                    key: value
                    for key, value in arguments.items()
                    if key not in ("name", "dtype", "trainable")
                    and (isinstance(value, plain) and not isinstance(value, bool))
                },
                "trainable": arguments.get("trainable", True),
            }
        )
        found.extend(layers(layer, f"{name}/", depth + 1))
    return found


def _optimizer(contents: Contents, arrays: list[dict]) -> dict[str, Any] | None:
    state = [a for a in arrays if a["kind"] == "optimizer"]
    config: Any = None
    if contents.training_config:
        config = contents.training_config.get("optimizer_config")
    elif isinstance(contents.config, dict):
        compiled = contents.config.get("compile_config")
        config = compiled.get("optimizer") if isinstance(compiled, dict) else None
    if config is None and not state:
        return None
    named = config if isinstance(config, dict) else {"class_name": config}
    counters = [a for a in state if a["shape"] == [] and a["dtype"].startswith("int")]
    return {
        "class_name": named.get("class_name"),
        "config": named.get("config"),
        "iterations": int(counters[0]["mean"]) if counters else None,
        "arrays": state,
    }
