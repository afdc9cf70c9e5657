"""Nested lists, tuples and dicts of tensors, as Keras's models take and return them.

The leaves of a dict come in the order of its sorted keys, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return isinstance(structure, list | tuple | dict)


def flatten(structure: Any) -> list[Any]:
    """The leaves from left to right. None is a leaf.

    >>> flatten({"b": [1, 2], "a": (3,)})
    [3, 1, 2]
    """
    if isinstance(structure, dict):
        return [leaf for k in sorted(structure) for leaf in flatten(structure[k])]
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Applies `function` leaf by leaf; the result has the first one's structure."""
    first = structures[0]
    if isinstance(first, dict):
        return type(first)(
            {k: map_structure(function, *(s[k] for s in structures)) for k in first}
        )
    if isinstance(first, list | tuple):
        items = [
            map_structure(function, *group) for group in zip(*structures, strict=True)
        ]
        if hasattr(first, "_fields"):
            return type(first)(*items)
        return type(first)(items)
    return function(*structures)


def pack_sequence_as(structure: Any, flat: list[Any]) -> Any:
    """The inverse of `flatten`: the leaves `flat`, arranged as `structure`.

    >>> pack_sequence_as({"b": [0, 0], "a": (0,)}, [3, 1, 2])
    {'b': [1, 2], 'a': (3,)}
    """
    leaves = iter(flat)

    def pack(part: Any) -> Any:
        if isinstance(part, dict):
            packed = {key: pack(part[key]) for key in sorted(part)}
            return type(part)({key: packed[key] for key in part})
        if isinstance(part, list | tuple):
            items = [pack(item) for item in part]
            return type(part)(*items) if hasattr(part, "_fields") else type(part)(items)
        return next(leaves)

    return pack(structure)


def same_structure(a: Any, b: Any) -> bool:
    """Whether both nest in the same way (lists and tuples are told apart)."""
    if isinstance(a, dict) or isinstance(b, dict):
        return (
            isinstance(a, dict)
            and isinstance(b, dict)
            and sorted(a) == sorted(b)
            and all(same_structure(a[k], b[k]) for k in a)
        )
    if is_nested(a) or is_nested(b):
        return (
            is_nested(a)
            and is_nested(b)
            and len(a) == len(b)
            and all(same_structure(x, y) for x, y in zip(a, b, strict=True))
        )
    return True
