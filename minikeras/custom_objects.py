"""What users registered: classes and functions that configs and files may name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_custom_objects: dict[str, Any] = {}
_custom_names: dict[int, str] = {}
_local = threading.local()


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorator: lets configs and files name your class or function.

    Args:
        package: part of the registered name, `"package>name"`.
        name: defaults to the object's own name.

    Raises:
        ValueError: for a class without `get_config`.
    """

    def decorator(obj: Any) -> Any:
        registered = f"{package}>{name or obj.__name__}"
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method. "
                f"Received: {obj.__name__}"
            )
        _custom_objects[registered] = obj
        _custom_names[id(obj)] = registered
        return obj

    return decorator


def get_registered_name(obj: Any) -> str:
    """`"package>name"` if registered, else the object's own name."""
    return _custom_names.get(id(obj), getattr(obj, "__name__", str(obj)))


def get_registered_object(
    name: str, custom_objects: dict | None = None, module_objects: dict | None = None
) -> Any:
    """The object registered under `name`, or None."""
    for table in (
        _scope(),
        custom_objects or {},
        _custom_objects,
        module_objects or {},
    ):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The live table of what was registered."""
    return _custom_objects


def _scope() -> dict[str, Any]:
    return getattr(_local, "scope", {})


@contextmanager
def custom_object_scope(*custom_objects: dict[str, Any]) -> Iterator[None]:
    """Within it, configs may name the given classes: `{"MyLayer": MyLayer}`."""
    previous = _scope()
    merged = dict(previous)
    for table in custom_objects:
        merged.update(table)
    _local.scope = merged
    try:
        yield
    finally:
        _local.scope = previous


CustomObjectScope = custom_object_scope


def custom_name(obj: Any) -> str | None:
    """The registered name of `obj`, or None."""
    return _custom_names.get(id(obj))
