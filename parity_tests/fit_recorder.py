"""The batches that `fit` feeds a model, in Keras and in minikeras."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import settings

from minikeras import tree
from minikeras.trainers.data_adapters import EpochIterator
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

Epochs = list[list[Any]]
# A `fit` of Keras takes half a second, whatever it does: fewer examples than elsewhere.
FEW = settings(max_examples=max(10, settings().max_examples // 5))
OUT_OF_DATA = "Your input ran out of data"


class Recorder(keras.Model):
    """Keras's own `fit`, with a step that only writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.validation: list[Any] = []
        self.compile(run_eagerly=True)

    def train_step(self, data: Any) -> dict[str, float]:
        self.seen.append(_numpy(data))
        return {"loss": 0.0}

    def test_step(self, data: Any) -> dict[str, float]:
        self.validation.append(_numpy(data))
        return {"loss": 0.0}


def _numpy(data: Any) -> list[Any]:
    parts = keras.utils.unpack_x_y_sample_weight(data)
    return [None if a is None else np.array(a) for a in tree.flatten(parts)]


class _Cut(keras.callbacks.Callback):
    """Notes where epochs begin in what the recorder has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.starts.append(len(self.model.seen))


def keras_epochs(*args: Any, epochs: int = 1, **kwargs: Any) -> tuple[Epochs, int]:
    """(the batches of each epoch of Keras's fit, how often it ran out of data)."""
    model, cut = Recorder(), _Cut()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*args, epochs=epochs, verbose=0, callbacks=[cut], **kwargs)
    ends = [*cut.starts[1:], len(model.seen)]
    found = [model.seen[a:b] for a, b in zip(cut.starts, ends, strict=True)]
    return found, _count(caught)


def our_epochs(*args: Any, epochs: int = 1, **kwargs: Any) -> tuple[Epochs, int]:
    """The same for minikeras."""
    kwargs.setdefault("shuffle", True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        iterator = EpochIterator(*args, **kwargs)
        iterator.reset()
        found = []
        for _ in range(epochs):
            batches = list(iterator.enumerate_epoch())
            assert [step for step, _ in batches] == list(range(len(batches)))
            found.append([tree.flatten(data) for _, data in batches])
    return found, _count(caught)


def _count(caught: list[Any]) -> int:
    return sum(OUT_OF_DATA in str(w.message) for w in caught)


def assert_same_epochs(ours: tuple[Epochs, int], theirs: tuple[Epochs, int]) -> None:
    assert ours[1] == theirs[1], "warnings that the data has run out"
    assert [len(epoch) for epoch in ours[0]] == [len(epoch) for epoch in theirs[0]]
    for i, (epoch, expected_epoch) in enumerate(zip(ours[0], theirs[0], strict=True)):
        for j, (batch, expected) in enumerate(zip(epoch, expected_epoch, strict=True)):
            assert len(batch) == len(expected)
            for k, (array, keras_array) in enumerate(zip(batch, expected, strict=True)):
                name = f"epoch {i}, batch {j}, array {k}"
                if array is None or keras_array is None:
                    assert array is keras_array, name
                else:
                    assert_equal(array, keras_array, name=name)


def make_dataset(base: type, batches: int | None, **options: Any) -> Any:
    """A dataset for either library, with a log of its calls."""

    class Numbers(base):
        def __init__(self) -> None:
            super().__init__(**options)
            self.log: list[Any] = []

        num_batches = property(lambda self: batches)

        def __getitem__(self, index: int) -> Any:
            self.log.append(index)
            return np.full((2, 3), index, "float64"), np.full(2, index)

        def on_epoch_begin(self) -> None:
            self.log.append("begin")

        def on_epoch_end(self) -> None:
            self.log.append("end")

    return Numbers()


def numbers(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(count):
        yield np.full((2, 3), i, "float64"), np.full(2, i)
