"""Which examples of a batch this thread computes, for those who have to know.

The trainer may cut a batch into micro-batches (see `trainers/micro_batches.py`). Nearly
all of a model need not know: an example's outputs depend on that example alone. Two
things do belong to the whole batch:

- random numbers: example 5 of the batch gets the same dropout mask in whichever
  micro-batch it is, so the seeds are dealt out once per step, and each micro-batch
  begins at its own place in the stream;
- the batch size by which activity penalties are divided.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_thread = threading.local()


class Draws:
    """The pairs of seeds of one step, each dealt out once, used by every micro-batch.

    The k-th time a micro-batch asks a generator it gets the k-th pair of the step,
    whichever micro-batch came to it first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[int, list[Any]] = {}

    def pair(self, generator: Any, k: int, draw: Callable[[], Any]) -> Any:
        """The k-th pair of a generator; `draw` moves the generator on."""
        with self._lock:
            pairs = self._pairs.setdefault(id(generator), [])
            if k == len(pairs):
                pairs.append(draw())
            return pairs[k]


class MicroBatch:
    """The examples `start .. stop` of a batch of `total`."""

    def __init__(self, start: int, stop: int, total: int, draws: Draws):
        self.start = start
        self.rows = stop - start
        self.total = total
        self._draws = draws
        self._asked: dict[int, int] = {}

    def pair(self, generator: Any, draw: Callable[[], Any]) -> Any:
        """The pair this call of `generator.next` gives in every micro-batch."""
        k = self._asked.get(id(generator), 0)
        self._asked[id(generator)] = k + 1
        return self._draws.pair(generator, k, draw)

    def offset(self, shape: tuple[int, ...]) -> int:
        """Where in the stream of the whole batch an array of this shape begins."""
        if shape and shape[0] == self.rows:
            return self.start * math.prod(shape[1:])
        if shape and shape[0] == 1:
            return 0  # the same for all examples
        raise ValueError(
            f"A layer drew random numbers of shape {shape} for {self.rows} examples of "
            "a larger batch, so these do not belong to one example each. Set "
            "`couples_examples = True` in the class of the layer."
        )


@contextmanager
def computing(part: MicroBatch) -> Iterator[None]:
    """Within it this thread computes `part` of a batch."""
    before = current()
    _thread.part = part
    try:
        yield
    finally:
        _thread.part = before


def current() -> MicroBatch | None:
    """The part this thread computes; None where batches are not cut."""
    return getattr(_thread, "part", None)


def batch_size(y: Any) -> int:
    """How many examples are in the batch that `y` belongs to; at least 1."""
    part = current()
    if part is not None and len(y) == part.rows:
        return part.total
    return max(len(y), 1)
