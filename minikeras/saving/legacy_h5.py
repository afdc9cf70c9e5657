"""The HDF5 files of Keras 2, which Keras 3 still reads and writes as "legacy".

    attributes                  keras_version, backend, model_config, training_config
    model_weights               attribute layer_names; of a weights-only file, the root
    model_weights/dense         attribute weight_names, in the order of loading
    model_weights/dense/...     one array for each of these names
    optimizer_weights           likewise, for the optimizer

A layer's weights come as `trainable_weights + non_trainable_weights`, nested models
included, and layers are matched by their order, not by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from minikeras.messages import warn
from minikeras.saving import keras2, keras2_optimizers
from minikeras.saving.atomic import atomic_path
from minikeras.saving.audit import audit
from minikeras.saving.contents import Contents
from minikeras.saving.errors import FileRefused, refusing
from minikeras.saving.hdf5 import StoredArray, text_list
from minikeras.serialization import deserialize_keras_object, serialize_keras_object
from minikeras.variables import Variable
from minikeras.version import KERAS_VERSION

_HEADER_LIMIT = 64512  # bytes of one attribute in HDF5
# Theano turned the kernels of these around; files say which backend wrote them.
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")


def _weights(layer: Any) -> list[Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _top_level(model: Any) -> list[Variable]:
    return [*model._trainable_variables, *model._non_trainable_variables]


# --- Reading --------------------------------------------------------------------------


def load_into(
    model: Any, contents: Contents, by_name: bool = False, skip_mismatch: bool = False
) -> set[int]:
    """Loads the weights, all or nothing; returns the ids of the variables.

    Raises:
        FileRefused: if layers or shapes do not fit.
    """
    source, group = contents.source, contents.group
    saved = []
    for name in text_list(group, "layer_names", source):
        saved.append((name, _layer_arrays(contents, group, name)))
    if by_name:
        pairs = _match_by_name(model, saved)
    else:
        pairs = _match_by_order(model, saved, source)
    if "top_level_model_weights" in group:
        arrays = _layer_arrays(contents, group, "top_level_model_weights")
        pairs.append((model, "top_level_model_weights", _top_level(model), arrays))
    flips = contents.is_keras_2 and contents.metadata.get("backend") == "theano"
    planned: list[tuple[Variable, np.ndarray]] = []
    problems: list[str] = []
    for layer, name, variables, arrays in pairs:
        found = _fit(layer, name, variables, arrays, skip_mismatch, problems)
        for variable, stored in found:
            array = stored.read()
            if flips and array.ndim > 2 and type(layer).__name__ in _CONVOLUTIONS:
                array = np.flip(array, axis=tuple(range(array.ndim - 2)))
                _check_theano_padding(layer, array)
            planned.append((variable, array))
    if problems and not skip_mismatch:
        raise FileRefused(
            source,
            f"'{group.name}'",
            f"the weights do not fit {type(model).__name__} '{model.name}'; nothing "
            "was loaded.\n" + "\n".join(problems),
        )
    for problem in problems:
        warn(f"Skipped. {problem}")
    for variable, array in planned:
        variable.assign(array)
    return {id(variable) for variable, _ in planned}


def _check_theano_padding(layer: Any, kernel: np.ndarray) -> None:
    even = any(size % 2 == 0 for size in kernel.shape[:-2])
    if getattr(layer, "padding", None) == "same" and even:
        warn(
            f"{type(layer).__name__} '{layer.name}': with an even kernel Theano put "
            "the odd row of padding='same' on the other side. The results are not "
            "those that it gave."
        )


def _layer_arrays(contents: Contents, group: Any, name: str) -> list[StoredArray]:
    """The arrays of a layer, in the order of its `weight_names`."""
    source = contents.source
    with refusing(source, f"'{group.name}/{name}'", "missing: "):
        layer_group = group[name]
        names = text_list(layer_group, "weight_names", source)
    found = []
    for weight in names:
        path = f"{layer_group.name}/{weight}".strip("/")
        if path not in contents.arrays:
            raise FileRefused(source, f"'{path}'", "the array is missing.")
        found.append(contents.arrays[path])
    return found


def _match_by_order(model: Any, saved: list, source: str) -> list[tuple]:
    layers = [layer for layer in model.layers if _weights(layer)]
    with_weights = [(name, arrays) for name, arrays in saved if arrays]
    if len(layers) != len(with_weights):
        raise FileRefused(
            source,
            "layer_names",
            f"{len(with_weights)} layers with weights: {[n for n, _ in with_weights]}. "
            f"{type(model).__name__} '{model.name}' has {len(layers)}: "
            f"{[layer.name for layer in layers]}",
        )
    return [
        (layer, name, _weights(layer), arrays)
        for layer, (name, arrays) in zip(layers, with_weights, strict=True)
    ]


def _match_by_name(model: Any, saved: list) -> list[tuple]:
    return [
        (layer, name, _weights(layer), arrays)
        for name, arrays in saved
        for layer in model.layers
        if layer.name in (name, name.replace("/", "_"))
    ]


def _fit(
    layer: Any,
    name: str,
    variables: Sequence[Variable],
    arrays: Sequence[StoredArray],
    skip_mismatch: bool,
    problems: list[str],
) -> list[tuple[Variable, StoredArray]]:
    """The pairs whose shapes agree; what does not is added to `problems`."""
    who = f"{type(layer).__name__} '{layer.name}' ('{name}' in the file)"
    if len(variables) != len(arrays):
        problems.append(f"{who} has {len(variables)} weights, the file {len(arrays)}.")
        return []
    found = []
    for variable, stored in zip(variables, arrays, strict=True):
        if variable.shape == stored.shape:
            found.append((variable, stored))
        else:
            problems.append(
                f"{who} expects shape {variable.shape} for '{variable.path}'. "
                f"Received: shape {stored.shape} at {stored.place}"
            )
    return found


def compile_model(model: Any, contents: Contents) -> set[int]:
    """Compiles a loaded model as it was, and loads the optimizer's state.

    Raises:
        FileRefused: if the training configuration names what is not known.
    """
    source, training = contents.source, contents.training_config
    if training is None:
        return set()
    place = "attribute 'training_config'"
    with refusing(source, place, "load with `compile=False`, or: "):
        arguments = _compile_arguments(training, contents.is_keras_2)
    audit({"training_config": arguments}, source, place)
    with refusing(source, place, "load with `compile=False`, or: "):
        made = {k: deserialize_keras_object(v) for k, v in arguments.items()}
        model.compile(**made)
        if model.built:
            model.optimizer.build(model.trainable_variables)
    return _load_optimizer(model, contents)


def _compile_arguments(training: dict[str, Any], is_keras_2: bool) -> dict[str, Any]:
    optimizer = training["optimizer_config"]
    found = {
        "optimizer": optimizer,
        "loss": training.get("loss"),
        "loss_weights": training.get("loss_weights"),
        "metrics": training.get("metrics"),
        "weighted_metrics": training.get("weighted_metrics"),
    }
    # These names have no module in either version: "MeanSquaredError" is two classes.
    found["loss"] = keras2.loss(found["loss"])
    found["metrics"] = keras2.metrics(found["metrics"])
    found["weighted_metrics"] = keras2.metrics(found["weighted_metrics"])
    if is_keras_2:
        found["optimizer"] = keras2.optimizer(optimizer)
    elif isinstance(optimizer, dict):
        found["optimizer"] = {"module": "keras.optimizers", **optimizer}
    return found


def _load_optimizer(model: Any, contents: Contents) -> set[int]:
    variables = list(model.optimizer.variables)
    root = contents.group.file
    if "optimizer_weights" not in root:
        return set()
    group = root["optimizer_weights"]
    names = text_list(group, "weight_names", contents.source)
    stored = _layer_arrays(contents, root, "optimizer_weights")
    if contents.is_keras_2:
        pairs = keras2_optimizers.pairs(model.optimizer, names, stored)
    else:
        pairs = list(zip(variables, stored, strict=len(variables) == len(stored)))
        pairs = pairs if len(variables) == len(stored) else None
    if pairs is None or any(v.shape != s.shape for v, s in pairs):
        warn(
            f"'{contents.source}': the state of optimizer '{model.optimizer.name}' was "
            "not loaded, since its variables are not those in the file. Training goes "
            "on with a new state.",
        )
        return set()
    values = [(variable, array.read()) for variable, array in pairs]
    for variable, array in values:
        variable.assign(array)
    return {id(variable) for variable, _ in values}


# --- Writing --------------------------------------------------------------------------


def write_model(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes a whole model as a legacy HDF5 file, as Keras 3 does."""
    import h5py

    config = serialize_keras_object(model)
    config.pop("compile_config", None)
    model_config = {k: config[k] for k in ("class_name", "config")}
    training = _training_config(model) if include_optimizer else None
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["backend"] = "tensorflow"  # the axes and kernels are its
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["model_config"] = json.dumps(model_config)
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["backend"] = "tensorflow"
        group.attrs["keras_version"] = KERAS_VERSION
        _write_names(group, "layer_names", [layer.name for layer in model.layers])
        for layer in sorted(model.layers, key=lambda layer: layer.name):
            _write_group(group.create_group(layer.name), _weights(layer))
        _write_group(group.create_group("top_level_model_weights"), _top_level(model))
        if training is not None:
            optimizer = file.create_group("optimizer_weights")
            _write_group(optimizer, model.optimizer.variables)


def _write_group(group: Any, variables: Sequence[Variable]) -> None:
    names: dict[str, Variable] = {}
    for variable in variables:
        # NB: Adafactor's have equal names: Keras cannot write them.
        name, count = variable.path, 0
        while name in names:
            count += 1
            name = f"{variable.path}_{count}"
        names[name] = variable
    _write_names(group, "weight_names", list(names))
    for name, variable in names.items():
        group.create_dataset(name, data=variable.numpy())


def _write_names(group: Any, name: str, names: list[str]) -> None:
    """An attribute, cut into `name0`, `name1`, ... if it is too long for HDF5."""
    data = np.array([n.encode("utf-8") for n in names])
    if data.nbytes <= _HEADER_LIMIT:
        group.attrs[name] = data if names else np.zeros(0)
        return
    parts = -(-data.nbytes // (_HEADER_LIMIT - data.itemsize))
    for i, part in enumerate(np.array_split(data, parts)):
        group.attrs[f"{name}{i}"] = part


def _training_config(model: Any) -> dict[str, Any] | None:
    config = model.get_compile_config()
    if not config:
        return None
    optimizer = config.pop("optimizer")
    config["loss"] = _old_form(config.get("loss"), _LONG)
    config["metrics"] = _old_form(config.get("metrics"))
    config["weighted_metrics"] = _old_form(config.get("weighted_metrics"))
    config["optimizer_config"] = {k: optimizer[k] for k in ("class_name", "config")}
    return config


def _old_form(value: Any, longer: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Objects as `{"class_name", "config"}`, functions as their names."""
    if isinstance(value, list):
        return [_old_form(item, longer) for item in value]
    if not isinstance(value, dict):
        return longer.get(value, value) if isinstance(value, str) else value
    if "class_name" not in value:
        return {k: _old_form(v, longer) for k, v in value.items()}
    if value["class_name"] == "function":
        return value["config"]
    return {k: value[k] for k in ("class_name", "config")}


# NB: Keras 3 cannot read its own legacy files with the short names of losses.
_LONG = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}
