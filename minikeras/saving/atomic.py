"""Writing files so that a crash never damages the old one."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def atomic_path(filepath: str | os.PathLike) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the place of `filepath` at the end.

    Until the new content is complete and on the disk, `filepath` is untouched. A link
    is followed, and the permissions of the old file stay. If the block raises, the
    temporary file is removed. If the process is killed, a file named `.NAME.*.tmp` may
    be left.

    Raises:
        ValueError: if a folder is in the file's place.
        FileNotFoundError: if the folder does not exist.
        OSError: if the folder cannot be written to, or the disk is full.
    """
    target = _followed(Path(filepath))
    temporary = _make_temporary(target)
    try:
        yield temporary
        _finish(temporary, target)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except (OSError, RuntimeError) as error:
        raise _explained(error, target) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_together(index: Path, others: list[Path]) -> Iterator[list[Path]]:
    """Temporary paths for `[index, *others]`, which belong together.

    The index is what readers open. It is taken away before the other files change and
    put in place after them: a crash in between leaves no index, never a wrong one.
    """
    with ExitStack() as stack:
        temporary = []
        for target in [index, *others]:
            path = _make_temporary(target)
            stack.callback(path.unlink, missing_ok=True)
            temporary.append(path)
        try:
            yield temporary
            for path, target in zip(temporary, [index, *others], strict=True):
                _finish(path, target)
            index.unlink(missing_ok=True)
            for path, target in zip(temporary[1:], others, strict=True):
                os.replace(path, target)
            os.replace(temporary[0], index)
            _sync_folder(index.parent)
        except (OSError, RuntimeError) as error:
            raise _explained(error, index) from error


def _make_temporary(target: Path) -> Path:
    if target.is_dir():
        raise ValueError(f"Cannot write the file '{target}': a folder is in its place.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write '{target}': the folder '{target.parent}' does not exist."
        )
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"
        )
    except OSError as error:
        raise _explained(error, target) from error
    os.close(handle)
    return Path(name)


def _followed(path: Path) -> Path:
    """Where a link leads to: the link itself is not replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _finish(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    # mkstemp makes private files
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
    os.chmod(temporary, mode)


def _sync_folder(folder: Path) -> None:
    """Makes the new name itself outlive a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems cannot
        pass
    finally:
        os.close(handle)


def _explained(error: OSError | RuntimeError, target: Path) -> Exception:
    """The same kind of error, which says what is still whole."""
    if isinstance(error, RuntimeError):
        # h5py's word for a disk that is full: "... (errno = 28, error message = ...)"
        found = re.search(r"errno = (\d+)", str(error))
        if found is None:
            return error
        error = OSError(int(found[1]), os.strerror(int(found[1])))
    state = "The old file is unchanged." if target.exists() else "There is no file."
    reason = error.strerror or str(error)
    message = f"Cannot write '{target}': {reason}. {state}"
    if error.errno is None:
        return type(error)(message)
    return OSError(error.errno, message)  # Python picks PermissionError and the like


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
