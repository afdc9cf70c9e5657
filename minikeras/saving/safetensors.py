"""The safetensors format: 8 bytes of length, a JSON header, then the arrays' bytes.

    {"dense/kernel": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}, ...}

Offsets count from the end of the header. The arrays lie one after another without gaps,
so nothing can be hidden between them. `__metadata__` maps texts to texts. The format is
described at https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minikeras.saving import limits
from minikeras.saving.errors import FileRefused, refusing
from minikeras.saving.json_text import parse_object

METADATA = "__metadata__"
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32; NumPy has no such type
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(text): name for name, text in _DTYPES.items() if name != "BF16"}


class Tensor(NamedTuple):
    """An array in a file. `read()` gets the data."""

    source: str
    place: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    stored: int

    @property
    def dtype(self) -> np.dtype:
        """Of what `read()` gives."""
        text = "float32" if self.kind == "BF16" else _DTYPES[self.kind]
        return np.dtype(text).newbyteorder("=")

    @property
    def nbytes(self) -> int:
        """Its size when read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """The data; bfloat16 as float32, which holds the same numbers.

        Raises:
            FileRefused: if the file has changed since it was opened.
        """
        with refusing(self.source, self.place), open(self.source, "rb") as file:
            file.seek(self.begin)
            data = file.read(self.stored)
            array = np.frombuffer(data, _DTYPES[self.kind]).reshape(self.shape)
            if self.kind == "BF16":
                return (array.astype("uint32") << 16).view("float32")
            if self.kind == "BOOL" and array.view("u1").max(initial=0) > 1:
                raise ValueError("a boolean that is neither 0 nor 1")
            return array.astype(self.dtype)


def write_safetensors(
    arrays: Mapping[str, np.ndarray], path: Path, metadata: Mapping[str, str]
) -> None:
    """Writes the arrays, wide dtypes first, so that each is aligned.

    Raises:
        ValueError: for a dtype that the format does not have.
    """
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in _NAMES:
            raise ValueError(f"safetensors has no dtype {array.dtype} (of '{name}').")
    places: dict[str, list[int]] = {}
    position = 0
    ordered = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    for name in ordered:
        places[name] = [position, position + arrays[name].nbytes]
        position += arrays[name].nbytes
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    for name, array in arrays.items():
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": places[name],
        }
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in ordered:
            little = arrays[name].dtype.newbyteorder("<")
            file.write(np.ascontiguousarray(arrays[name], little).tobytes())


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of this size that begins so can be one.

    Args:
        start: its first 9 bytes or more.
        size: of the file.
    """
    length = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= length <= size - 8


def list_safetensors(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The arrays of a file by name, each checked, and the metadata.

    Raises:
        FileRefused: for a header that is damaged or too long, unknown dtypes and keys,
            and for data that overlap, leave gaps, or are more or less than declared.
    """
    size = os.path.getsize(path)
    with refusing(path, "the header"), open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(limits.CONFIG_BYTES, size - 8):
            raise ValueError(
                f"a header of {length:,} bytes. The file has {size:,}, and at most "
                f"{limits.CONFIG_BYTES:,} are read."
            )
        header = parse_object(file.read(length), path, "the header")
        if len(header) > limits.HDF5_OBJECTS:
            raise ValueError("too many arrays")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or any(
        not isinstance(value, str) for value in metadata.values()
    ):
        raise FileRefused(path, METADATA, "expected texts by name.")
    found = {}
    for name, entry in header.items():
        place = f"'{name[:200]}'"
        with refusing(path, place):
            if len(name) > limits.NAME_LENGTH:
                raise ValueError(f"a name of {len(name):,} characters")
            found[name] = _check(path, place, entry, 8 + length)
    _check_layout(path, found, 8 + length, size)
    return found, metadata


def _check(path: str, place: str, entry: Any, base: int) -> Tensor:
    """The array that one entry of the header describes."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError("expected 'dtype', 'shape' and 'data_offsets'")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise ValueError(
            f"dtype {str(kind)[:50]!r} is not read; {', '.join(_DTYPES)} are"
        )
    for numbers, what in ((shape, "shape"), (offsets, "data_offsets")):
        if not isinstance(numbers, list) or any(
            type(n) is not int or not 0 <= n < 2**62 for n in numbers
        ):
            raise ValueError(f"expected '{what}' to be a list of sizes")
    if len(shape) > 32 or len(offsets) != 2:
        raise ValueError("expected at most 32 axes and 2 offsets")
    begin, end = offsets
    needed = math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize
    if end - begin != needed:
        raise ValueError(
            f"declares an array of shape {tuple(shape)} ({needed:,} bytes); its "
            f"offsets span {end - begin:,} bytes"
        )
    return Tensor(path, place, kind, tuple(shape), base + begin, needed)


def _check_layout(path: str, found: dict[str, Tensor], base: int, size: int) -> None:
    """Each array begins where the last one ended, up to the end of the file."""
    position = base
    for tensor in sorted(found.values(), key=lambda t: (t.begin, t.stored)):
        if tensor.begin != position:
            problem = "overlaps another array" if tensor.begin < position else "a gap"
            raise FileRefused(path, tensor.place, f"{problem} before its data.")
        position += tensor.stored
    if position != size:
        raise FileRefused(
            path,
            "",
            f"the arrays end at byte {position:,}, the file at {size:,}: it is cut "
            "off, or something is hidden in it.",
        )
