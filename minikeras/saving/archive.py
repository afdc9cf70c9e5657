"""`.keras`: a zip with the configuration as JSON and the weights as HDF5."""

from __future__ import annotations

import datetime
import io
import json
import os
import zipfile
from typing import Any

from minikeras.saving.atomic import atomic_path, check_overwrite
from minikeras.saving.weights import read_tree, write_tree
from minikeras.serialization import deserialize_keras_object, serialize_keras_object
from minikeras.version import KERAS_VERSION

_CONFIG = "config.json"
_METADATA = "metadata.json"
_WEIGHTS = "model.weights.h5"
_MAX_CONFIG_BYTES = 256 << 20


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Writes a model to a `.keras` file: architecture, weights, compile state.

    Args:
        model: a built model.
        filepath: path that ends in `.keras`.
        overwrite: whether an existing file may be replaced.
        zipped: True or None; Keras's unzipped folders are not implemented.

    Raises:
        ValueError: for another ending, or an unbuilt model.
    """
    path = os.fspath(filepath)
    kwargs.pop("include_optimizer", None)
    if kwargs.pop("save_format", None) not in (None, "keras") or kwargs:
        raise ValueError(
            "The only format is '.keras'; `save_format` is not needed. Received: "
            f"{kwargs}"
        )
    if zipped is False:
        raise ValueError("`zipped=False` is not implemented in minikeras.")
    if not path.endswith(".keras"):
        raise ValueError(
            "Invalid filepath extension for saving. Please add a `.keras` extension, "
            f"the native Keras format. Received: filepath={filepath}."
        )
    check_overwrite(path, overwrite)
    config = json.dumps(serialize_keras_object(model))
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    weights = _weights_bytes(model)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, config)
        archive.writestr(_WEIGHTS, weights)


def _weights_bytes(model: Any) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write_tree(file, model)
    return buffer.getvalue()


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a model from a `.keras` file. Nothing in the file can run code.

    Args:
        filepath: path of the file.
        custom_objects: your classes and functions, by the names in the file.
        compile: whether to compile it as it was when saved.
        safe_mode: accepted as in Keras; loading is always safe.

    Raises:
        ValueError: if it is not such a file, or its parts do not fit.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise ValueError(
            f"File not found: filepath={filepath}. Please ensure the file is an "
            "accessible `.keras` zip file."
        )
    if not zipfile.is_zipfile(path):
        hint = ""
        if path.endswith((".h5", ".hdf5")):
            hint = " Legacy HDF5 model files are not read yet; convert it with Keras."
        raise ValueError(f"'{path}' is not a '.keras' file: it is not a zip.{hint}")
    with zipfile.ZipFile(path) as archive:
        config = _read_json(archive, _CONFIG, path)
        weights = _read_member(archive, _WEIGHTS, path, os.path.getsize(path))
    if not compile:
        config.pop("compile_config", None)
    model = deserialize_keras_object(config, custom_objects=custom_objects)
    _load_bytes(model, weights, path)
    return model


def _load_bytes(model: Any, weights: bytes, path: str) -> None:
    import h5py

    try:
        file = h5py.File(io.BytesIO(weights), "r")
    except OSError as error:
        raise ValueError(f"'{path}': '{_WEIGHTS}' is damaged: {error}") from error
    with file:
        read_tree(file, model, path)


def _read_json(archive: zipfile.ZipFile, name: str, path: str) -> dict[str, Any]:
    data = _read_member(archive, name, path, _MAX_CONFIG_BYTES)
    try:
        config = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"'{path}': '{name}' is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"'{path}': '{name}' must hold an object.")
    return config


def _read_member(archive: zipfile.ZipFile, name: str, path: str, limit: int) -> bytes:
    """One member, by its exact name, if its declared size is within the limit."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(
            f"'{path}' is not a '.keras' file: it has no '{name}'. Members: "
            f"{archive.namelist()[:10]}"
        ) from None
    # Stored members are no larger than the file; compressed ones get some room.
    allowed = max(limit, 64 * info.compress_size)
    if info.file_size > allowed or info.file_size > (8 << 30):
        raise ValueError(
            f"'{path}': '{name}' would unpack to {info.file_size:,} bytes. Refused."
        )
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"'{path}': '{name}' is damaged: {error}") from error


def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: Any = None,
    **kwargs: Any,
) -> None:
    """Writes the variables of a model (and its optimizer) to a `.weights.h5` file."""
    import h5py

    path = os.fspath(filepath)
    if max_shard_size is not None or path.endswith(".weights.json"):
        raise ValueError("Sharded weights files are not implemented in minikeras.")
    if kwargs:
        raise ValueError(f"Arguments not recognized: {kwargs}")
    if not path.endswith(".weights.h5"):
        raise ValueError(
            f"The filename must end in `.weights.h5`. Received: filepath={filepath}"
        )
    check_overwrite(path, overwrite)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        write_tree(file, model)


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Reads a `.weights.h5` or `.keras` file into a built model, all or nothing."""
    import h5py

    path = os.fspath(filepath)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            weights = _read_member(archive, _WEIGHTS, path, os.path.getsize(path))
        _load_bytes(model, weights, path)
        return
    if not path.endswith(".weights.h5"):
        raise ValueError(
            "The filename must end in `.weights.h5` or `.keras`. Received: "
            f"filepath={filepath}"
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"File not found: filepath={filepath}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"'{path}' is not an HDF5 file: {error}") from error
    with file:
        read_tree(file, model, path, skip_mismatch)
