"""What is in a file: configuration and arrays, checked, before anything is made.

`.keras`           a zip: config.json, model.weights.h5, metadata.json
`.weights.h5`      HDF5: the tree that weights.py describes
`.weights.json`    the same tree in several HDF5 files, and which array is in which
`.h5`, `.hdf5`     the older HDF5 of legacy_h5.py, with or without a configuration
`.npz`             a zip of arrays by name, see npz.py
`.safetensors`     arrays by name, see safetensors.py
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from minikeras.saving import limits
from minikeras.saving.errors import FileRefused, refusing
from minikeras.saving.hdf5 import StoredArray, attribute, list_arrays, open_hdf5
from minikeras.saving.json_text import parse_object
from minikeras.saving.npz import NpyArray, is_npz, list_npz
from minikeras.saving.safetensors import Tensor, is_safetensors, list_safetensors

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"

_SHARD = re.compile(r"[^/\\\0]+_\d{5}\.weights\.h5")


@dataclass
class Contents:
    """An open file.

    Attributes:
        source: its path.
        format: `"keras"`, `"weights"`, `"sharded weights"`, `"legacy model"`,
            `"legacy weights"`, `"npz"`, `"safetensors"` or `"architecture"`.
        size: bytes on disk.
        arrays: by path.
        config: the model's configuration as it is in the file, or None.
        training_config: that of `compile` in a legacy model, or None.
        keras_version: of the Keras that wrote it, `""` if unknown.
        metadata: what else the file says of itself.
        group: the group that holds the layers of a legacy file.
    """

    source: str
    format: str
    size: int
    arrays: Mapping[str, StoredArray | NpyArray | Tensor]
    config: dict[str, Any] | None = None
    training_config: dict[str, Any] | None = None
    keras_version: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    group: Any = None

    @property
    def nbytes(self) -> int:
        """The size of all arrays when read."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def is_keras_2(self) -> bool:
        """Whether a Keras before 3 wrote it."""
        return self.keras_version.startswith(("0.", "1.", "2."))


@contextmanager
def open_contents(path: str) -> Iterator[Contents]:
    """Opens any of the formats; what it is follows from what is in it.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        FileRefused: if it is none of them, or damaged, or not safe to read.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"File not found: '{path}'")
    if not os.path.isfile(path):
        raise FileRefused(path, "", "not a file, but a folder or a device.")
    with ExitStack() as stack:
        with refusing(path, "", "cannot be read: "):
            contents = _open(path, stack)
        yield contents


def _open(path: str, stack: ExitStack) -> Contents:
    if path.endswith(".json"):
        return _open_json(path, stack)
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _open_h5(path, stack)
    if zipfile.is_zipfile(path):
        return _open_zip(path, stack)
    size = os.path.getsize(path)
    if is_safetensors(start, size) or path.endswith(".safetensors"):
        tensors, metadata = list_safetensors(path)
        version = metadata.get("keras_version", "")[:50]
        return Contents(
            path,
            "safetensors",
            size,
            tensors,
            keras_version=version,
            metadata=metadata,
        )
    raise FileRefused(
        path,
        "",
        "neither a zip ('.keras', '.npz') nor HDF5 ('.weights.h5', '.h5') nor "
        "safetensors. It is damaged, cut off, or another kind of file.",
    )


# --- `.keras` and `.npz` --------------------------------------------------------------


def _open_zip(path: str, stack: ExitStack) -> Contents:
    size = os.path.getsize(path)
    with refusing(path, "", "damaged zip: "):
        archive = stack.enter_context(zipfile.ZipFile(path))
    names = archive.namelist()
    if (names or path.endswith(".npz")) and is_npz(names):
        return Contents(path, "npz", size, list_npz(archive, path, size))
    return _open_keras(archive, path, size, stack)


def _open_keras(
    archive: zipfile.ZipFile, path: str, size: int, stack: ExitStack
) -> Contents:
    _check_members(archive, path)
    config = parse_object(read_member(archive, CONFIG, path), path, CONFIG)
    metadata = {}
    if METADATA in archive.namelist():
        data = read_member(archive, METADATA, path)
        metadata = parse_object(data, path, METADATA)
    weights = read_member(archive, WEIGHTS, path)
    file = stack.enter_context(open_hdf5(weights, path, WEIGHTS))
    return Contents(
        source=path,
        format="keras",
        size=size,
        arrays=list_arrays(file, path, len(weights)),
        config=config,
        keras_version=str(metadata.get("keras_version", ""))[:50],
        metadata=metadata,
    )


def _check_members(archive: zipfile.ZipFile, path: str) -> None:
    names = archive.namelist()
    for name in names:
        parts = re.split(r"[/\\]", name)
        if name.startswith(("/", "\\")) or ".." in parts or ":" in name:
            raise FileRefused(path, f"member {name[:200]!r}", "leads out of the zip.")
    for name in (CONFIG, METADATA, WEIGHTS):
        if names.count(name) > 1:
            raise FileRefused(path, f"member '{name}'", "is there twice.")
    missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
    if "model.weights.npz" in names and WEIGHTS in missing:
        raise FileRefused(
            path, "model.weights.npz", "weights as .npz are not read; only HDF5 is."
        )
    if missing:
        raise FileRefused(
            path, "", f"not a '.keras' file: no {missing} among {names[:10]}."
        )


def read_member(archive: zipfile.ZipFile, name: str, path: str) -> bytes:
    """One member, by its exact name, if its declared size is within the limits.

    Raises:
        FileRefused: if it is too large, encrypted or damaged.
    """
    info = archive.getinfo(name)
    allowed = limits.unpacked(info.compress_size)
    if name != WEIGHTS:
        allowed = min(allowed, limits.CONFIG_BYTES)
    if info.file_size > allowed:
        raise FileRefused(
            path,
            name,
            f"would unpack from {info.compress_size:,} to {info.file_size:,} bytes. At "
            f"most {allowed:,} are read.",
        )
    with refusing(path, name, "damaged: "), archive.open(info) as member:
        # NB: `read()` to the declared size; a longer stream then fails its checksum.
        return member.read()


# --- HDF5 -----------------------------------------------------------------------------


def _open_h5(path: str, stack: ExitStack) -> Contents:
    size = os.path.getsize(path)
    file = stack.enter_context(open_hdf5(path, path))
    arrays = list_arrays(file, path, size)
    group = file
    if "model_weights" in file and "layer_names" not in file.attrs:
        group = file["model_weights"]
    version = attribute(file, "keras_version", path)
    version = version or attribute(group, "keras_version", path)
    found = Contents(
        path, "weights", size, arrays, keras_version=str(version or "")[:50]
    )
    names = set(group.attrs)
    if not {"layer_names", "layer_names0"} & names:
        return found
    found.group = group
    found.format = "legacy weights"
    found.metadata = {"backend": attribute(file, "backend", path)}
    found.metadata["backend"] = found.metadata["backend"] or attribute(
        group, "backend", path
    )
    for key in ("model_config", "training_config"):
        text = attribute(file, key, path)
        if text is None:
            continue
        if not isinstance(text, str):
            raise FileRefused(path, f"attribute '{key}'", "expected a text.")
        setattr(
            found,
            "config" if key == "model_config" else key,
            parse_object(text, path, f"attribute '{key}'"),
        )
        found.format = "legacy model"
    return found


def _open_json(path: str, stack: ExitStack) -> Contents:
    size = os.path.getsize(path)
    with refusing(path, ""), open(path, "rb") as file:
        index = parse_object(file.read(limits.CONFIG_BYTES + 1), path, "the index")
    if "class_name" in index and "weight_map" not in index:
        version = str(index.get("keras_version", ""))[:50]
        return Contents(path, "architecture", size, {}, index, keras_version=version)
    where = index.get("weight_map")
    if not isinstance(where, dict):
        raise FileRefused(path, "weight_map", "expected an object.")
    shards: dict[str, set[str]] = {}
    for group, names in where.items():
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str) or not _SHARD.fullmatch(name):
                raise FileRefused(
                    path,
                    f"weight_map, '{group[:200]}'",
                    "expected a file in the same folder, named like "
                    f"'model_00000.weights.h5'. Received: {str(name)[:200]!r}",
                )
            shards.setdefault(name, set()).add(group.strip("/"))
    arrays: dict[str, StoredArray] = {}
    found = Contents(path, "sharded weights", size, arrays)
    for name, groups in sorted(shards.items()):
        shard = os.path.join(os.path.dirname(path), name)
        if not os.path.isfile(shard):
            raise FileRefused(path, "weight_map", f"the file '{name}' is missing.")
        found.size += os.path.getsize(shard)
        file = stack.enter_context(open_hdf5(shard, shard))
        for place, array in list_arrays(file, shard, os.path.getsize(shard)).items():
            if place.rpartition("/")[0] not in groups:
                continue
            if place in arrays:
                raise FileRefused(path, f"'{place}'", "is in two of the files.")
            arrays[place] = array
    return found
