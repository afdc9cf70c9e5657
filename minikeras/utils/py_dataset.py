"""PyDataset: data that is made batch by batch, by your own code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from minikeras.messages import Checked, warn

_DEFAULTS = {"_workers": 1, "_use_multiprocessing": False, "_max_queue_size": 10}


class PyDataset(Checked):
    """Base class of datasets that `fit`, `evaluate` and `predict` ask for batches.

    Override `__getitem__(index)`, which returns a whole batch `(x,)`, `(x, y)` or
    `(x, y, sample_weight)`, and `__len__` (or the property `num_batches`), the number
    of batches. `on_epoch_begin` and `on_epoch_end` are called around each epoch.

    Args:
        workers: threads that load batches ahead when `fit` asks for them. NumPy and
            file reading let other threads run. 0 and 1 load in the training thread.
        use_multiprocessing: must be False: minikeras loads with threads only.
        max_queue_size: how many batches may wait, loaded, for their turn.

    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(3) + 3 * index
    ...         return x, x**2
    >>> [y.tolist() for x, y in Squares()]
    [[0, 1, 4], [9, 16, 25]]
    """

    def __init__(
        self,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def workers(self) -> int:
        """Threads that load batches."""
        return self._option("_workers")

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Always False."""
        return self._option("_use_multiprocessing")

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        if value:
            raise NotImplementedError(
                "minikeras loads batches with threads, not with processes. Pass "
                "`workers=n` alone. Received: use_multiprocessing=True"
            )
        self._use_multiprocessing = False

    @property
    def max_queue_size(self) -> int:
        """Loaded batches that may wait."""
        return self._option("_max_queue_size")

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def _option(self, name: str) -> Any:
        if name not in self.__dict__:
            warn(
                f"{type(self).__name__}.__init__ should call "
                "`super().__init__(**kwargs)`, where `**kwargs` can include `workers`, "
                "`use_multiprocessing` and `max_queue_size`. Their defaults are used.",
            )
            for option, default in _DEFAULTS.items():
                self.__dict__.setdefault(option, default)
        return self.__dict__[name]

    def __getitem__(self, index: int) -> Any:
        """The batch at position `index`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `__getitem__(index)`."
        )

    def __iter__(self) -> Iterator[Any]:
        try:
            count = self.num_batches
        except NotImplementedError:
            count = None
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches; `len(self)` unless overridden, None if there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must implement `__len__` or the property "
            "`num_batches`: the number of batches, or None if there is no end."
        )

    def on_epoch_begin(self) -> None:
        """Called at the beginning of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch, and once before the first."""


Sequence = PyDataset
