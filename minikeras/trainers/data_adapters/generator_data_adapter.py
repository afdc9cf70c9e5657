"""Batches from a Python generator."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from typing import Any

from minikeras.trainers.data_adapters import batch_checks
from minikeras.trainers.data_adapters.data_adapter import DataAdapter


class GeneratorDataAdapter(DataAdapter):
    """Hands on what a generator yields: tuples `(x,)`, `(x, y)`, `(x, y, weight)`.

    NB: as Keras does, two batches are taken out of the generator at once, to look at
    them, and every pass begins with these two. So after a generator has run dry, the
    next epoch is trained on its first two batches again.
    """

    def __init__(self, generator: Generator):
        self._generator = generator
        self._first = list(itertools.islice(generator, batch_checks.PEEKED_BATCHES))
        if not self._first:
            raise ValueError(
                "When passing a Python generator to a Keras model, the generator must "
                "yield at least one batch. Received: an empty generator."
            )
        first = self._first[0]
        if not isinstance(first, tuple):
            raise ValueError(
                "When passing a Python generator to a Keras model, the generator must "
                "return a tuple, either (input,) or (inputs, targets) or (inputs, "
                f"targets, sample_weights). Received: {str(first)[:100]} of type "
                f"{type(first)}"
            )
        batch_checks.check_alike([batch_checks.to_numpy(b) for b in self._first])

    def batches(self) -> Iterator[Any]:
        """The first two batches, then the rest of the generator."""
        for batch in itertools.chain(self._first, self._generator):
            yield batch_checks.to_numpy(batch)
