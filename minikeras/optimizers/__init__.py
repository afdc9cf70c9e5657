"""Optimizers: `keras.optimizers`."""

from __future__ import annotations

from typing import Any

from minikeras import registry
from minikeras.absent import getattr_for
from minikeras.optimizers import schedules
from minikeras.optimizers.adadelta import Adadelta
from minikeras.optimizers.adafactor import Adafactor
from minikeras.optimizers.adagrad import Adagrad
from minikeras.optimizers.adam import Adam
from minikeras.optimizers.adamax import Adamax
from minikeras.optimizers.adamw import AdamW
from minikeras.optimizers.ftrl import Ftrl
from minikeras.optimizers.lamb import Lamb
from minikeras.optimizers.lion import Lion
from minikeras.optimizers.muon import Muon
from minikeras.optimizers.nadam import Nadam
from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.rmsprop import RMSprop
from minikeras.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from minikeras.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer as a plain dict, in Keras's form."""
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` described.

    The case of a built-in class's name does not matter, and its `module` may be
    missing.

    >>> deserialize({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum
    0.5
    """
    from minikeras.serialization import deserialize_keras_object

    by_lower = {name.lower(): name for name in registry.names("keras.optimizers")}
    name = config["class_name"]
    if isinstance(name, str) and name.lower() in by_lower:
        name = by_lower[name.lower()]
        config = {**config, "module": "keras.optimizers", "class_name": name}
    return deserialize_keras_object(config, custom_objects=custom_objects)


def get(identifier: Any) -> Optimizer | None:
    """An optimizer from its name, its config, or itself.

    >>> get("adam").name
    'adam'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    found = identifier
    if isinstance(identifier, str):
        identifier = {"class_name": identifier, "config": {}}
        found = deserialize(identifier) if _is_known(identifier) else found
    elif isinstance(identifier, dict) and _is_known(identifier):
        found = deserialize(identifier)
    if isinstance(found, Optimizer):
        return found
    hint = registry.suggest(found, registry.names("keras.optimizers"))
    if isinstance(found, type):
        hint = f" That is a class. Did you mean `{found.__name__}()`?"
    raise ValueError(f"Could not interpret optimizer identifier: {found}.{hint}")


def _is_known(config: dict[str, Any]) -> bool:
    """Whether it names a class of ours, or one that the user registered."""
    from minikeras.serialization import get_registered_object

    name, registered = str(config.get("class_name")), config.get("registered_name")
    built_in = {known.lower() for known in registry.names("keras.optimizers")}
    custom = get_registered_object(name) or get_registered_object(str(registered))
    return name.lower() in built_in or custom is not None


__getattr__ = getattr_for("optimizers", __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
