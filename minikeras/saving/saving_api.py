"""save_model, load_model, save_weights, load_weights: which format, by the name."""

from __future__ import annotations

import errno
import os
from typing import Any

from minikeras.messages import warn
from minikeras.saving import legacy_h5
from minikeras.saving.archive import write_keras, write_shards, write_weights
from minikeras.saving.atomic import check_overwrite
from minikeras.saving.building import build_model
from minikeras.saving.contents import open_contents
from minikeras.saving.errors import FileRefused, refusing
from minikeras.saving.named import ENDINGS, load_named, write_named
from minikeras.saving.weights import read_tree


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Writes a model: architecture, weights, compile state, optimizer state.

    Args:
        model: a built model.
        filepath: path that ends in `.keras`, or for the older format in `.h5` or
            `.hdf5`.
        overwrite: whether an existing file may be replaced.
        zipped: True or None; Keras's unzipped folders are not implemented.
        include_optimizer: for `.h5` only: whether the compile state is written.

    Raises:
        ValueError: for another ending.
        OSError: if the file cannot be written; an old one is then unchanged.
    """
    path = os.fspath(filepath)
    legacy = path.endswith((".h5", ".hdf5"))
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs.pop("save_format", None) not in (None, "keras", "h5") or kwargs:
        raise ValueError(
            "The format follows from the name of the file; `save_format` is not "
            f"needed. Received: {kwargs}"
        )
    if zipped is False:
        raise ValueError("`zipped=False` is not implemented in minikeras.")
    if not legacy and not path.endswith(".keras"):
        raise ValueError(
            "Invalid filepath extension for saving. Please add a `.keras` extension, "
            "the native Keras format (or `.h5`, the legacy one). Received: "
            f"filepath={filepath}."
        )
    check_overwrite(path, overwrite)
    if hasattr(model, "built") and not model.built:
        warn(
            "You are saving a model that has not yet been built. It might not contain "
            "any weights yet. Consider building the model first by calling it on some "
            "data."
        )
    if legacy:
        legacy_h5.write_model(model, path, include_optimizer)
    else:
        write_keras(model, path)


def load_model(
    filepath: Any,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a model from a `.keras` or legacy `.h5` file. Nothing in it can run code.

    Args:
        filepath: path of the file. Its content tells the format, not its name.
        custom_objects: your classes and functions, by the names in the file.
        compile: whether to compile it as it was when saved.
        safe_mode: accepted as in Keras; loading is always safe.

    Raises:
        FileNotFoundError: if there is no such `.h5` file.
        ValueError: if it is not such a file, or its parts do not fit. The error names
            the file and the place in it; no model is left half loaded. NB: and, as in
            Keras, if there is no such file of another name.
    """
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise _not_found(path)
    with open_contents(path) as contents:
        return build_model(contents, custom_objects, compile)


def _not_found(path: str) -> Exception:
    """NB: in Keras the type of the error depends on the ending."""
    if path.endswith((".h5", ".hdf5")):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if path.endswith(".keras"):
        return ValueError(
            f"File not found: filepath={path}. Please ensure the file is an accessible "
            "`.keras` zip file."
        )
    return ValueError(
        f"File format not supported: filepath={path}. There is no such file, and its "
        "name does not end in `.keras`, or `.h5` for a legacy file."
    )


def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Writes the variables of a model and its optimizer.

    Args:
        model: a built model.
        filepath: path that ends in `.weights.h5`; with `max_shard_size`, in
            `.weights.json`. Or in `.npz` or `.safetensors`, for other programs: the
            weights by the paths of their variables, without optimizer state.
        overwrite: whether an existing file may be replaced.
        max_shard_size: in GB. The weights are then cut into several files.
    """
    path = os.fspath(filepath)
    if kwargs:
        raise ValueError(f"Arguments not recognized: {kwargs}")
    if max_shard_size is None and not path.endswith((".weights.h5", *ENDINGS)):
        raise ValueError(
            "The filename must end in `.weights.h5` (or in `.npz` or `.safetensors`). "
            f"Received: filepath={filepath}"
        )
    if max_shard_size is not None and not path.endswith(".weights.json"):
        raise ValueError(
            "The filename must end in `.weights.json` when `max_shard_size` is "
            f"specified. Received: filepath={filepath}"
        )
    check_overwrite(path, overwrite)
    if path.endswith(ENDINGS):
        write_named(model, path)
    elif max_shard_size is None:
        write_weights(model, path)
    else:
        write_shards(model, path, max_shard_size)


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Reads the weights of a file into a built model, all or nothing.

    Args:
        model: a built model.
        filepath: `.weights.h5`, `.weights.json`, `.keras`, a legacy `.h5`, `.npz` or
            `.safetensors`.
        skip_mismatch: warn about what does not fit, and load the rest.
        by_name: legacy `.h5` only: match layers by name and not by order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a file, or does not fit; nothing is changed then.
    """
    path = os.fspath(filepath)
    by_name = kwargs.pop("by_name", None)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    new = (".weights.h5", ".weights.json", ".keras", *ENDINGS)
    if not path.endswith((*new, ".h5", ".hdf5")):
        raise ValueError(
            "The filename must end in `.weights.h5`, `.weights.json`, `.keras`, `.h5`, "
            f"`.npz` or `.safetensors`. Received: filepath={filepath}"
        )
    if by_name is not None and path.endswith(new):
        raise ValueError(
            "`by_name` only supports loading legacy '.h5' or '.hdf5' files. Received: "
            f"{filepath}"
        )
    with open_contents(path) as contents:
        if contents.format == "architecture":
            raise FileRefused(path, "", "holds an architecture and no weights.")
        with refusing(path, "the weights"):
            if contents.group is not None:
                legacy_h5.load_into(model, contents, bool(by_name), skip_mismatch)
                return
            if contents.format in ("npz", "safetensors"):
                load_named(model, contents, skip_mismatch)
                return
            read_tree(contents.arrays, model, path, skip_mismatch)
