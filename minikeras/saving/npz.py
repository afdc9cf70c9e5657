"""`.npz`: a zip of `.npy` arrays, read without NumPy's way to pickled objects.

Each member is named `sequential/dense/kernel.npy`. Its header says dtype and shape; the
rest is data, exactly as much as that needs.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minikeras.saving import limits
from minikeras.saving.errors import FileRefused, refusing

_LONGEST_HEADER = 10_000


class NpyArray(NamedTuple):
    """An array in a zip that is open. `read()` gets the data."""

    source: str
    place: str
    archive: zipfile.ZipFile
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Its size when read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """The data, in this computer's byte order.

        Raises:
            FileRefused: if it is damaged.
        """
        with (
            refusing(self.source, self.place, "damaged: "),
            self.archive.open(self.member) as stream,
        ):
            fortran_order, shape, dtype = _read_header(stream)
            # NB: `read()` to the declared size; a longer stream fails its checksum.
            array = np.frombuffer(stream.read(), dtype)
            array = array.reshape(shape, order="F" if fortran_order else "C")
            return array.astype(dtype.newbyteorder("="), order="C")


def write_npz(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Writes the arrays, uncompressed."""
    with path.open("wb") as file:
        np.savez(file, **arrays)


def is_npz(names: list[str]) -> bool:
    """Whether these are the members of an `.npz` file."""
    return all(name.endswith(".npy") for name in names)


def list_npz(
    archive: zipfile.ZipFile, source: str, file_size: int
) -> dict[str, NpyArray]:
    """The arrays of an open zip by name, each checked.

    Raises:
        FileRefused: for pickled objects and other dtypes that are no numbers, headers
            that do not fit the data, names that occur twice, sizes beyond limits.
    """
    found: dict[str, NpyArray] = {}
    infos = archive.infolist()
    if len(infos) > limits.HDF5_OBJECTS:
        raise FileRefused(source, "", "too many arrays.")
    total = 0
    for info in infos:
        name = info.filename.removesuffix(".npy")
        place = f"member '{info.filename[:200]}'"
        if name in found:
            raise FileRefused(source, place, "is there twice.")
        if re.search(r"(^|[/\\])\.\.([/\\]|$)", name) or len(name) > limits.NAME_LENGTH:
            raise FileRefused(source, place, "is no name of an array.")
        total += info.file_size
        if total > limits.unpacked(file_size):
            raise FileRefused(
                source,
                place,
                f"the arrays so far unpack to {total:,} bytes; the file has "
                f"{file_size:,}.",
            )
        with refusing(source, place, "damaged: "):
            found[name] = _check(archive, info, source, place)
    return found


def _check(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str, place: str
) -> NpyArray:
    with archive.open(info) as stream:
        _, shape, dtype = _read_header(stream)
        size = info.file_size - stream.tell()
    if dtype.hasobject:
        raise FileRefused(
            source, place, "holds pickled Python objects, which could run code."
        )
    if dtype.kind not in "biuf":
        raise FileRefused(
            source, place, f"expected an array of numbers. Received: dtype {dtype}"
        )
    declared = math.prod(shape) * dtype.itemsize
    if declared != size:
        raise FileRefused(
            source,
            place,
            f"declares an array of shape {shape} ({declared:,} bytes); there are "
            f"{size:,} bytes of data.",
        )
    return NpyArray(source, place, archive, info.filename, shape, dtype)


def _read_header(stream: Any) -> tuple[bool, tuple[int, ...], np.dtype]:
    """(whether the first axis runs fastest, shape, dtype) of a `.npy` stream."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an .npy of version {version}; 1.0 and 2.0 are read")
    # NB: NumPy reads the whole header before it looks at `max_header_size`.
    width = 2 if version == (1, 0) else 4
    prefix = stream.read(width)
    length = int.from_bytes(prefix, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"an .npy header of {length:,} bytes")
    header = io.BytesIO(prefix + stream.read(length))
    shape, fortran_order, dtype = readers[version](header, _LONGEST_HEADER)
    if any(size < 0 for size in shape) or len(shape) > 32:
        raise ValueError(f"impossible shape {shape}")
    return fortran_order, shape, dtype
