"""EpochIterator: one epoch after another, whatever the data is made of."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator
from typing import Any

from minikeras.messages import warn
from minikeras.trainers.data_adapters import arrays
from minikeras.trainers.data_adapters.array_data_adapter import (
    ArrayDataAdapter,
    positive_integer,
)
from minikeras.trainers.data_adapters.data_adapter import DataAdapter
from minikeras.trainers.data_adapters.generator_data_adapter import (
    GeneratorDataAdapter,
)
from minikeras.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from minikeras.utils.data_tuples import unpack_x_y_sample_weight
from minikeras.utils.py_dataset import PyDataset

_OTHER_DATASETS = {
    "DatasetV2": "Pass a generator over `dataset.as_numpy_iterator()`.",
    "DataLoader": "Pass a generator of tuples of NumPy arrays over it.",
    "MapDataset": "Pass a generator of tuples of NumPy arrays over it.",
    "IterDataset": "Pass a generator of tuples of NumPy arrays over it.",
}


class EpochIterator:
    """Counts the steps of epochs and hands out their batches.

    Args:
        x: arrays, nested in lists and dicts; a `PyDataset`; a generator; or a
            `DataAdapter`.
        y, sample_weight: arrays, only where `x` is made of arrays.
        batch_size: only where `x` is made of arrays; 32 by default.
        steps_per_epoch: ends an epoch after so many batches. The next one goes on
            where it ended, and the data starts again once it has run out.
        shuffle: True, False or "batch" (see `ArrayDataAdapter`).
        class_weight: factor by class.

    >>> import numpy as np
    >>> epochs = EpochIterator(np.arange(5), batch_size=2)
    >>> [x.tolist() for step, (x, y, weight) in epochs.enumerate_epoch()]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ):
        if steps_per_epoch is not None:
            steps_per_epoch = positive_integer(steps_per_epoch, "steps_per_epoch")
        self.steps_per_epoch = steps_per_epoch
        self.data_adapter = get_data_adapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        self._num_batches = self.data_adapter.num_batches
        self._batches: Iterator[Any] | None = None
        self._steps_seen = 0

    @property
    def num_batches(self) -> int | None:
        """Steps in an epoch; None while that is unknown."""
        return self.steps_per_epoch or self._num_batches

    def reset(self) -> None:
        """Starts again at the beginning of the data."""
        self._batches = None
        self._num_batches = self.data_adapter.num_batches
        self._steps_seen = 0
        # NB: so Keras calls `PyDataset.on_epoch_end` once before the first epoch.
        self.data_adapter.on_epoch_end()

    def enumerate_epoch(self) -> Iterator[tuple[int, tuple[Any, Any, Any]]]:
        """One epoch.

        Yields:
            `(step, (x, y, sample_weight))`; what the data does not have is None.
        """
        self.data_adapter.on_epoch_begin()
        if self._batches is None or self.steps_per_epoch is None:
            self._batches = self.data_adapter.batches()
            self._steps_seen = 0
        steps = self.num_batches
        for step in itertools.count() if steps is None else range(steps):
            if self._is_exhausted():
                _warn_out_of_data()
                break
            self._steps_seen += 1
            try:
                batch = next(self._batches)
            except StopIteration:
                self._note_end()
                return
            yield step, unpack_x_y_sample_weight(batch)
        if self._is_exhausted():
            self._batches = None
        self.data_adapter.on_epoch_end()

    def _is_exhausted(self) -> bool:
        return bool(self._num_batches) and self._steps_seen >= self._num_batches

    def _note_end(self) -> None:
        """The data ended before its number of batches was known, or too early.

        NB: the step that failed counts, so Keras (and we) expect one batch more than
        there was; the next epoch ends in the same way.
        """
        if self._num_batches is None:
            self._num_batches = self._steps_seen
        _warn_out_of_data()
        self._batches = None
        self.data_adapter.on_epoch_end()


def _warn_out_of_data() -> None:
    warn(
        "Your input ran out of data; interrupting training. Make sure that your data "
        "can give at least `steps_per_epoch * epochs` batches.",
    )


def is_array_data(x: Any, y: Any = None, sample_weight: Any = None) -> bool:
    """Whether the data is made of arrays, so that `batch_size` applies to it."""
    leaves = arrays.data_leaves((x, y, sample_weight))
    return all(arrays.is_array(leaf) for _, leaf in leaves)


def get_data_adapter(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
) -> DataAdapter:
    """The adapter for this kind of data. Arguments as in `EpochIterator`.

    Raises:
        ValueError: for data of an unknown kind, or arguments that do not go with it.
    """
    if isinstance(x, DataAdapter):
        return x
    if isinstance(x, PyDataset):
        _refuse_parts("PyDataset", y, sample_weight)
        _warn_ignored("PyDataset", batch_size, shuffle and x.num_batches is None)
        shuffle = shuffle and getattr(x, "shuffled_by_fit", True)
        return PyDatasetAdapter(x, class_weight=class_weight, shuffle=shuffle)
    if isinstance(x, types.GeneratorType):
        _refuse_parts("generator", y, sample_weight)
        if class_weight is not None:
            raise ValueError(
                "Argument `class_weight` is not supported for Python generator inputs: "
                "yield the sample weights as a third part instead. Received: "
                f"class_weight={class_weight}"
            )
        _warn_ignored("generator", batch_size, shuffle)
        return GeneratorDataAdapter(x)
    for name, leaf in arrays.data_leaves((x, y, sample_weight)):
        if not arrays.is_array(leaf):
            raise ValueError(_unrecognized(name, leaf))
    return ArrayDataAdapter(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=batch_size,
        steps=steps_per_epoch,
        shuffle=shuffle,
        class_weight=class_weight,
    )


def _refuse_parts(kind: str, y: Any, sample_weight: Any) -> None:
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"When providing `x` as a {kind}, `{name}` should not be passed. "
                f"Instead, each batch of the {kind} should include it: (x, y) or (x, "
                f"y, sample_weight). Received: {name} of type {type(value)}"
            )


def _warn_ignored(kind: str, batch_size: int | None, shuffle: Any) -> None:
    """NB: Keras ignores `batch_size` here without a word."""
    if shuffle:
        warn(
            f"`shuffle={shuffle!r}` was passed, but will be ignored since the data `x` "
            f"was provided as a {kind} whose order is its own.",
        )
    if batch_size is not None:
        warn(
            f"`batch_size={batch_size}` was passed, but will be ignored since the data "
            f"`x` was provided as a {kind}, which makes its batches itself.",
        )


def _unrecognized(name: str, leaf: Any) -> str:
    message = f"Unrecognized data type: {name}={str(leaf)[:80]} (of type {type(leaf)})."
    if isinstance(leaf, bool | int | float | str):
        return (
            f"{message} A Python list is read as a list of several inputs or outputs; "
            "pass a list of numbers as `np.array(...)`."
        )
    if hasattr(leaf, "toarray"):
        return f"{message} Sparse matrices are not supported; pass `.toarray()`."
    for base in type(leaf).__mro__:
        if base.__name__ in _OTHER_DATASETS:
            return f"{message} {_OTHER_DATASETS[base.__name__]}"
    if hasattr(leaf, "__next__"):
        return f"{message} Pass a generator: `(batch for batch in iterator)`."
    return (
        f"{message} Expected arrays, lists or dicts of arrays, a `PyDataset` or a "
        "generator."
    )
