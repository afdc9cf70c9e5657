"""Running an elementwise update in pieces that fit in the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minikeras.threads import current_pool
from minikeras.variables import Variable

# Elements per piece: 6 float32 arrays of this size are 768 KB, about half an L2 cache.
BLOCK = 32768
# The same where threads share the pieces. After every ufunc a thread must get Python's
# lock back from the other, so each should have something to do, cache or no cache.
SHARED_BLOCK = 131072

Piece = Callable[[], None]


def in_blocks(step: Callable[..., None], *arrays: Any, **scalars: Any) -> None:
    """Calls `step(*arrays, **scalars)`, for large arrays piece by piece.

    An update reads and writes every array a few times. In one go, each of its ufuncs
    would fetch the whole array from main memory again; in pieces, only the first does.
    In `fit` the pieces are shared among its threads. The step is elementwise, so the
    result is the same to the last bit.

    Args:
        step: changes some of its arrays in place, element by element.
        arrays: Variables (their storage is passed on), arrays of the same shape, or
            None, passed on as it is.
        scalars: passed on.
    """
    run(pieces(step, *arrays, **scalars))


def run(work: list[Piece]) -> None:
    """Does all pieces, on the threads there are."""
    pool = current_pool()
    if pool is None or len(work) < 2:
        for piece in work:
            piece()
    else:
        pool.map(lambda piece: piece(), work)


def pieces(step: Callable[..., None], *arrays: Any, **scalars: Any) -> list[Piece]:
    """What `in_blocks` does, in calls that may be done in any order."""
    storage = [a._array if isinstance(a, Variable) else a for a in arrays]
    present = [a for a in storage if a is not None]
    size = present[0].size
    if present[0].ndim and (
        size <= BLOCK or not all(a.flags.c_contiguous for a in present)
    ):
        return [lambda: step(*storage, **scalars)]
    flat = [None if a is None else a.reshape(-1) for a in storage]  # views

    def piece(start: int, stop: int) -> Piece:
        part = slice(start, stop)
        return lambda: step(*[None if a is None else a[part] for a in flat], **scalars)

    length = _length(size)
    return [piece(i, i + length) for i in range(0, size, length)]


def _length(size: int) -> int:
    """How long to make the pieces of so many elements."""
    pool = current_pool()
    if pool is None or pool.size == 1 or size <= SHARED_BLOCK:
        return BLOCK
    return math.ceil(size / math.ceil(size / SHARED_BLOCK))  # of equal lengths
