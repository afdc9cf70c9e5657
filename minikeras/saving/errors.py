"""How a file is refused: one kind of error, which names the file and the place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LONGEST = 3000


class FileRefused(ValueError):
    """A file that cannot be read, or must not be.

    Args:
        source: the file.
        place: where in it: a member of the zip, a path in the HDF5, a layer.
        problem: what was expected and what is there.
    """

    def __init__(self, source: str, place: str, problem: str):
        at = f" at {place}" if place else ""
        super().__init__(shorten(f"'{source}'{at}: {problem}"))
        self.source = source
        self.place = place


@contextmanager
def refusing(source: str, place: str, what: str = "") -> Iterator[None]:
    """Turns whatever goes wrong inside into a `FileRefused` for this file and place.

    Only for code that handles what a file says: there, an IndexError or an
    OverflowError means that the file is wrong.
    """
    try:
        yield
    except (FileRefused, Warning):  # warnings are errors in some programs
        raise
    except RecursionError as error:
        raise FileRefused(source, place, "nested too deep") from error
    except Exception as error:
        inside = " > ".join(getattr(error, "places", ()))
        where = f"{place} in {inside}" if inside else place
        name = type(error).__name__
        kind = "" if isinstance(error, ValueError | TypeError) else f"{name}: "
        raise FileRefused(source, where, f"{what}{kind}{error}") from error


def visible(value: Any) -> Any:
    r"""Text that moves no cursor: what cannot be seen is written as an escape.

    A name in a file may hold the codes by which a terminal is told to do things. Lists
    and dicts are gone through; all else stays as it is.

    >>> print(visible("a\x1b[31mb"))
    a\x1b[31mb
    """
    if isinstance(value, str):
        if value.isprintable():
            return value
        seen = (c.isprintable() or c in "\n\t" for c in value)
        return "".join(
            c if ok else c.encode("unicode_escape").decode()
            for c, ok in zip(value, seen, strict=True)
        )
    if isinstance(value, dict):
        return {visible(key): visible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [visible(item) for item in value]
    return value


def shorten(text: str) -> str:
    """The text, without the middle if it is very long: files can hold anything."""
    text = visible(text)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
