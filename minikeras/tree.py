"""Nested lists, tuples and dicts of tensors, as Keras's models take and return them.

The leaves of a dict come in the order of its sorted keys, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikeras.absent import getattr_for

_COUNT = "The structure has {} leaves. Received: {}"


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
    if not structures:
        raise ValueError("Must provide at least one structure")
    if len(structures) > 1:
        for other in structures[1:]:
            assert_same_structure(structures[0], other)
    return _map(function, structures)


def _map(function: Callable[..., Any], structures: tuple) -> Any:
    first = structures[0]
    if isinstance(first, dict):
        return type(first)(
            {k: _map(function, tuple(s[k] for s in structures)) for k in first}
        )
    if isinstance(first, list | tuple):
        items = [_map(function, group) for group in zip(*structures, strict=True)]
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
        for leaf in leaves:
            return leaf
        raise ValueError(_COUNT.format(len(flatten(structure)), len(flat)))

    packed = pack(structure)
    for _ in leaves:
        raise ValueError(_COUNT.format(len(flatten(structure)), len(flat)))
    return packed


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """Pairs (path, leaf); the path holds the keys and positions that lead to the leaf.

    >>> flatten_with_path({"b": [1, 2], "a": 3})
    [(('a',), 3), (('b', 0), 1), (('b', 1), 2)]
    """
    if isinstance(structure, dict):
        items = [(key, structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        items = list(enumerate(structure))
    else:
        return [((), structure)]
    return [
        ((key, *path), leaf)
        for key, item in items
        for path, leaf in flatten_with_path(item)
    ]


def lists_to_tuples(structure: Any) -> Any:
    """The same with tuples in the place of lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    if isinstance(structure, dict):
        return type(structure)({k: lists_to_tuples(v) for k, v in structure.items()})
    if isinstance(structure, list | tuple):
        items = tuple(lists_to_tuples(item) for item in structure)
        return type(structure)(*items) if hasattr(structure, "_fields") else items
    return structure


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Refuses structures that nest differently; leaves may be anything.

    Args:
        a, b: the structures.
        check_types: has no effect, as in Keras: types of containers always count.

    Raises:
        ValueError: a list is not a tuple, keys or lengths differ, or a leaf stands in
            the place of a container.
    """
    kind = _kind(a)
    if kind is None:
        if is_nested(b):
            raise ValueError(f"Expected a leaf. Received: {b!r}")
        return
    if _kind(b) is not kind:
        raise ValueError(f"Expected an instance of {kind.__name__}, got {b!r}.")
    if kind is dict:
        if set(a) != set(b):
            raise ValueError(
                f"dictionary key mismatch; expected key(s): {list(a)}, got key(s): "
                f"{list(b)}"
            )
        pairs = [(a[key], b[key]) for key in a]
    elif len(a) != len(b):
        raise ValueError(
            f"{kind.__name__} arity mismatch; expected: {len(a)}, got: {len(b)}; "
            f"{kind.__name__}: {b!r}."
        )
    else:
        pairs = list(zip(a, b, strict=True))
    for x, y in pairs:
        assert_same_structure(x, y)


def _kind(structure: Any) -> type | None:
    """What must agree: dict, list, tuple or the class of a named tuple."""
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)
    for kind in (dict, list, tuple):
        if isinstance(structure, kind):
            return kind
    return None


def same_structure(a: Any, b: Any) -> bool:
    """Whether both nest in the same way; a list is as good as a tuple here."""
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


__all__ = [
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_structure",
    "pack_sequence_as",
]

__getattr__ = getattr_for("tree", __all__)
