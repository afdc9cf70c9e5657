"""What `"l2"`, `L2`, `L2(0.1)` and `{"class_name": "L2", ...}` have in common.

The modules with a `get` (initializers, regularizers, constraints) each have a table
from names to classes: the class's own name, in snake case too, and Keras's aliases.
"""

from __future__ import annotations

from typing import Any

from minikeras.naming import to_snake_case
from minikeras.registry import public, suggest

Table = dict[str, type]


def table(module: str, *classes: type, **aliases: type) -> Table:
    """Names to classes; all of them go into the registry under Keras's `module`.

    >>> class OldRidge: pass
    >>> sorted(table("doctest", OldRidge, ridge=OldRidge))
    ['OldRidge', 'old_ridge', 'ridge']
    """
    names: Table = {}
    for cls in classes:
        public(module)(cls)
        names[cls.__name__] = cls
    for cls in classes:
        names[to_snake_case(cls.__name__)] = cls
    names.update(aliases)
    for name, cls in names.items():
        if name != cls.__name__:
            public(module, name)(cls)
    return names


def get(identifier: Any, kind: str, module: str, names: Table) -> Any:
    """The object that an identifier means; None stays None.

    Args:
        identifier: None, a name, a config dict, a class, an instance, or any callable.
        kind: what to call it in errors: `"regularizer"`.
        module: Keras's module name, `"keras.regularizers"`.
        names: the module's table.

    Raises:
        ValueError: if it means nothing; with the nearest name that would.
    """
    if identifier is None:
        return None
    found, cause = identifier, None
    if isinstance(identifier, str):
        found = names.get(identifier) or _custom(identifier)
    elif isinstance(identifier, dict):
        try:
            found = deserialize(identifier, None, module, names)
        except (TypeError, ValueError) as error:
            found, cause = None, error
    if not callable(found):
        name = identifier.get("class_name") if _is_dict(identifier) else identifier
        raise ValueError(
            f"Could not interpret {kind} identifier: {identifier}."
            + suggest(name, names)
            + (f" {cause}" if cause else "")
        ) from cause
    return found() if isinstance(found, type) else found


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None, module: str, names: Table
) -> Any:
    """The object of a config dict, or of a bare name; None stays None.

    Old configs have no module and may use an alias; the module's table knows them.
    """
    from minikeras.serialization import deserialize_keras_object

    if isinstance(config, str):
        config = {"class_name": config, "config": {}}
    if _is_dict(config) and not config.get("module"):
        name = config.get("class_name")
        if isinstance(name, str) and name in names:
            config = {"config": {}, **config, "module": module}
    return deserialize_keras_object(config, custom_objects=custom_objects)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _custom(name: str) -> Any:
    from minikeras.serialization import get_registered_object

    return get_registered_object(name)
