"""Weights by name, for other programs: `.npz` and `.safetensors`.

An array is named by its layer and variable, `dense/kernel`; in a nested model
`inner/dense/kernel`. There is no optimizer state in these files; `.weights.h5` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minikeras.messages import warn
from minikeras.saving.atomic import atomic_path
from minikeras.saving.contents import Contents
from minikeras.saving.npz import write_npz
from minikeras.saving.safetensors import write_safetensors
from minikeras.saving.weights import report_nonfinite
from minikeras.variables import Variable
from minikeras.version import KERAS_VERSION

ENDINGS = (".npz", ".safetensors")
_WRITER = "minikeras"


def named_weights(model: Any) -> dict[str, Variable]:
    """Name -> variable, in the order of `model.weights`.

    NB: `variable.path` will not do: in a loaded model it lacks the model's name.

    Raises:
        ValueError: if the model is not built, or two variables have the same name.
    """
    if not model.built:
        raise ValueError(
            f"{type(model).__name__} '{model.name}' has no weights before it is built. "
            "Build it, or call it on data, first."
        )
    names: dict[int, str] = {}
    _name(model, "", names)
    found: dict[str, Variable] = {}
    for variable in model.weights:
        name = names.get(id(variable), variable.path)
        if name in found:
            raise ValueError(
                f"Two weights of {type(model).__name__} '{model.name}' are called "
                f"'{name}'. Give their layers different names, or save to "
                "'.weights.h5', which numbers them."
            )
        found[name] = variable
    return found


def _name(layer: Any, prefix: str, names: dict[int, str]) -> None:
    """Adds id -> name for the weights in a layer; shared ones keep the first name."""
    inner = getattr(layer, "layers", None)
    if isinstance(inner, list):
        for child in inner:
            _name(child, f"{prefix}{child.name}/", names)
    for variable in layer.weights:
        *owners, _ = parts = variable.path.split("/")
        start = len(parts) - 1 if isinstance(inner, list) else 0
        if layer.name in owners:
            start = len(owners) - owners[::-1].index(layer.name)
        names.setdefault(id(variable), prefix + "/".join(parts[start:]))


def write_named(model: Any, path: str) -> None:
    """Writes the weights, in the format of the path's ending."""
    arrays = {name: v.numpy() for name, v in named_weights(model).items()}
    with atomic_path(path) as temporary:
        if path.endswith(".npz"):
            write_npz(arrays, temporary)
        else:
            metadata = {"format": _WRITER, "keras_version": KERAS_VERSION}
            write_safetensors(arrays, temporary, metadata)


def load_named(model: Any, contents: Contents, skip_mismatch: bool = False) -> None:
    """Loads the weights, all or nothing.

    They are matched by name. If layers were named anew (`dense_3` for `dense`), by
    order, provided that kind (`kernel`, `gamma`, ...) and shape of each agree: a file
    of ours has the model's order.

    Raises:
        ValueError: naming the file and every array that does not fit.
    """
    variables = named_weights(model)
    arrays = contents.arrays
    if not set(variables) & set(arrays) or not set(variables) <= set(arrays):
        arrays = _renamed(variables, contents) or arrays
    problems = [
        f"'{name}' is missing: {v.shape}."
        for name, v in variables.items()
        if name not in arrays
    ]
    problems += [f"'{n}' is of no weight." for n in arrays if n not in variables]
    problems += [
        f"'{name}' has shape {v.shape}. Received: shape {arrays[name].shape}"
        for name, v in variables.items()
        if name in arrays and arrays[name].shape != v.shape
    ]
    if problems and not skip_mismatch:
        raise ValueError(
            f"The weights in '{contents.source}' do not fit {type(model).__name__} "
            f"'{model.name}'; nothing was loaded.\n" + "\n".join(problems)
        )
    for problem in problems:
        warn(f"Skipped. {problem}")
    store = {
        name: arrays[name]
        for name, v in variables.items()
        if name in arrays and arrays[name].shape == v.shape
    }
    values = {name: array.read() for name, array in store.items()}
    report_nonfinite([(model, store)], [values], contents.source)
    for name, value in values.items():
        variables[name].assign(np.asarray(value))


def _renamed(
    variables: Mapping[str, Variable], contents: Contents
) -> dict[str, Any] | None:
    """The arrays by our names, if they are the same ones in the same order."""
    ours = [(name.rpartition("/")[2], v.shape) for name, v in variables.items()]
    theirs = [(n.rpartition("/")[2], a.shape) for n, a in contents.arrays.items()]
    in_order = contents.format == "npz" or contents.metadata.get("format") == _WRITER
    if ours != theirs or not in_order:
        return None
    return dict(zip(variables, contents.arrays.values(), strict=True))
