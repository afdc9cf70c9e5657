"""Writing files: `.keras`, `.weights.h5`, and weights in several files."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from minikeras.saving.atomic import atomic_path, replace_together
from minikeras.saving.contents import CONFIG, METADATA, WEIGHTS
from minikeras.saving.weights import collect, write_tree
from minikeras.serialization import serialize_keras_object
from minikeras.version import KERAS_VERSION


def write_keras(model: Any, path: str) -> None:
    """Writes a `.keras` file: architecture, weights, compile and optimizer state."""
    import h5py

    config = json.dumps(serialize_keras_object(model))
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write_tree(file, model)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(METADATA, json.dumps(metadata))
        archive.writestr(CONFIG, config)
        archive.writestr(WEIGHTS, buffer.getvalue())


def write_weights(model: Any, path: str) -> None:
    """Writes a `.weights.h5` file."""
    import h5py

    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        write_tree(file, model)


def write_shards(model: Any, path: str, max_shard_size: float) -> None:
    """Writes a `.weights.json` index and its `_00000.weights.h5`, ... files.

    Args:
        model: the model.
        path: of the index.
        max_shard_size: largest size of the arrays in one file, in GB.

    Raises:
        ValueError: if one array is larger than that.
    """
    import h5py

    shards, total = _cut(collect(model), max_shard_size)
    target = Path(path)
    base = target.name.removesuffix(".json").removesuffix(".weights")
    names = [f"{base}_{i:05}.weights.h5" for i in range(len(shards))]
    index = {
        "metadata": {"total_size": float(total)},
        "weight_map": _files_of_groups(names, shards),
    }
    with replace_together(target, [target.with_name(n) for n in names]) as temporary:
        for file_path, arrays in zip(temporary[1:], shards, strict=True):
            with h5py.File(file_path, "w") as file:
                for place, array in arrays.items():
                    file.create_dataset(place, data=array)
        temporary[0].write_text(json.dumps(index, indent=4), encoding="utf-8")


def _cut(
    arrays: dict[str, np.ndarray], max_shard_size: float
) -> tuple[list[dict[str, np.ndarray]], int]:
    """The arrays in groups that are not larger, and the bytes of all together."""
    limit = float(max_shard_size) * 1024**3
    shards: list[dict[str, np.ndarray]] = [{}]
    size = total = 0
    for place, array in arrays.items():
        if array.nbytes > limit:
            raise ValueError(
                f"'{place}' has {array.nbytes:,} bytes, more than `max_shard_size` "
                f"allows: {limit:,.0f} bytes ({max_shard_size} GB)."
            )
        size += array.nbytes
        total += array.nbytes
        if size > limit:
            shards.append({})
            size = array.nbytes
        shards[-1][place] = array
    return shards, total


def _files_of_groups(
    names: list[str], shards: list[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Which file, or files, hold the arrays of each group."""
    where: dict[str, Any] = {}
    for name, arrays in zip(names, shards, strict=True):
        for place in arrays:
            group = "/" + place.rpartition("/")[0]
            if group not in where:
                where[group] = name
                continue
            # NB: Keras writes a text for one array, and a list from the second on.
            if isinstance(where[group], str):
                where[group] = [where[group]]
            if name not in where[group]:
                where[group].append(name)
    return where
