"""Running an elementwise update in pieces that fit in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikeras.threads import current_pool
from minikeras.variables import Variable

# Elements per piece: 6 float32 arrays of this size are 768 KB, about one L2 cache.
BLOCK = 32768
# Pieces that a thread takes at a time; fewer, and handing them out shows.
BLOCKS_PER_THREAD = 4


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
    storage = [a._array if isinstance(a, Variable) else a for a in arrays]
    present = [a for a in storage if a is not None]
    size = present[0].size
    if present[0].ndim and (
        size <= BLOCK or not all(a.flags.c_contiguous for a in present)
    ):
        step(*storage, **scalars)
        return
    flat = [None if a is None else a.reshape(-1) for a in storage]  # views

    def run(start: int) -> None:
        for begin in range(start, min(start + BLOCKS_PER_THREAD * BLOCK, size), BLOCK):
            piece = slice(begin, begin + BLOCK)
            step(*[None if a is None else a[piece] for a in flat], **scalars)

    starts = range(0, size, BLOCKS_PER_THREAD * BLOCK)
    pool = current_pool()
    if pool is None:
        for start in starts:
            run(start)
    else:
        pool.map(run, starts)
