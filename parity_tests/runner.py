"""Runs a minikeras layer under supervision: every array it sees is frozen.

`run` is one forward and one backward with the results in a dictionary by name (`"y"`,
`"dx"`, `"dkernel"`, ...), the form in which the harness compares with Keras.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras import config, tree
from minikeras.gradients import Gradients
from minikeras.variables import Variable

Arrays = Any  # an array, or arrays nested in lists, tuples and dicts


@contextlib.contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """minikeras's floatx and dtype policy are `dtype` inside."""
    before = config.floatx(), config._dtype_policy
    config.set_floatx(dtype)
    config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        config.set_floatx(before[0])
        config._dtype_policy = before[1]


def is_float(array: Any) -> bool:
    """Whether it is an array of floats, and so has a gradient."""
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def cast(structure: Arrays, dtype: str) -> Arrays:
    """Float arrays (and `strategies.Values` recipes) in `dtype`; the rest as it is."""

    def one(leaf: Any) -> Any:
        if callable(leaf) and hasattr(leaf, "specials"):
            return leaf(dtype)
        return leaf.astype(dtype) if is_float(leaf) else leaf

    return tree.map_structure(one, structure)


def frozen(structure: Arrays) -> Arrays:
    """Read-only copies of all arrays."""

    def one(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            leaf = leaf.copy()
            leaf.setflags(write=False)
        return leaf

    return tree.map_structure(one, structure)


def freeze_all(thing: Any) -> None:
    """Makes every array that can be reached through residuals read-only, in place."""
    seen: set[int] = set()
    stack = [thing]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, str | int | float | Variable):
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            item.setflags(write=False)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)


def accepted(function: Any, **options: Any) -> dict[str, Any]:
    """Those options that the function's signature names."""
    names = inspect.signature(function).parameters
    return {key: value for key, value in options.items() if key in names}


def tensor_arguments(layer: Any, call_kwargs: dict[str, Any]) -> list[str]:
    """The keyword arguments that carry tensors, in the order of the signature."""
    order = [n for n in inspect.signature(layer.forward).parameters if n in call_kwargs]
    order += [n for n in call_kwargs if n not in order]
    return [
        name
        for name in order
        if any(is_float(leaf) for leaf in tree.flatten(call_kwargs[name]))
    ]


def forward(
    layer: Any,
    inputs: Arrays,
    *,
    training: bool = False,
    mask: Arrays = None,
    call_kwargs: dict[str, Any] | None = None,
) -> tuple[Arrays, Any]:
    """`layer.forward` with those of `training` and `mask` that it takes."""
    options = {"training": training}
    if mask is not None:
        options["mask"] = mask
    options = accepted(layer.forward, **options)
    return layer.forward(inputs, **(call_kwargs or {}), **options)


@dataclass
class Run:
    """One forward and backward."""

    y: Arrays
    residuals: Any
    dx: Arrays = None
    dkwargs: dict[str, Arrays] = field(default_factory=dict)
    grads: Gradients | None = None


def backward(
    layer: Any,
    run: Run,
    dy: Arrays,
    call_kwargs: dict[str, Any] | None = None,
    need_dx: bool = True,
) -> Run:
    """`layer.backward`, its result split by argument."""
    grads = Gradients(layer.trainable_weights)
    options = accepted(layer.backward, need_dx=need_dx)
    found = layer.backward(dy, run.residuals, grads, **options)
    names = tensor_arguments(layer, call_kwargs or {})
    if not names:
        return Run(run.y, run.residuals, found, {}, grads)
    if not isinstance(found, tuple) or len(found) != 1 + len(names):
        raise AssertionError(
            f"backward of {layer.name} must return a tuple of {1 + len(names)} "
            f"gradients: of its first argument and of {names}. Received: {type(found)}"
        )
    dkwargs = dict(zip(names, found[1:], strict=True))
    return Run(run.y, run.residuals, found[0], dkwargs, grads)


def all_variables(layer: Any) -> list[Any]:
    """`layer.variables`, and the states of a stateful RNN, which no list contains."""
    states = tree.flatten(getattr(layer, "states", None))
    return [*layer.variables, *(s for s in states if hasattr(s, "assign"))]


def state_of(layer: Any) -> list[np.ndarray]:
    """Copies of all variables: weights, moving averages, RNN states, seed states."""
    return [v.numpy() for v in all_variables(layer)]


def set_state(layer: Any, values: list[np.ndarray]) -> None:
    """Writes them back, in the order of `state_of`."""
    for variable, value in zip(all_variables(layer), values, strict=True):
        variable.assign(value)


@contextlib.contextmanager
def preserved(layer: Any) -> Iterator[None]:
    """The layer's variables are afterwards what they were."""
    before = state_of(layer)
    try:
        yield
    finally:
        set_state(layer, before)


def by_name(name: str, structure: Arrays) -> dict[str, np.ndarray]:
    """`{"dx[0]": array, ...}`: the leaves of a structure, None left out."""
    if structure is None:
        return {}
    if isinstance(structure, dict):
        items = [(f"{name}[{key!r}]", structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        items = [(f"{name}[{i}]", item) for i, item in enumerate(structure)]
    else:
        return {name: np.asarray(structure)}
    return {k: v for key, item in items for k, v in by_name(key, item).items()}


def random_like(structure: Arrays, rng: np.random.Generator) -> Arrays:
    """A random cotangent: never all ones, which hides most bugs. None for integers."""

    def one(leaf: Any) -> Any:
        if not is_float(leaf):
            return None
        return np.asarray(rng.standard_normal(leaf.shape), leaf.dtype)

    return frozen(tree.map_structure(one, structure))


def fingerprint(layer: Any) -> dict[str, Any]:
    """All that is stored on a layer, so that a second look shows what changed.

    Variables are left out: `state_of` has them.
    """
    found: dict[str, Any] = {}
    stack: list[tuple[str, Any]] = [(layer.name, layer)]
    seen: set[int] = set()
    while stack:
        path, item = stack.pop()
        if isinstance(item, np.ndarray):
            found[path] = (item.shape, item.dtype.str, item.tobytes())
        elif isinstance(item, dict):
            found[path] = tuple(map(str, item))
            stack += [(f"{path}[{key!r}]", value) for key, value in item.items()]
        elif isinstance(item, list | tuple | set):
            found[path] = len(item)
            stack += [(f"{path}[{i}]", value) for i, value in enumerate(item)]
        elif isinstance(item, int | float | str | bool | None):
            found[path] = item
        elif isinstance(item, Variable) or id(item) in seen:
            continue
        else:
            seen.add(id(item))
            found[path] = id(item)
            if hasattr(item, "forward") and hasattr(item, "__dict__"):
                attributes = sorted(vars(item).items())
                stack += [(f"{path}.{key}", value) for key, value in attributes]
    return found
