"""Reading HDF5 without trusting it.

HDF5 can point elsewhere (soft, external and virtual links, data kept in other files),
loop, declare arrays that are not there, and unpack a kilobyte to a gigabyte. All arrays
of a file are listed first, and everything that is not a plain array inside the file is
refused; only then is data read, one array at a time, in the shape that was asked for.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minikeras.saving import limits
from minikeras.saving.errors import FileRefused, refusing

_DEFLATE, _SHUFFLE = 1, 2
_HEAP = b"GCOL\x01"  # begins a global heap


class StoredArray(NamedTuple):
    """An array in a file that is open. `read()` gets the data."""

    source: str
    place: str
    dataset: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.dataset.shape)

    @property
    def dtype(self) -> np.dtype:
        """Its dtype."""
        return self.dataset.dtype

    @property
    def nbytes(self) -> int:
        """Its size when read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """The data.

        Raises:
            FileRefused: if it is damaged.
        """
        with refusing(self.source, self.place, "damaged: "):
            if _filters(self.dataset):
                return _read_chunks(self.dataset)
            return np.asarray(self.dataset[()])


@contextmanager
def open_hdf5(content: str | bytes, source: str, place: str = "") -> Iterator[Any]:
    """An `h5py.File` for reading, of a path or of bytes.

    Raises:
        FileRefused: if it is not HDF5.
    """
    import h5py

    with refusing(source, place, "not a readable HDF5 file: "):
        _check_heaps(content)
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        file = h5py.File(stream, "r")
    try:
        yield file
    finally:
        file.close()


def _check_heaps(content: str | bytes) -> None:
    """Walks the heaps in which HDF5 keeps texts, as the HDF5 library will.

    The library does not come back from a heap that holds a free piece of size zero.
    """
    if isinstance(content, bytes):
        return _walk_heaps(content)
    with open(content, "rb") as file:
        if os.path.getsize(content):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _walk_heaps(data)


def _walk_heaps(data: Any) -> None:
    start = data.find(_HEAP)
    while start >= 0:
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        position = start + 16
        while position + 16 <= min(end, len(data)):
            index = int.from_bytes(data[position : position + 2], "little")
            size = int.from_bytes(data[position + 8 : position + 16], "little")
            # A text has a header of 16 bytes and is padded to 8; free space is counted
            # with its header.
            step = 16 + size + -size % 8 if index else size
            if step < 16 or position + step > end:
                raise ValueError(f"damaged: a broken heap at byte {start:,}")
            position += step
        start = data.find(_HEAP, start + 1)


def list_arrays(file: Any, source: str, file_size: int) -> dict[str, StoredArray]:
    """All arrays of a file by path, after checking each of them and all links.

    Raises:
        FileRefused: for anything that is not a plain numeric array or a group, for
            loops, and for arrays that are larger than the data there is.
    """
    import h5py

    found: dict[str, StoredArray] = {}
    seen: set[int] = set()
    total = 0
    waiting: list[tuple[str, Any]] = [("", file)]
    while waiting:
        path, group = waiting.pop()
        with refusing(source, f"'{path or '/'}'"):
            address = h5py.h5o.get_info(group.id).addr
            names = list(group)
        if address in seen:
            raise FileRefused(source, f"'{path}'", "a group that contains itself.")
        seen.add(address)
        if len(seen) + len(found) + len(names) > limits.HDF5_OBJECTS:
            raise FileRefused(source, f"'{path}'", "too many groups and arrays.")
        children = []
        for name in names:
            place = f"{path}/{name}" if path else name
            child = _child(group, name, source, place)
            if isinstance(child, h5py.Group):
                children.append((place, child))
                continue
            found[place] = StoredArray(source, f"'{place}'", child)
            with refusing(source, f"'{place}'"):
                total += _check_array(child, source, place, file_size)
            if total > limits.unpacked(file_size):
                raise FileRefused(
                    source,
                    f"'{place}'",
                    f"the arrays so far declare {total:,} bytes; the file has "
                    f"{file_size:,}.",
                )
        waiting.extend(reversed(children))
    return found


def _child(group: Any, name: str, source: str, place: str) -> Any:
    import h5py

    with refusing(source, f"'{place}'"):
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = type(link).__name__
            raise FileRefused(
                source, f"'{place}'", f"a {kind}; links are not followed."
            )
        child = group[name]
    if not isinstance(child, h5py.Group | h5py.Dataset):
        raise FileRefused(source, f"'{place}'", "expected a group or an array.")
    return child


def _check_array(dataset: Any, source: str, place: str, file_size: int) -> int:
    """The declared bytes of an array whose data are all here."""

    def refuse(problem: str) -> FileRefused:
        return FileRefused(source, f"'{place}'", problem)

    if dataset.external is not None:
        raise refuse("its data are kept in another file; that is not read.")
    if dataset.is_virtual:
        raise refuse("a virtual array, made of other files; those are not read.")
    if dataset.shape is None:
        raise refuse("an empty dataset without a shape.")
    if dataset.dtype.kind not in "biuf":
        raise refuse(f"expected an array of numbers. Received: dtype {dataset.dtype}")
    nbytes = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    filters = _filters(dataset)
    unknown = set(filters) - {_DEFLATE, _SHUFFLE}
    if unknown:
        raise refuse(f"compressed with filter {sorted(unknown)}; only gzip is read.")
    room = limits.RATIO * stored if filters else stored
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
    if nbytes > room or stored > file_size or chunk > max(2 * nbytes, 1 << 20):
        raise refuse(
            f"declares an array of shape {dataset.shape} ({nbytes:,} bytes), more than "
            f"the {stored:,} bytes of data there are."
        )
    return nbytes


def _filters(dataset: Any) -> list[int]:
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]


def _read_chunks(dataset: Any) -> np.ndarray:
    """Unpacks chunk by chunk, none to more than its size: HDF5 itself has no bound."""
    filters = _filters(dataset)
    itemsize = dataset.dtype.itemsize
    size = math.prod(dataset.chunks) * itemsize
    result = np.zeros(dataset.shape, dataset.dtype)
    for i in range(dataset.id.get_num_chunks()):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        skipped, data = dataset.id.read_direct_chunk(offset)
        for position in reversed(range(len(filters))):
            if skipped >> position & 1:
                continue
            if filters[position] == _DEFLATE:
                data = zlib.decompressobj().decompress(data, size + 1)
            else:  # shuffle: all first bytes, then all second bytes, ...
                data = np.frombuffer(data, "u1").reshape(itemsize, -1).T.tobytes()
        if len(data) != size:
            raise ValueError(f"a chunk of {len(data):,} bytes instead of {size:,}")
        chunk = np.frombuffer(data, dataset.dtype).reshape(dataset.chunks)
        place = tuple(slice(o, o + n) for o, n in zip(offset, chunk.shape, strict=True))
        target = result[place]
        target[...] = chunk[tuple(slice(n) for n in target.shape)]
    return result


def attribute(group: Any, name: str, source: str) -> Any:
    """An attribute as Python text, a list of texts, or an array; None if absent.

    Raises:
        FileRefused: if it is damaged or not UTF-8.
    """
    with refusing(source, f"'{group.name}', attribute '{name}'"):
        if name not in group.attrs:
            return None
        value = group.attrs[name]
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
            return [v.decode("utf-8") if isinstance(v, bytes) else v for v in value]
        if isinstance(value, np.ndarray) and value.dtype.kind == "U":
            return value.tolist()
        return value


def text_list(group: Any, name: str, source: str) -> list[str]:
    """A list of names, which Keras cuts into `name0`, `name1`, ... if it is long.

    Raises:
        FileRefused: if it is not a list of texts.
    """
    whole = attribute(group, name, source)
    parts = [] if whole is None else [whole]
    while whole is None:
        part = attribute(group, f"{name}{len(parts)}", source)
        if part is None:
            break
        parts.append(part)
    names: list[str] = []
    for part in parts:
        values = part.tolist() if isinstance(part, np.ndarray) else part
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise FileRefused(
                source,
                f"'{group.name}', attribute '{name}'",
                f"expected a list of names. Received: {part!r}",
            )
        names.extend(values)
    return names


def file_size(path: str) -> int:
    """The size of a file on disk."""
    return os.path.getsize(path)
