"""`.weights.h5`: the tree of a model's variables in HDF5, as Keras lays it out.

    layers/dense/vars/0            the first variable of the first Dense layer
    layers/lstm/cell/vars/1        attributes nest
    optimizer/vars/0               the optimizer's state

Layers in a list are numbered per class, in order; their names do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minikeras.messages import warn
from minikeras.naming import to_snake_case
from minikeras.variables import Variable

# Attributes that every model has and whose contents are not saved by walking.
_INTERNAL = frozenset(
    "_call_losses _compile_config _compile_loss _compile_metrics "
    "_functional _graph _inbound_nodes _init_arguments _input_spec "
    "_input_structure _kept_plan "
    "_layers _loss_tracker _metrics _non_trainable_variables "
    "_outbound_nodes _output_example _output_structure _stack _traces "
    "_trainable_states _trainable_variables activity_regularizer history input_spec "
    "loss".split()
)


def walk(obj: Any, path: str = "", seen: set[int] | None = None) -> Iterator[Any]:
    """(path, object) for `obj` and all inside it that has variables, each once."""
    seen = set() if seen is None else seen
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield path, obj
    for name, child in _children(obj):
        inner = f"{path}/{name}" if path else name
        if _is_saveable(child):
            yield from walk(child, inner, seen)
        else:
            yield from _walk_container(child, inner, seen)


def _walk_container(items: Any, path: str, seen: set[int]) -> Iterator[Any]:
    items = list(items.values()) if isinstance(items, dict) else list(items)
    used: dict[str, int] = {}
    for item in items:
        if not _is_saveable(item):
            continue
        name = to_snake_case(type(item).__name__)
        count = used.get(name, -1) + 1
        used[name] = count
        numbered = name if count == 0 else f"{name}_{count}"
        yield from walk(item, f"{path}/{numbered}", seen)


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that hold saveable objects, sorted, underscores last, as in Keras."""
    is_graph = hasattr(obj, "_graph") or hasattr(obj, "_stack")
    if is_graph:
        yield "layers", obj.layers
    attributes = {k: v for k, v in vars(obj).items() if k not in _INTERNAL}
    if not is_graph and hasattr(obj, "layers") and "layers" not in attributes:
        attributes["layers"] = obj.layers
    for name in sorted(attributes, key=lambda n: (n.startswith("_"), n)):
        value = attributes[name]
        holds_some = isinstance(value, list | tuple | dict | set) and any(
            _is_saveable(v)
            for v in (value.values() if isinstance(value, dict) else value)
        )
        if _is_saveable(value) or holds_some:
            yield name, value


def _is_saveable(value: Any) -> bool:
    # NB: Keras does not save the state of seed generators: after loading, dropout
    # draws from the beginning of its stream again.
    return hasattr(value, "save_own_variables")


def _is_optimizer(obj: Any) -> bool:
    return hasattr(obj, "apply_gradients")


def collect(obj: Any) -> dict[str, np.ndarray]:
    """All arrays that a weights file holds: path -> array."""
    arrays: dict[str, np.ndarray] = {}
    for path, item in walk(obj):
        store: dict[str, Any] = {}
        item.save_own_variables(store)
        base = f"{path}/vars" if path else "vars"
        for key, value in store.items():
            arrays[f"{base}/{key}"] = np.asarray(value)
    return arrays


def write_tree(file: Any, obj: Any) -> None:
    """Writes `obj` into an open `h5py.File`."""
    for path, item in walk(obj):
        group = file.require_group(f"{path}/vars" if path else "vars")
        name = getattr(item, "name", None)
        if isinstance(name, str):
            group.attrs["name"] = name
    for path, array in collect(obj).items():
        file.create_dataset(path, data=array)


def read_tree(
    arrays: Mapping[str, Any], obj: Any, source: str, skip_mismatch: bool = False
) -> set[int]:
    """Loads the arrays of a file into `obj`: everything is checked, then written.

    Args:
        arrays: path -> `StoredArray`.
        obj: the model.
        source: the file, for errors.
        skip_mismatch: warn about what does not fit, and load the rest.

    Returns:
        The ids of the variables that were written.

    Raises:
        ValueError: naming the file, the place in it, what was expected and received.
    """
    groups: dict[str, dict[str, Any]] = {}
    for path, array in arrays.items():
        group, _, key = path.rpartition("/")
        groups.setdefault(group, {})[key] = array
    planned: list[tuple[Any, dict[str, Any]]] = []
    problems: list[str] = []
    for path, item in walk(obj):
        place = f"{path}/vars" if path else "vars"
        store = groups.get(place, {})
        try:
            _check(item, store, place, source)
        except ValueError as error:
            if _is_optimizer(item):
                warn(f"The optimizer's state was not loaded. {error}")
                continue
            problems.append(str(error))
            continue
        planned.append((item, store))
    if problems and not skip_mismatch:
        raise ValueError(
            f"The weights in '{source}' do not fit {type(obj).__name__} '{obj.name}'; "
            "nothing was loaded.\n" + "\n".join(problems)
        )
    for problem in problems:
        warn(f"Skipped. {problem}")
    stores = [
        {key: array.read() for key, array in store.items()} for _, store in planned
    ]
    report_nonfinite(planned, stores, source)
    loaded: set[int] = set()
    for (item, _), store in zip(planned, stores, strict=True):
        item.load_own_variables(store)
        loaded.update(id(variable) for variable in _all_variables(item))
    return loaded


def report_nonfinite(
    planned: list[tuple[Any, dict[str, Any]]], stores: list[dict], source: str
) -> None:
    """Warns if there are NaN or infinities: they are data, but seldom wanted."""
    places = [
        array.place
        for (_, store), values in zip(planned, stores, strict=True)
        for key, array in store.items()
        if values[key].dtype.kind == "f" and not np.isfinite(values[key]).all()
    ]
    if places:
        warn(
            f"'{source}': {len(places)} array(s) hold NaN or infinity, the first at "
            f"{places[0]}.",
        )


def _all_variables(item: Any) -> list[Variable]:
    if _is_optimizer(item):
        return list(item.variables)
    names = ("_trainable_variables", "_non_trainable_variables")
    return [v for name in names for v in getattr(item, name, ())]


def _check(item: Any, store: Mapping[str, Any], place: str, source: str) -> None:
    """Raises unless the arrays have the shapes of the item's variables."""
    expected = _own_variables(item)
    where = f"'{source}' at '{place}'"
    who = f"{type(item).__name__} '{getattr(item, 'name', '')}'"
    if expected is None:
        return  # the class reads its own format
    if len(store) != len(expected):
        raise ValueError(
            f"{where}: {who} has {len(expected)} variables, the file {len(store)}."
            + (
                " The layer was never built."
                if not getattr(item, "built", True)
                else ""
            )
        )
    for i, variable in enumerate(expected):
        if str(i) not in store:
            raise ValueError(f"{where}: array '{i}' is missing for {who}.")
        if store[str(i)].shape != variable.shape:
            raise ValueError(
                f"{where}/{i}: {who} expects shape {variable.shape} for "
                f"'{variable.path}'. Received: shape {store[str(i)].shape}"
            )


def _own_variables(item: Any) -> list[Variable] | None:
    from minikeras.layers.layer import Layer

    if isinstance(item, Layer):
        if type(item).load_own_variables is not Layer.load_own_variables:
            return None
        return [*item._trainable_variables, *item._non_trainable_variables]
    if _is_optimizer(item):
        return list(item.variables)
    return None
