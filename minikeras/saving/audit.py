"""A look over a whole configuration before anything is made from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minikeras import registry
from minikeras.saving import limits
from minikeras.saving.errors import FileRefused
from minikeras.serialization import find_class, find_function, get_registered_object

_NAMES = ("class_name", "module", "registered_name", "name")
_LAMBDA = (
    "a Lambda holds Python code. minikeras never runs code from a file, whatever "
    "`safe_mode` says. Load the model where it was made, put a named layer in its "
    "place, and save it again."
)


def audit(config: Any, source: str, place: str) -> None:
    """Checks depth, size and names, and that every class and function is known.

    Raises:
        FileRefused: for the first thing that is malformed; and for unknown classes and
            functions, with all of them in one error.
    """
    unknown: dict[tuple[str, str], list[str]] = {}
    objects = 0
    for value, path, judged in _walk(config, source, place):
        if not isinstance(value, dict):
            continue
        _check_names(value, source, place, path)
        class_name = value.get("class_name")
        if not isinstance(class_name, str) or "config" not in value:
            continue
        objects += 1
        if objects > limits.CONFIG_OBJECTS:
            raise FileRefused(
                source, place, f"more than {limits.CONFIG_OBJECTS:,} objects."
            )
        if judged and not _is_known(value, class_name, source, place, path):
            kind = "function" if class_name == "function" else "class"
            name = value["config"] if kind == "function" else class_name
            unknown.setdefault((kind, name), []).append(_text(path))
    if unknown:
        raise FileRefused(source, place, _list_unknown(unknown))


Path = tuple  # (path of the parent, key), made into text only for errors


def _text(path: Path) -> str:
    parts: list[str] = []
    while path:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key[:50]}")
    return "".join(reversed(parts)).lstrip(".") or "the top"


def _walk(config: Any, source: str, place: str) -> Iterator[tuple[Any, Path, bool]]:
    """(value, path, whether its classes are ours to judge), depth first."""
    stack: list[tuple[Any, Path, int, bool]] = [(config, (), 0, True)]
    while stack:
        value, path, depth, judged = stack.pop()
        if depth > limits.CONFIG_DEPTH:
            raise FileRefused(
                source,
                place,
                f"nested more than {limits.CONFIG_DEPTH} levels deep, at "
                f"{_text(path)[:200]}...",
            )
        yield value, path, judged
        if isinstance(value, dict):
            judged = judged and not _is_custom(value)
            items: list[tuple[Any, Any]] = list(value.items())
        elif isinstance(value, list):
            items = list(enumerate(value))
        else:
            continue
        stack.extend((v, (path, k), depth + 1, judged) for k, v in reversed(items))


def _is_custom(value: dict[str, Any]) -> bool:
    """A class of the user's: it reads its config as it likes."""
    names = (value.get("registered_name"), value.get("class_name"))
    return any(isinstance(n, str) and get_registered_object(n) for n in names)


def _check_names(value: dict[str, Any], source: str, place: str, path: Path) -> None:
    for key in _NAMES:
        name = value.get(key)
        if isinstance(name, str) and len(name) > limits.NAME_LENGTH:
            where = f"{place}, {_text(path)}"
            raise FileRefused(source, where, f"a '{key}' of {len(name):,} characters.")


def _is_known(
    value: dict[str, Any], class_name: str, source: str, place: str, path: Path
) -> bool:
    where = f"{place}, {_text(path)}"
    if class_name in ("Lambda", "__lambda__"):
        if class_name == "Lambda" and find_class(value) is not None:
            return True
        raise FileRefused(source, where, _LAMBDA)
    if class_name.startswith("__") and class_name.endswith("__"):
        return True  # arrays, slices, ...: checked where they are made
    try:
        if class_name == "function":
            return find_function(value) is not None
        return find_class(value) is not None
    except ValueError as error:
        raise FileRefused(source, where, str(error)) from error


def _list_unknown(unknown: dict[tuple[str, str], list[str]]) -> str:
    lines = ["minikeras does not have everything this model is made of:"]
    for (kind, name), paths in sorted(unknown.items())[:50]:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        hint = registry.suggest(name, registry.names("keras.layers"))
        lines.append(f"  {kind} '{name[:100]}' (at {paths[0]}{more}).{hint}")
    if len(unknown) > 50:
        lines.append(f"  and {len(unknown) - 50} more.")
    places = [path for paths in unknown.values() for path in paths]
    if all(path.startswith(("compile_config", "training_config")) for path in places):
        lines.append("They are needed only for training: load with `compile=False`.")
    lines.append(
        "Pass your own classes and functions in `custom_objects`, or register them "
        "with `@keras.saving.register_keras_serializable()`. For layers of Keras that "
        "are not in minikeras, rebuild the model without them, or use Keras. "
        "`python -m minikeras inspect FILE` shows what is in the file."
    )
    return "\n".join(lines)
