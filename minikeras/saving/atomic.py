"""Writing files so that a crash never damages the old one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(filepath: str | os.PathLike) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the place of `filepath` at the end.

    Until the new content is complete and on the disk, `filepath` is untouched. If the
    block raises, the temporary file is removed.
    """
    target = Path(filepath)
    if target.is_dir():
        raise ValueError(f"Cannot write the file '{target}': a folder is in its place.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write '{target}': the folder '{target.parent}' does not exist."
        )
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_overwrite(filepath: str | os.PathLike, overwrite: bool) -> None:
    """Refuses to replace an existing file unless told to.

    NB: Keras asks at the keyboard; a library should not.
    """
    if not overwrite and Path(filepath).exists():
        raise FileExistsError(
            f"The file '{filepath}' exists. Pass `overwrite=True` to replace it."
        )
