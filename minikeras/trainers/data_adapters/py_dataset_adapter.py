"""Batches from a `PyDataset`."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from minikeras import random
from minikeras.trainers.data_adapters import batch_checks
from minikeras.trainers.data_adapters.arrays import class_weight_to_sample_weights
from minikeras.trainers.data_adapters.data_adapter import DataAdapter
from minikeras.utils.py_dataset import PyDataset


class PyDatasetAdapter(DataAdapter):
    """Asks a `PyDataset` for its batches: in order, shuffled, or without end.

    Args:
        dataset: with `workers` above 1, that many threads load batches ahead, up to
            `max_queue_size`. The order of the batches stays the same.
        class_weight: factor by class, for batches `(x, y)`.
        shuffle: whether each epoch asks for the batches in a new order.

    NB: as Keras does, the batches 0 and 1 are loaded once more before the first epoch,
    to look at them.
    """

    def __init__(
        self,
        dataset: PyDataset,
        class_weight: dict[int, float] | None = None,
        shuffle: bool | str = False,
    ):
        self.dataset = dataset
        self.class_weight = class_weight
        self.shuffle = shuffle
        count = dataset.num_batches
        if count == 0:
            raise ValueError(f"The PyDataset has length 0. Received: {dataset}")
        peeked = batch_checks.PEEKED_BATCHES
        peeked = peeked if count is None else min(peeked, count)
        batch_checks.check_alike([self._load(i) for i in range(peeked)])

    @property
    def num_batches(self) -> int | None:
        """What the dataset says now; None if it has no end."""
        return self.dataset.num_batches

    def batches(self) -> Iterator[Any]:
        """One pass; its order is drawn when the first batch is asked for."""
        count = self.dataset.num_batches
        order: Iterable[int]
        if count is None:
            order = itertools.count()
        elif self.shuffle:
            order = random.py_dataset_order(count)
        else:
            order = range(count)
        if self.dataset.workers > 1:
            yield from self._load_ahead(order)
        else:
            yield from map(self._load, order)

    def _load_ahead(self, order: Iterable[int]) -> Iterator[Any]:
        """Batches in order, several being loaded at a time."""
        workers = self.dataset.workers
        limit = max(self.dataset.max_queue_size, workers)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="PyDataset")
        waiting: deque[Future] = deque()
        try:
            for index in order:
                waiting.append(pool.submit(self._load, index))
                if len(waiting) == limit:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also when the loop is left early, or a batch failed
            pool.shutdown(cancel_futures=True)

    def _load(self, index: int) -> Any:
        batch = self.dataset[index]
        if isinstance(batch, dict):
            return (batch_checks.to_numpy(batch),)
        if isinstance(batch, np.ndarray):
            batch = (batch,)
        if isinstance(batch, list):
            batch = tuple(batch)
        if not isinstance(batch, tuple) or len(batch) not in (1, 2, 3):
            raise ValueError(
                "PyDataset.__getitem__() must return a tuple or a dict. If a tuple, it "
                "must be ordered either (input,) or (inputs, targets) or (inputs, "
                f"targets, sample_weights). Received: {str(batch)[:100]} of type "
                f"{type(batch)}"
            )
        if self.class_weight is not None:
            batch = self._weighted(batch)
        return batch_checks.to_numpy(batch)

    def _weighted(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(batch) == 3:
            raise ValueError(
                "You cannot use `class_weight` and `sample_weight` at the same time."
            )
        if len(batch) == 1:  # NB: Keras, too, leaves a batch without targets as it is
            return batch
        x, y = batch
        return x, y, class_weight_to_sample_weights(y, self.class_weight)

    def on_epoch_begin(self) -> None:
        """Tells the dataset."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tells the dataset."""
        self.dataset.on_epoch_end()
