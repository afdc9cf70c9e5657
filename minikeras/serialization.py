"""Objects as plain JSON-able dicts, in Keras's form, and back.

    {"module": "keras.layers", "class_name": "Dense", "config": {...},
     "registered_name": None}

Reading looks names up in the closed registry and in what the user registered; nothing
is imported, evaluated or unpickled because a config says so.
"""

from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np

from minikeras import registry
from minikeras.custom_objects import (
    CustomObjectScope,
    custom_name,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
]

# A config nested deeper than this is refused: no model is, and recursion has an end.
_MAX_DEPTH = 100
_local = threading.local()


def serialize_keras_object(obj: Any) -> Any:
    """Plain values for `obj`: None, numbers, strings, lists, dicts.

    Raises:
        TypeError: for an object that has no such form.
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return _plain_number(obj)
    if isinstance(obj, bytes):
        value = {"value": obj.decode("utf-8")}
        return {"class_name": "__bytes__", "config": value}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if isinstance(obj, list | tuple):
        return type(obj)([serialize_keras_object(item) for item in obj])
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, slice):
        bounds = {k: getattr(obj, k) for k in ("start", "stop", "step")}
        return {
            "class_name": "__slice__",
            "config": {k: serialize_keras_object(v) for k, v in bounds.items()},
        }
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.dtype) or (
        isinstance(obj, type) and issubclass(obj, np.generic)
    ):
        return np.dtype(obj).name
    return _serialize_object(obj)


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):  # np.float64 is a float
        return value.item()
    return value


def _serialize_object(obj: Any) -> dict[str, Any]:
    from minikeras.symbolic import KerasTensor

    if isinstance(obj, KerasTensor):
        operation, node_index, tensor_index = obj._keras_history
        config: dict[str, Any] = {"shape": list(obj.shape), "dtype": obj.dtype}
        if operation is not None:
            config["keras_history"] = [operation.name, node_index, tensor_index]
        return {"class_name": "__keras_tensor__", "config": config}
    is_plain_function = not hasattr(obj, "get_config")
    if is_plain_function:
        return _serialize_function(obj)
    cls = type(obj)
    known = registry.public_name(cls)
    custom = custom_name(cls)
    config = serialize_dict(obj.get_config())
    result: dict[str, Any] = {
        "module": known[0] if known else getattr(cls, "__module__", None),
        "class_name": known[1] if known else cls.__name__,
        "config": config,
        # NB: Keras repeats the name for classes outside its public modules.
        "registered_name": None
        if known and not known[0].startswith("keras.src")
        else (custom or cls.__name__),
    }
    build_config = getattr(obj, "get_build_config", lambda: None)()
    if build_config is not None:
        result["build_config"] = serialize_dict(build_config)
    compile_config = getattr(obj, "get_compile_config", lambda: None)()
    if compile_config is not None:
        result["compile_config"] = serialize_dict(compile_config)
    return result


def _serialize_function(obj: Any) -> dict[str, Any]:
    name = getattr(obj, "__name__", None)
    if name is None or not callable(obj):
        raise TypeError(
            f"Cannot serialize object {obj} of type {type(obj)}. To be serializable, a "
            "class must implement the `get_config()` method."
        )
    if name == "<lambda>":
        raise ValueError(
            "A lambda cannot be serialized: a file holds data, never code. Define a "
            "named function and register it with `register_keras_serializable`."
        )
    known = registry.public_name(obj)
    return {
        "module": "builtins",  # NB: Keras says so of its own functions, too
        "class_name": "function",
        "config": known[1] if known else (custom_name(obj) or name),
        "registered_name": "function",
    }


def serialize_dict(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config, serialized. Tuples become lists, as in Keras's JSON."""
    return {key: _serialize_value(value) for key, value in config.items()}


def _serialize_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_serialize_value(item) for item in value]
    if isinstance(value, list):
        return [_serialize_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _serialize_value(item) for key, item in value.items()}
    return serialize_keras_object(value)


def deserialize_keras_object(
    config: Any,
    custom_objects: dict[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """The object that `config` describes.

    Args:
        config: what `serialize_keras_object` returned, or a plain value.
        custom_objects: `{name: class or function}` that `config` may name too.
        safe_mode: accepted as in Keras. Nothing in a config can run code here, with
            or without it.

    Raises:
        TypeError: for a class that is not known; ValueError for a malformed config.
    """
    kwargs.pop("module_objects", None)
    if kwargs:
        raise ValueError(f"Invalid keyword argument(s): {list(kwargs)}")
    depth = getattr(_local, "depth", 0)  # of the object whose config names this one
    with custom_object_scope(custom_objects or {}):
        try:
            return _deserialize(config, depth)
        except RecursionError:
            if depth:
                raise
            raise ValueError("The config is nested too deep.") from None


def _deserialize(config: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError(f"The config is nested more than {_MAX_DEPTH} levels deep.")
    if isinstance(config, list | tuple):
        return [_deserialize(item, depth + 1) for item in config]
    if not isinstance(config, dict):
        return config
    class_name = config.get("class_name")
    if not isinstance(class_name, str) or "config" not in config:
        return {key: _deserialize(value, depth + 1) for key, value in config.items()}
    if class_name.startswith("__") and class_name.endswith("__"):
        return _deserialize_builtin(class_name, config, depth)
    if class_name == "function":
        return _find_function(config)
    return _instantiate(class_name, config, depth)


def _deserialize_builtin(class_name: str, config: dict[str, Any], depth: int) -> Any:
    inner = config.get("config", {})
    if class_name == "__bytes__":
        value = inner.get("value") if isinstance(inner, dict) else None
        if not isinstance(value, str):
            raise ValueError(f"Expected bytes as text. Received: {config!r}")
        return value.encode("utf-8")
    if class_name in ("__numpy__", "__tensor__"):
        dtype = np.dtype(inner["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"Expected an array of numbers. Received: dtype={dtype}")
        return np.array(inner["value"], dtype=dtype)
    if class_name == "__slice__":
        return slice(inner.get("start"), inner.get("stop"), inner.get("step"))
    if class_name == "__ellipsis__":
        return Ellipsis
    if class_name == "__keras_tensor__":
        from minikeras.symbolic import KerasTensor

        return KerasTensor(tuple(inner["shape"]), dtype=inner["dtype"])
    if class_name == "__lambda__":
        raise ValueError(
            "Requested the deserialization of a Python lambda. minikeras never runs "
            "code from a config; there is no option that makes it. Register the "
            "function under a name instead."
        )
    raise ValueError(f"Unknown builtin class in config: {class_name!r}")


def find_function(config: dict[str, Any]) -> Any:
    """The function that `{"class_name": "function", ...}` names, or None.

    Only functions: a config that calls a class a function is wrong.
    """
    name = config["config"]
    if not isinstance(name, str):
        raise ValueError(f"The name of a function must be a string. Received: {name!r}")
    registered = config.get("registered_name")
    custom = get_registered_object(registered) if isinstance(registered, str) else None
    custom = custom or get_registered_object(name)
    if custom is not None:
        return custom
    found = registry.find(_module(config), name)
    if found is None and config.get("module") == "builtins":
        found = registry.find_anywhere(name)  # NB: Keras says so of any function
    return None if isinstance(found, type) else found


def _find_function(config: dict[str, Any]) -> Any:
    found = find_function(config)
    if found is None:
        raise TypeError(_unknown("function", config["config"], config.get("module")))
    return found


def _module(config: dict[str, Any]) -> str | None:
    """The public module; files written by some Keras versions name private ones."""
    module = config.get("module")
    if isinstance(module, str) and module.startswith("keras.src."):
        found = re.match(r"keras\.src\.(\w+)", module)
        kind = found.group(1) if found else ""
        if kind == "models":
            return "keras.models"
        if module.startswith("keras.src.optimizers.schedules"):
            return "keras.optimizers.schedules"
        return f"keras.{kind}"
    return module


def find_class(config: dict[str, Any]) -> Any:
    """The class that a config names, from the registry or the user, or None."""
    class_name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    for key, value in (("module", module), ("registered_name", registered)):
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"The {key} of a class must be a string. Received: {value!r}"
            )
    cls = get_registered_object(registered or "") or get_registered_object(class_name)
    if cls is not None:
        return cls
    public = _module(config)
    cls = registry.find(module, class_name) or registry.find(public, class_name)
    if cls is None and public in (None, "keras", "keras.models", "keras.layers"):
        # Old files leave the module out where a layer is meant.
        cls = registry.find("keras.layers", class_name)
        cls = cls or registry.find_anywhere(class_name)
    return cls if isinstance(cls, type) else None


def _instantiate(class_name: str, config: dict[str, Any], depth: int) -> Any:
    outside, _local.depth = getattr(_local, "depth", 0), depth + 1
    try:
        return _make(class_name, config)
    except Exception as error:
        # Where in the config: read by `saving.errors` for its message.
        name = config["config"].get("name") if _is_dict(config["config"]) else None
        here = f"{class_name} '{name}'" if isinstance(name, str) else class_name
        error.places = [here, *getattr(error, "places", ())]  # type: ignore
        raise
    finally:
        _local.depth = outside


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _make(class_name: str, config: dict[str, Any]) -> Any:
    cls = find_class(config)
    if cls is None:
        raise TypeError(_unknown("class", class_name, config.get("module")))
    inner = config["config"]
    if not isinstance(inner, dict):
        raise ValueError(
            f"The config of class '{class_name}' must be a dict. Received: {inner!r}"
        )
    from_config = getattr(cls, "from_config", None)
    if from_config is None:
        raise TypeError(
            f"Unable to reconstruct an instance of '{class_name}' because the class is "
            "missing a `from_config()` method."
        )
    instance = from_config(inner)
    build_config = config.get("build_config")
    if build_config and hasattr(instance, "build_from_config") and not instance.built:
        instance.build_from_config(build_config)
    compile_config = config.get("compile_config")
    if compile_config and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(compile_config)
    return instance


def _unknown(kind: str, name: str, module: Any) -> str:
    hint = ""
    if isinstance(module, str) and module.startswith("keras"):
        hint = registry.suggest(name, registry.names(module))
        hint = hint or " minikeras does not have it."
    return (
        f"Could not locate {kind} '{name}' (module {module!r}).{hint} A custom {kind} "
        "must be passed in `custom_objects` or decorated with "
        "`@keras.saving.register_keras_serializable()`."
    )
