"""Datasets of examples: made from arrays, split, or cut out of a time series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import random, tree
from minikeras.utils.py_dataset import PyDataset


class ExampleDataset(PyDataset):
    """Examples by number, one by one or in batches; what stands here for a tf.data one.

    Args:
        take: `take(indices)`, the examples of these numbers, with a leading axis.
        indices: the numbers of all examples, in order.
        batch_size: None for single examples, without a leading axis.
        shuffle: whether every pass has a new order.
        seed: of these orders; None: the global generator.

    `fit` takes the batches in this order, whatever its own `shuffle` says, as Keras
    does with a `tf.data.Dataset`.

    >>> data = ExampleDataset(lambda i: 10 * i, np.arange(5)).batch(2)
    >>> [batch.tolist() for batch in data]
    [[0, 10], [20, 30], [40]]
    """

    shuffled_by_fit = False

    def __init__(
        self,
        take: Callable[[np.ndarray], Any],
        indices: np.ndarray,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int | None = None,
    ):
        super().__init__()
        self.take = take
        self.indices = indices
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = None if seed is None else random.SeedGenerator(seed)
        self._order = indices
        self.on_epoch_begin()

    def batch(self, batch_size: int) -> ExampleDataset:
        """The same examples in batches."""
        dataset = ExampleDataset(self.take, self.indices, batch_size, self.shuffle)
        dataset.seed = self.seed
        return dataset

    def cardinality(self) -> int:
        """How many examples, or batches, it has."""
        return len(self)

    def __len__(self) -> int:
        return -(-len(self.indices) // (self.batch_size or 1))

    def on_epoch_begin(self) -> None:
        """Draws the order of the next pass."""
        if self.shuffle:
            self._order = random.shuffle(self.indices, seed=self.seed)

    def __iter__(self) -> Any:
        self.on_epoch_begin()
        return super().__iter__()

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"This dataset has {len(self)} items. Received: {index}")
        index %= len(self)
        size = self.batch_size or 1
        found = self.take(self._order[index * size : (index + 1) * size])
        if self.batch_size is None:
            return tree.map_structure(lambda a: a[0], found)
        return found


def _refuse(name: str, value: Any, needed: str, length: int) -> None:
    raise ValueError(
        f"`{name}` must be {needed}. Received: {name}={value}, for data of length "
        f"{length}"
    )


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> ExampleDataset:
    """Windows that slide over a time series, with their targets.

    Args:
        data: array, (T, ...).
        targets: array whose entry i belongs to the window that begins at step i, or
            None for windows alone.
        sequence_length: how many steps a window has.
        sequence_stride: steps from one window's beginning to the next one's.
        sampling_rate: steps from one entry of a window to the next.
        batch_size: None for single windows.
        shuffle: whether each pass has a new order. NB: a seed gives the same order
            every time, but not that of Keras, which is drawn by tf.data.
        seed: of that order.
        start_index, end_index: the part of `data` to use.
        format: accepted as in Keras (`"tf"` or `"grain"`); the same here.

    Returns:
        A dataset of (windows, targets), to be given to `fit`, or to loop over.

    >>> x = np.arange(6)
    >>> for windows, y in timeseries_dataset_from_array(x, x[3:], 3, batch_size=2):
    ...     print(windows.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3]] [3, 4]
    [[2, 3, 4]] [5]
    """
    length = len(data)
    if format not in ("tf", "grain"):
        raise ValueError(
            f'`format` should be either "tf" or "grain". Received: format={format}'
        )
    start = start_index or 0
    if start < 0:
        _refuse("start_index", start, "0 or greater", length)
    if start >= length:
        _refuse("start_index", start, "lower than the length of the data", length)
    if end_index:
        if end_index <= 0:
            _refuse("end_index", end_index, "higher than 0", length)
        if end_index <= start:
            _refuse("end_index", end_index, f"higher than start_index={start}", length)
        if end_index >= length:
            _refuse("end_index", end_index, "lower than the length of the data", length)
    steps = {"sampling_rate": sampling_rate, "sequence_stride": sequence_stride}
    for name, step in steps.items():
        if step <= 0:
            _refuse(name, step, "higher than 0", length)
        if step >= length:
            _refuse(name, step, "lower than the length of the data", length)
    data = np.asarray(data)[start : end_index or length]
    count = len(data) - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets))
        # NB: Keras cuts the targets as it cuts the data.
        targets = np.asarray(targets)[start : end_index or length]
    offsets = np.arange(sequence_length) * sampling_rate

    def take(begins: np.ndarray) -> Any:
        windows = data[begins[:, None] + offsets]  # (n,) -> (n, sequence_length, ...)
        return windows if targets is None else (windows, targets[begins])

    begins = np.arange(0, max(count, 0), sequence_stride)
    return ExampleDataset(take, begins, batch_size, shuffle, seed)


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[ExampleDataset, ExampleDataset]:
    """Splits examples in two.

    Args:
        dataset: an array; a list or tuple of arrays of the same length, or a dict of
            them; or a `PyDataset`, whose batches are the examples.
        left_size: how many examples, or which share of them, come first; None: the
            others.
        right_size: the same for the second part.
        shuffle: whether to shuffle the examples before they are split.
        seed: of the order.
        preferred_backend: accepted as in Keras, without effect.

    Returns:
        Two datasets of single examples; `.batch(32)` gives what `fit` takes.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x in right]
    (8, [8, 9])
    """
    if isinstance(dataset, PyDataset):
        batches = list(dataset)
        dataset = tree.map_structure(lambda *parts: np.stack(parts), *batches)
    dataset = tree.map_structure(np.asarray, dataset)
    lengths = {len(a) for a in tree.flatten(dataset)}
    if len(lengths) != 1:
        raise ValueError(
            "`split_dataset` needs arrays of the same length. Received lengths: "
            f"{sorted(lengths)}"
        )
    count = lengths.pop()
    left, right = _split_sizes(left_size, right_size, count)
    order = np.arange(count)
    if shuffle:
        order = random.shuffle(order, seed=seed)

    def take(indices: np.ndarray) -> Any:
        return tree.map_structure(lambda a: a[indices], dataset)

    parts = order[:left], order[count - right :]
    return ExampleDataset(take, parts[0]), ExampleDataset(take, parts[1])


def _split_sizes(left: Any, right: Any, count: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError(
            "At least one of `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    sizes: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            sizes.append(None)
            continue
        if type(size) not in (int, float):
            raise TypeError(
                f"Invalid `{name}` Type. Expected: int or float or None. Received: "
                f"type({name})={type(size)}"
            )
        if not 0 < size < (count if type(size) is int else 1):
            raise ValueError(
                f"`{name}` should be either a positive integer smaller than {count}, "
                f"or a float within the range `[0, 1]`. Received: {name}={size}"
            )
        sizes.append(round(size * count) if type(size) is float else size)
    return _checked_sizes(sizes, count)


def _checked_sizes(sizes: Sequence[int | None], count: int) -> tuple[int, int]:
    left, right = sizes
    left = count - (right or 0) if left is None else left
    right = count - left if right is None else right
    if left + right > count:
        raise ValueError(
            f"The sum of `left_size` and `right_size` should be at most {count}. "
            f"Received: {left} + {right} examples"
        )
    for side, size in (("left", left), ("right", right)):
        if size == 0:
            raise ValueError(
                f"With a dataset of {count} examples, the {side} side would be empty. "
                "Change `left_size` or `right_size`."
            )
    return left, right
