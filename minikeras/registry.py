"""The closed table of classes and functions that a config or a file may name.

A file says `{"module": "keras.layers", "class_name": "Dense"}`. Nothing is ever
imported because a file asks for it: the pair is looked up here, and only what
`@public` put in, or what the user registered, can come out.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

# (module, name) -> object and object -> (module, name); the first entry is the
# canonical name, further ones are Keras's aliases.
_objects: dict[tuple[str, str], Any] = {}
_names: dict[int, tuple[str, str]] = {}


def public(module: str, name: str | None = None) -> Callable[[T], T]:
    """Puts a class or function into the table under Keras's module and name."""

    def add(obj: T) -> T:
        key = (module, name or obj.__name__)  # type: ignore[attr-defined]
        _objects[key] = obj
        _names.setdefault(id(obj), key)
        return obj

    return add


_MODULES = (
    "dtype_policies comparisons activations initializers regularizers constraints "
    "layers models losses metrics optimizers callbacks random saving.keras2 "
    "tensors.creation tensors.elementwise tensors.growing tensors.joining "
    "tensors.network tensors.pairs tensors.products tensors.reductions tensors.shapes"
).split()


@functools.cache
def _load_all() -> None:
    """Our modules register their names when imported; here all are, by fixed names."""
    for module in _MODULES:
        importlib.import_module(f"minikeras.{module}")


def find(module: str | None, name: str) -> Any:
    """The object with this module and name, or None."""
    _load_all()
    return _objects.get((module or "", name))


def find_anywhere(name: str) -> Any:
    """The object with this name in any module (old files omit the module), or None.

    Not the operators: old files mean the layer by `Add`.
    """
    _load_all()
    for (module, candidate), obj in _objects.items():
        if candidate == name and not module.startswith("keras.src.ops"):
            return obj
    return None


def public_name(obj: Any) -> tuple[str, str] | None:
    """(module, name) of an object of ours, or None."""
    return _names.get(id(obj))


def names(module: str) -> list[str]:
    """All names of one module, in the order of definition."""
    _load_all()
    return [name for m, name in _objects if m == module]


def suggest(name: Any, candidates: Iterable[str]) -> str:
    """`" Did you mean 'relu'?"`, or an empty string if nothing is near.

    >>> suggest("rellu", ["relu", "tanh"]), suggest("adma", ["Adamax", "Adam", "adam"])
    (" Did you mean 'relu'?", " Did you mean 'adam'?")
    """
    if not isinstance(name, str) or len(name) > 100:
        return ""
    from minikeras.absent import is_absent

    if is_absent(name):
        return " Keras has it, minikeras does not (yet)."
    by_lower: dict[str, str] = {}
    for candidate in candidates:  # of names that differ by case, one like the given
        if candidate.lower() not in by_lower or candidate.islower() == name.islower():
            by_lower[candidate.lower()] = candidate
    for lower, candidate in by_lower.items():
        if sorted(lower) == sorted(name.lower()):  # letters exchanged
            return f" Did you mean {candidate!r}?"
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
