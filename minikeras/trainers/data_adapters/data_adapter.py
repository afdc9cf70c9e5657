"""The interface between a kind of data and the loop over its batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class DataAdapter:
    """Yields batches. `fit(x)` also takes an instance of a subclass of your own."""

    @property
    def num_batches(self) -> int | None:
        """Batches per epoch, or None if that shows only when they run out."""
        return None

    def batches(self) -> Iterator[Any]:
        """A new pass over the data.

        Yields:
            `(x,)`, `(x, y)` or `(x, y, sample_weight)`, of NumPy arrays.
        """
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, and once before the first."""
