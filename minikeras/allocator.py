"""Asks the C library to keep memory that was freed, for the next training step.

NumPy frees the arrays of a step as it goes, and asks for the same sizes in the next
one. The C library gives large ones back to the system in between, and those of threads
other than the first soonest; then every page of 4 KB has to be handed out and zeroed
anew, half a microsecond each. In a step with helpers that is a tenth of the time, and
more in a perceptron.

Only the C library of GNU has these switches. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import functools
import sys

# From <malloc.h>: numbers of the parameters.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
# Freed memory at the end of a heap is given back when there is so much of it,
_KEPT_BYTES = 1 << 30
# a heap grows by this at least,
_GROWTH_BYTES = 1 << 22
# and larger arrays are given back at once. It is the largest that is allowed.
_LARGEST_BYTES = 1 << 25


@functools.cache
def keep_freed_memory() -> bool:
    """From now on memory that was freed stays with the process.

    Returns:
        Whether the C library could be told.
    """
    library = _c_library()
    if library is None:
        return False
    found = [
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES),
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES),
        library.mallopt(_TOP_PAD, _GROWTH_BYTES),
    ]
    return all(found)


def give_back_memory() -> None:
    """Gives back now what `keep_freed_memory` kept."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    """The C library, if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if known and hasattr(library, "gnu_get_libc_version") else None
