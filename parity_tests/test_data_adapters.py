"""What `fit` feeds a model: the same batches as Keras, in the same order and dtypes."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minikeras import config, tree
from minikeras.random import set_random_seed
from minikeras.trainers.data_adapters import (
    EpochIterator,
    class_weight_to_sample_weights,
    get_data_adapter,
    is_array_data,
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from minikeras.utils.py_dataset import PyDataset
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

Epochs = list[list[Any]]
# A `fit` of Keras takes half a second, whatever it does: fewer examples than elsewhere.
FEW = settings(max_examples=max(10, settings().max_examples // 5))
KERAS = keras.src.trainers.data_adapters  # two functions that Keras does not export
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


# --- PyDataset ------------------------------------------------------------------------


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


def numbers(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(count):
        yield np.full((2, 3), i, "float64"), np.full(2, i)


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


# --- Bad input ------------------------------------------------------------------------

X, Y = np.ones((10, 4)), np.ones((10, 1))
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "lengths differ": ({"x": X, "y": Y[:5]}, r"(?s)x: 10.*y: 5"),
    "one of several": ({"x": {"a": X, "b": X[:3]}, "y": Y}, r"x\['b'\]: 3"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "at least one sample"),
    "nothing": ({"x": None}, "x=None"),
    "list of numbers": ({"x": [1.0, 2.0]}, r"np.array\(\.\.\.\)"),
    "list as y": ({"x": X, "y": [0] * 10}, r"Unrecognized data type: y\[0\]=0"),
    "list of rows": ({"x": X.tolist(), "y": Y}, r"Unrecognized data type: x\[0\]\[0\]"),
    "scalar": ({"x": np.float32(3)}, "whose first axis counts examples"),
    "objects": ({"x": X.astype(object)}, "Invalid dtype: object"),
    "ragged": ({"x": np.array([[1], [1, 2]], dtype=object)}, "differ in length"),
    "text": ({"x": np.array(["a", "b"])}, "hold numbers"),
    "iterator": ({"x": iter([X])}, "Pass a generator"),
    "a number": ({"x": 3}, "Unrecognized data type: x=3"),
    "an object": ({"x": object()}, "Expected arrays"),
    "batch_size 0": ({"x": X, "batch_size": 0}, "batch_size=0"),
    "batch_size -1": ({"x": X, "batch_size": -1}, "positive integer"),
    "batch_size 2.5": ({"x": X, "batch_size": 2.5}, "positive integer"),
    "steps 0": ({"x": X, "steps_per_epoch": 0}, "positive integer"),
    "steps -1": ({"x": X, "steps_per_epoch": -1}, "positive integer"),
    "shuffle": ({"x": X, "shuffle": "epoch"}, "'batch'"),
    "weights without y": ({"x": X, "sample_weight": Y}, "needs targets"),
    "both weights": (
        {"x": X, "y": Y, "sample_weight": Y, "class_weight": {0: 1}},
        "at the same time",
    ),
    "class_weight list": ({"x": X, "y": Y, "class_weight": [1, 2]}, "to be a dict"),
    "class_weight, no y": ({"x": X, "class_weight": {0: 1}}, "y=None"),
    "class_weight, y nested": (
        {"x": X, "y": [Y], "class_weight": {0: 1}},
        "single output",
    ),
    "class_weight, y 3-D": (
        {"x": X, "y": np.ones((10, 2, 2)), "class_weight": {0: 1}},
        "one class per sample",
    ),
    "weights unlike y": (
        {"x": X, "y": [Y], "sample_weight": [Y, Y]},
        r"sample_weight\[1\]",
    ),
    "weights 2-D": ({"x": X, "y": [Y], "sample_weight": X}, "one scalar per sample"),
    "y with PyDataset": (
        {"x": make_dataset(PyDataset, 2), "y": Y},
        "`y` should not be passed",
    ),
    "PyDataset of length 0": ({"x": make_dataset(PyDataset, 0)}, "length 0"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_data_is_refused(case: str) -> None:
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        EpochIterator(**arguments)


BAD_GENERATORS = {
    "y with generator": ((b for b in numbers(2)), {"y": Y}, "`y` should not be"),
    "class_weight": ((b for b in numbers(2)), {"class_weight": {}}, "class_weight"),
    "empty": ((b for b in ()), {}, "empty generator"),
    "lists": (([X, Y] for _ in range(2)), {}, "must return a tuple"),
    "numbers": ((([1, 2], Y) for _ in range(2)), {}, "at least rank 1"),
    "ranks": ((b for b in [(X, Y), (X[0], Y)]), {}, "same rank"),
    "structures": ((b for b in [(X, Y), (X,)]), {}, "same structure"),
    "objects": (((X.astype(object), Y) for _ in range(2)), {}, "Invalid dtype"),
}


@pytest.mark.parametrize("case", sorted(BAD_GENERATORS))
def test_bad_generators_are_refused(case: str) -> None:
    generator, arguments, message = BAD_GENERATORS[case]
    with pytest.raises(ValueError, match=message):
        EpochIterator(generator, **arguments)


def test_bad_batches_of_a_py_dataset() -> None:
    class Bad(PyDataset):
        batch: Any = None

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return self.batch

    dataset = Bad()
    for dataset.batch in (None, (1, 2, 3, 4), "text"):
        with pytest.raises(ValueError, match="must return a tuple or a dict"):
            EpochIterator(dataset)
    dataset.batch = (X, Y, Y)
    with pytest.raises(ValueError, match="at the same time"):
        EpochIterator(dataset, class_weight={0: 1})
    with pytest.raises(NotImplementedError, match="__getitem__"):
        PyDataset()[0]


def test_validation_split_needs_arrays_of_one_length() -> None:
    with pytest.raises(ValueError, match="only supported for arrays"):
        train_validation_split((numbers(3), None, None), 0.5)
    with pytest.raises(ValueError, match="y: 5"):  # Keras drops what is too much
        train_validation_split((X, Y[:5], None), 0.5)
    for split in (-0.1, 1.0, 1.5):
        with pytest.raises(ValueError, match="not sufficient"):
            train_validation_split((X, Y, None), split)


def test_other_peoples_datasets_get_advice() -> None:
    dataset = type("DatasetV2", (), {})()
    with pytest.raises(ValueError, match="as_numpy_iterator"):
        EpochIterator(dataset)
    sparse = type("csr_matrix", (), {"toarray": None})()
    with pytest.raises(ValueError, match="toarray"):
        EpochIterator(sparse)
    assert is_array_data(X, [Y, None]) and not is_array_data(numbers(2))
