"""Batches from arrays in memory."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from minikeras import random, tree
from minikeras.random.seed_generator import get_data_seed
from minikeras.trainers.data_adapters import arrays
from minikeras.trainers.data_adapters.data_adapter import DataAdapter

_DEFAULT_BATCH_SIZE = 32
_SMALL_BYTES = 1 << 22  # of data that is shuffled as a whole


class ArrayDataAdapter(DataAdapter):
    """Cuts arrays into batches along their first axis.

    Args:
        x, y, sample_weight: arrays, nested in lists, tuples and dicts; all of one
            length. `y` and `sample_weight` may be None.
        batch_size: examples per batch; by default what makes `steps` batches, or 32.
        steps: batches per epoch.
        shuffle: True, False, or "batch": shuffle within each batch.
        class_weight: factor by class; becomes the sample weight.

    A batch that is not shuffled is a view of the data. A float batch whose dtype is not
    floatx is converted when it is cut, so data may be larger than memory (`np.memmap`).
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ):
        x, y = arrays.as_arrays("x", x), arrays.as_arrays("y", y)
        sample_weight = arrays.as_arrays("sample_weight", sample_weight)
        sample_weight = _weights(y, sample_weight, class_weight)
        self.num_samples = arrays.count_examples((x, y, sample_weight))
        if batch_size is None:
            count = self.num_samples
            batch_size = math.ceil(count / steps) if steps else _DEFAULT_BATCH_SIZE
        self.batch_size = positive_integer(batch_size, "batch_size")
        self.shuffle = _check_shuffle(shuffle)
        self._data = tree.map_structure(_Column, (x, y, sample_weight))
        self._fixed_order: list[np.ndarray] | None = None

    @property
    def num_batches(self) -> int:
        """Batches per epoch; the last one may be smaller."""
        return math.ceil(self.num_samples / self.batch_size)

    def batches(self) -> Iterator[Any]:
        """One epoch, in the order of the data or in a shuffled one."""
        columns = tree.flatten(self._data)
        plain = not any(tree.is_nested(part) for part in self._data)
        order = self._order()
        if self.shuffle and self._is_small():
            # All examples at once: a batch is then a slice, which costs nothing.
            batches = list(order)
            shuffled = np.concatenate(batches)
            columns = [_Column(column[shuffled]) for column in columns]
            ends = np.cumsum([len(rows) for rows in batches]).tolist()
            order = (slice(a, b) for a, b in itertools.pairwise([0, *ends]))
        for rows in order:
            flat = [column[rows] for column in columns]
            yield tuple(flat) if plain else tree.pack_sequence_as(self._data, flat)

    def _is_small(self) -> bool:
        columns = tree.flatten(self._data)
        return sum(column.nbytes for column in columns) <= _SMALL_BYTES

    def _order(self) -> Iterator[slice | np.ndarray]:
        """The examples of each batch: slices, or arrays of indices."""
        cuts = range(0, self.num_samples, self.batch_size)
        if not self.shuffle:
            return (slice(start, start + self.batch_size) for start in cuts)
        if self._fixed_order is not None:
            return iter(self._fixed_order)
        if self.shuffle == "batch":
            sizes = [min(self.batch_size, self.num_samples - start) for start in cuts]
            orders = random.fit_batch_permutations(sizes)
            batches = [s + order for s, order in zip(cuts, orders, strict=True)]
        else:
            order = random.fit_permutation(self.num_samples)
            batches = [order[start : start + self.batch_size] for start in cuts]
        # NB: in a seeded process Keras shuffles every epoch into the same order.
        if get_data_seed() is not None:
            self._fixed_order = batches
        return iter(batches)


class _Column:
    """One array of the data; indexing it gives that part of a batch."""

    def __init__(self, array: np.ndarray | None):
        self.array = array
        self.dtype = None if array is None else arrays.batch_dtype(array)
        self.nbytes = 0 if array is None else array.nbytes

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray | None:
        if self.array is None:
            return None
        is_slice = type(rows) is slice
        found = self.array[rows] if is_slice else self.array.take(rows, axis=0)
        return found if found.dtype == self.dtype else found.astype(self.dtype)


def positive_integer(value: Any, name: str) -> int:
    """`value` as an int, or a ValueError that names the argument.

    NB: Keras takes 0 for "not given". Here it is refused like any other wrong number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(
            f"Expected `{name}` to be a positive integer. Received: {name}={value!r}"
        )
    return number


def _check_shuffle(shuffle: Any) -> bool | str:
    if isinstance(shuffle, str) and shuffle != "batch":
        raise ValueError(
            "Expected `shuffle` to be True, False or 'batch'. Received: "
            f"shuffle={shuffle!r}"
        )
    return shuffle if shuffle == "batch" else bool(shuffle)


def _weights(y: Any, sample_weight: Any, class_weight: dict[int, float] | None) -> Any:
    """The sample weights in the structure of `y`."""
    if sample_weight is not None and class_weight is not None:
        raise ValueError(
            "You cannot use `class_weight` and `sample_weight` at the same time."
        )
    if class_weight is not None:
        if tree.is_nested(y):
            raise ValueError(
                "`class_weight` is only supported for Models with a single output. "
                f"Received: y of type {type(y)}"
            )
        return arrays.class_weight_to_sample_weights(y, class_weight)
    if sample_weight is None:
        return None
    if y is None:
        raise ValueError(
            "`sample_weight` weighs the loss, which needs targets. Received: y=None"
        )
    if not tree.is_nested(y):
        return sample_weight
    if tree.is_nested(sample_weight):
        if not tree.same_structure(y, sample_weight):
            raise ValueError(
                "You should provide one `sample_weight` array per output in `y`. The "
                f"two structures did not match. Received: y with {_names('y', y)}; "
                f"sample_weight with {_names('sample_weight', sample_weight)}"
            )
        return sample_weight
    shape = np.shape(sample_weight)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise ValueError(
            "For a model with multiple outputs, a single `sample_weight` array should "
            "have one scalar per sample, shape `(num_samples,)`. For other weights "
            f"pass one array per output. Received: sample_weight.shape={shape}"
        )
    return tree.map_structure(lambda _: sample_weight, y)


def _names(label: str, structure: Any) -> str:
    return ", ".join(name for name, _ in arrays.named_leaves(label, structure))
