"""Arrays in `fit`: the same batches as Keras, in the same order and dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import config
from minikeras.random import set_random_seed
from minikeras.trainers.data_adapters import (
    EpochIterator,
    class_weight_to_sample_weights,
    get_data_adapter,
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from parity_tests import strategies
from parity_tests.fit_recorder import (
    FEW,
    Recorder,
    assert_same_epochs,
    keras_epochs,
    our_epochs,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

KERAS = keras.src.trainers.data_adapters  # two functions that Keras does not export

# --- Arrays ---------------------------------------------------------------------------

DTYPES = "float16 float32 float64 int8 uint8 int32 int64 bool >f8 >i4".split()
X_STRUCTURES: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda x: x,
    "list": lambda x: [x, x + x],
    "tuple": lambda x: (x, x + x),
    "dict": lambda x: {"b": x, "a": x + x},
    "nested": lambda x: {"b": [x, x + x], "a": x},
}


@st.composite
def array_fits(draw: Callable) -> dict[str, Any]:
    """Arguments of `fit` for arrays in which every example is another number."""
    count = draw(st.integers(1, 40))
    dtype = draw(st.sampled_from(DTYPES))
    inner = draw(st.sampled_from([(), (1,), (2, 3)]))
    x = np.arange(count * int(np.prod(inner, dtype=int))).reshape(count, *inner)
    arguments = {
        "x": X_STRUCTURES[draw(st.sampled_from(sorted(X_STRUCTURES)))](x.astype(dtype)),
        "y": draw(st.sampled_from([None, np.arange(count) % 3])),
        "batch_size": draw(st.none() | st.integers(1, count + 3)),
        "shuffle": draw(st.sampled_from([False, True, "batch"])),
        "epochs": draw(st.integers(1, 4)),
    }
    batches = -(-count // (arguments["batch_size"] or 32))
    arguments["steps_per_epoch"] = draw(st.none() | st.integers(1, batches))
    if arguments["y"] is not None:
        weights = np.linspace(0, 1, count)
        extra = draw(st.sampled_from(["nothing", "sample_weight", "class_weight"]))
        if extra == "sample_weight":
            arguments["sample_weight"] = weights
        if extra == "class_weight":
            arguments["class_weight"] = {0: 0.5, 2: 3}
    return arguments


TWENTY = {"x": np.arange(20.0), "batch_size": 4, "epochs": 4, "shuffle": True}


@FEW
@given(arguments=array_fits(), seed=strategies.seeds())
@example(arguments=TWENTY, seed=0)
@example(arguments=TWENTY | {"steps_per_epoch": 3}, seed=1)
@example(arguments=TWENTY | {"shuffle": "batch", "batch_size": 7}, seed=2**31 - 1)
@example(arguments=TWENTY | {"batch_size": None, "steps_per_epoch": 6}, seed=2)
def test_arrays_are_cut_and_shuffled_as_by_keras(arguments: Any, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    theirs = keras_epochs(**arguments)
    set_random_seed(seed)
    assert_same_epochs(our_epochs(**arguments), theirs)


@given(count=st.integers(2, 30), split=st.floats(0.05, 0.95))
@example(count=10, split=0.1)  # 10 * (1 - 0.1) is exactly 9
@example(count=10, split=0.7)  # 10 * (1 - 0.7) = 3.0000000000000004
@example(count=10, split=0.05)  # nothing left for validation? one example is
@example(count=3, split=0.9)  # nothing left for training
def test_validation_split(count: int, split: float) -> None:
    arrays = np.arange(count, dtype="float32"), {"a": np.arange(count)}, None
    reference = KERAS.array_slicing.train_validation_split
    if not 0 < math.floor(count * (1 - split)) < count:
        for function in (train_validation_split, reference):
            with pytest.raises(ValueError, match="not sufficient to split"):
                function(arrays, split)
        return
    for ours, theirs in zip(
        train_validation_split(arrays, split), reference(arrays, split), strict=True
    ):
        assert_equal(ours[0], theirs[0])
        assert_equal(ours[1]["a"], theirs[1]["a"])
        assert np.shares_memory(ours[0], arrays[0])


def test_validation_split_in_fit() -> None:
    x, y = np.arange(11.0), np.arange(11)
    model = Recorder()
    options = {"batch_size": 3, "shuffle": False}
    model.fit(x, y, validation_split=0.4, verbose=0, **options)
    train, validation = train_validation_split((x, y, None), 0.4)
    for part, expected in ((train, model.seen), (validation, model.validation)):
        assert_same_epochs(our_epochs(*part, **options), ([expected], 0))


@given(
    dtype=st.sampled_from(["int64", "float32", "uint8"]),
    shape=st.sampled_from([(7,), (7, 1), (7, 4)]),
    seed=strategies.seeds(),
)
def test_class_weights(dtype: str, shape: tuple[int, ...], seed: int) -> None:
    y = np.random.default_rng(seed).integers(0, 4, shape).astype(dtype)
    weights = {0: 2, 1: 0.25, 3: np.float32(7)}
    reference = KERAS.data_adapter_utils.class_weight_to_sample_weights
    assert_equal(class_weight_to_sample_weights(y, weights), reference(y, weights))


def test_one_sample_weight_serves_all_outputs() -> None:
    x = np.zeros((6, 2))
    arguments = ({"a": x}, [np.arange(6), np.arange(6.0)])
    options = {"sample_weight": np.arange(6.0), "shuffle": False}
    theirs = keras_epochs(*arguments, **options)
    assert_same_epochs(our_epochs(*arguments, **options), theirs)
    assert len(theirs[0][0][0]) == 1 + 2 + 2


def test_floatx_is_the_dtype_of_floats() -> None:
    config.set_floatx("float64")
    try:
        (_, (x, _, _)), *_ = EpochIterator(np.ones(3, "float32")).enumerate_epoch()
    finally:
        config.set_floatx("float32")
    assert x.dtype == np.float64


def test_unseeded_epochs_differ() -> None:
    from minikeras.random import seed_generator

    before, seed_generator._data_seed = seed_generator._data_seed, None
    try:
        (one, two), _ = our_epochs(np.arange(100), epochs=2, batch_size=100)
    finally:
        seed_generator._data_seed = before
    assert sorted(one[0][0]) == sorted(two[0][0]) == list(range(100))
    assert one[0][0].tolist() != two[0][0].tolist()


def test_an_epoch_that_was_left_early_begins_again() -> None:
    for steps, expected in ((None, [0, 0]), (3, [0, 2])):  # with steps: it goes on
        iterator = EpochIterator(np.arange(9), batch_size=2, steps_per_epoch=steps)
        first = [next(iterator.enumerate_epoch())[1][0][0] for _ in range(2)]
        assert first == expected


def test_batches_in_order_are_views() -> None:
    x = {"a": np.arange(10.0, dtype="float32"), "b": np.arange(10)}
    for _, (batch, _, _) in EpochIterator(x, batch_size=3).enumerate_epoch():
        assert np.shares_memory(batch["a"], x["a"])
        assert np.shares_memory(batch["b"], x["b"])


def test_data_in_a_file_is_not_loaded_as_a_whole(tmp_path: Any) -> None:
    data = np.memmap(tmp_path / "x", "float64", "w+", shape=(1000, 4))
    data[:] = np.arange(4000).reshape(1000, 4)
    adapter = get_data_adapter(data, batch_size=10, shuffle=True)
    column = adapter._data[0]
    assert np.shares_memory(column.array, data)
    assert next(adapter.batches())[0].dtype == np.float32


class _Frame:
    """Quacks like a pandas object."""

    def __init__(self, values: np.ndarray):
        self.values, self.shape = values, values.shape

    iloc = property(lambda self: _Rows(self))

    def to_numpy(self) -> np.ndarray:
        return self.values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.values


class _Rows:
    def __init__(self, frame: _Frame):
        self.frame = frame

    def __getitem__(self, rows: slice) -> _Frame:
        return _Frame(self.frame.values[rows])


def test_pandas_objects() -> None:
    frame, series = _Frame(np.ones((10, 3))), _Frame(np.arange(10))
    (train, validation) = train_validation_split((frame, series, None), 0.3)
    (x, y, _), *_ = [data for _, data in EpochIterator(*train).enumerate_epoch()]
    assert x.shape == (7, 3) and x.dtype == np.float32
    assert y.shape == (7, 1)  # a Series becomes a column, as in Keras
    assert validation[1].values.tolist() == [7, 8, 9]


# --- Tuples ---------------------------------------------------------------------------


@given(parts=st.lists(st.integers(0, 9), min_size=1, max_size=3))
def test_packing_and_unpacking(parts: list[int]) -> None:
    ours, theirs = pack_x_y_sample_weight, keras.utils.pack_x_y_sample_weight
    assert ours(*parts) == theirs(*parts)
    for data in (parts, tuple(parts), parts[0]):
        expected = keras.utils.unpack_x_y_sample_weight(data)
        assert unpack_x_y_sample_weight(data) == expected
    with pytest.raises(ValueError, match=r"`\(x, y, sample_weight\)`"):
        unpack_x_y_sample_weight((1, 2, 3, 4))
