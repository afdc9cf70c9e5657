"""Utilities, under Keras's names. Each is loaded when first used."""

from __future__ import annotations

import importlib
from typing import Any

from minikeras.absent import raise_absent

_NAMES = {
    "CustomObjectScope": "minikeras.serialization",
    "Progbar": "minikeras.utils.progbar",
    "PyDataset": "minikeras.utils.py_dataset",
    "Sequence": "minikeras.utils.py_dataset",
    "clear_session": "minikeras.naming",
    "disable_interactive_logging": "minikeras.config",
    "enable_interactive_logging": "minikeras.config",
    "is_interactive_logging_enabled": "minikeras.config",
    "custom_object_scope": "minikeras.serialization",
    "deserialize_keras_object": "minikeras.serialization",
    "get_custom_objects": "minikeras.serialization",
    "get_registered_name": "minikeras.serialization",
    "get_registered_object": "minikeras.serialization",
    "gradcheck": "minikeras.utils.gradient_checker",
    "is_keras_tensor": "minikeras.symbolic",
    "normalize": "minikeras.utils.numerical",
    "pad_sequences": "minikeras.utils.sequence",
    "plot_model": "minikeras.utils.model_visualization",
    "split_dataset": "minikeras.utils.example_dataset",
    "timeseries_dataset_from_array": "minikeras.utils.example_dataset",
    "pack_x_y_sample_weight": "minikeras.utils.data_tuples",
    "register_keras_serializable": "minikeras.serialization",
    "serialize_keras_object": "minikeras.serialization",
    "set_random_seed": "minikeras.random",
    "standardize_dtype": "minikeras.variables",
    "to_categorical": "minikeras.utils.numerical",
    "unpack_x_y_sample_weight": "minikeras.utils.data_tuples",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise_absent("utils", name, _NAMES)
    module = importlib.import_module(_NAMES[name])
    if name == "Sequence":
        return module.PyDataset
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
