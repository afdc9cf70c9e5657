"""Datasets and generators in `fit`: batches in the same order as with Keras."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras.random import set_random_seed
from minikeras.trainers.data_adapters import EpochIterator
from minikeras.utils.py_dataset import PyDataset
from parity_tests import strategies
from parity_tests.fit_recorder import (
    FEW,
    OUT_OF_DATA,
    assert_same_epochs,
    keras_epochs,
    make_dataset,
    numbers,
    our_epochs,
)
from parity_tests.oracle import keras

# --- PyDataset ------------------------------------------------------------------------


@FEW
@given(
    batches=st.none() | st.integers(1, 7),
    steps=st.none() | st.integers(1, 7),
    epochs=st.integers(1, 4),
    shuffle=st.booleans(),
    workers=st.sampled_from([1, 3]),
    seed=strategies.seeds(),
)
@example(batches=5, steps=3, epochs=4, shuffle=False, workers=1, seed=0)
@example(batches=5, steps=None, epochs=3, shuffle=True, workers=3, seed=0)
def test_py_datasets(
    batches: int | None,
    steps: int | None,
    epochs: int,
    shuffle: bool,
    workers: int,
    seed: int,
) -> None:
    if batches is None:
        steps, workers = steps or 2, 1
    elif steps is not None:
        steps = min(steps, batches)
        # NB: with threads Keras loads ahead beyond the end of an epoch and stops there.
        workers = 1
    arguments = {"epochs": epochs, "steps_per_epoch": steps, "shuffle": shuffle}
    keras.utils.set_random_seed(seed)
    theirs = make_dataset(keras.utils.PyDataset, batches)
    expected = keras_epochs(theirs, **arguments)
    set_random_seed(seed)
    ours = make_dataset(PyDataset, batches, workers=workers)
    assert_same_epochs(our_epochs(ours, **arguments), expected)
    assert ours.log[:3] == theirs.log[:3]  # two are looked at first, then "end"
    hooks = [[e for e in d.log if isinstance(e, str)] for d in (ours, theirs)]
    assert hooks[0] == hooks[1]


def test_py_dataset_batches_may_be_dicts_arrays_and_lists() -> None:
    class Any_(PyDataset):
        batch: Any = None

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return self.batch

    a = np.ones((2, 3))
    for batch, expected in (
        ({"b": a, "a": a}, [a, a, None, None]),
        (a, [a, None, None]),
        ([a, a], [a, a, None]),
    ):
        dataset = Any_()
        dataset.batch = batch
        ((found,),), _ = our_epochs(dataset)
        assert len(found) == len(expected)
        assert all(f is e for f, e in zip(found, expected, strict=True))


def test_threads_load_ahead_in_order_and_end() -> None:
    threads, loading = set(), [0, 0]  # now, and the most at a time
    lock = threading.Lock()

    class Slow(PyDataset):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Any:
            threads.add(threading.current_thread().name)
            with lock:
                loading[0] += 1
                loading[1] = max(loading)
            threading.Event().wait(0.002 * (index % 3))
            with lock:
                loading[0] -= 1
            return (np.full((1, 1), index),)

    before = threading.active_count()
    iterator = EpochIterator(Slow(workers=4, max_queue_size=6))
    found = [int(x[0, 0]) for _, (x, _, _) in iterator.enumerate_epoch()]
    assert found == list(range(20))
    assert loading[1] > 1 and any("PyDataset" in name for name in threads)
    epoch = iterator.enumerate_epoch()  # left early
    next(epoch)
    epoch.close()
    iterator.reset()
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_getitem_reaches_the_user(workers: int) -> None:
    class Broken(PyDataset):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            if index == 3:
                raise KeyError("lost file")
            return (np.zeros((1, 1)),)

    with pytest.raises(KeyError, match="lost file"):
        list(EpochIterator(Broken(workers=workers)).enumerate_epoch())


def test_py_dataset_without_super_init() -> None:
    class Careless(PyDataset):
        def __init__(self) -> None:
            pass

    with pytest.warns(UserWarning, match="super"):
        assert Careless().workers == 1
    with pytest.raises(NotImplementedError, match="__len__"):
        Careless().num_batches  # noqa: B018
    with pytest.raises(NotImplementedError, match="threads"):
        PyDataset(use_multiprocessing=True)
    assert PyDataset(3, False, 5).max_queue_size == 5


# --- Generators -----------------------------------------------------------------------


@FEW
@given(
    batches=st.integers(1, 7),
    steps=st.none() | st.integers(1, 5),
    epochs=st.integers(1, 4),
)
@example(batches=3, steps=None, epochs=3)
@example(batches=5, steps=2, epochs=4)
def test_generators(batches: int, steps: int | None, epochs: int) -> None:
    arguments = {"steps_per_epoch": steps, "epochs": epochs, "shuffle": False}
    assert_same_epochs(
        our_epochs(numbers(batches), **arguments),
        keras_epochs(numbers(batches), **arguments),
    )


def test_the_number_of_batches_of_a_generator_shows_at_its_end() -> None:
    iterator = EpochIterator(numbers(3))
    assert iterator.num_batches is None
    with pytest.warns(UserWarning, match=OUT_OF_DATA):
        list(iterator.enumerate_epoch())
    assert iterator.num_batches == 4  # NB: one more than there are, as in Keras


def test_arguments_that_do_not_go_with_batches_of_your_own() -> None:
    with pytest.warns(UserWarning, match="`shuffle=True` was passed, but will be"):
        EpochIterator(numbers(3), shuffle=True)
    with pytest.warns(UserWarning, match="`batch_size=8` was passed, but will be"):
        EpochIterator(make_dataset(PyDataset, 3), batch_size=8)
    with pytest.warns(UserWarning, match="`shuffle=True` was passed, but will be"):
        EpochIterator(make_dataset(PyDataset, None), shuffle=True)
