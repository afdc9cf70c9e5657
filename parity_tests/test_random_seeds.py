"""Seeds and who draws them, and the order of examples in `fit`, as in Keras."""

from __future__ import annotations

import random as python_random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minikeras
from minikeras import random
from minikeras.random import philox
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(seed=INT64, ordered=st.lists(st.booleans(), max_size=8))
@example(seed=2**63 - 1, ordered=[False, False])  # wraps around
def test_seed_generator_equals_keras(seed, ordered):
    ours, theirs = random.SeedGenerator(seed), keras.random.SeedGenerator(seed)
    for flag in ordered:
        assert_equal(ours.next(flag), theirs.next(flag).numpy())
    assert_equal(ours.state.numpy(), theirs.state.numpy())
    assert not ours.state.trainable
    assert ours.state.name == theirs.state.name
    assert ours.state.dtype == theirs.state.dtype == "int64"


def test_seed_generator_names_and_config():
    minikeras.naming.clear_session()
    keras.utils.clear_session(free_memory=False)
    for arguments in ({}, {"seed": 3}, {"seed": 3, "name": "sg"}):
        ours, theirs = (
            random.SeedGenerator(**arguments),
            keras.random.SeedGenerator(**arguments),
        )
        assert ours.get_config() == theirs.get_config()
        assert ours.state.path == theirs.state.path
    again = random.SeedGenerator.from_config(ours.get_config())
    assert_equal(again.next(), ours.next())


@given(seed=st.integers(0, 2**32 - 1))
def test_set_random_seed_seeds_everything_like_keras(seed):
    runs = []
    for library in (random, keras.utils):
        library.set_random_seed(seed)
        module = random if library is random else keras.random
        generator = module.SeedGenerator()
        values = [
            np.asarray(module.uniform((2,))) for _ in range(3)
        ]  # global generator
        runs.append(
            [
                np.asarray(generator.next()),
                *values,
                np.array(python_random.random()),
                np.random.random(3),  # noqa: NPY002
            ]
        )
        state = python_random.getstate()
        runs[-1].append(np.array(state[1]))
    for ours, theirs in zip(*runs, strict=True):
        assert_equal(ours, theirs)


def test_clear_session_forgets_the_global_generator_as_keras_does():
    values = []
    for module, utils, clear in (
        (random, random, minikeras.naming.clear_session),
        (keras.random, keras.utils, keras.utils.clear_session),
    ):
        utils.set_random_seed(8)
        first = np.asarray(module.normal((2,)))
        clear(free_memory=False)
        values.append((first, np.asarray(module.normal((2,)))))
    assert_equal(np.array(values[0]), np.array(values[1]))
    assert random.get_random_seed() is None


def test_what_draws_from_python_random():
    python_random.seed(3)
    before = python_random.getstate()
    random.SeedGenerator(5)
    random.normal((3,), seed=1)
    random.fit_permutation(5)
    assert python_random.getstate() == before
    random.SeedGenerator()
    assert python_random.getstate() != before


# --- The order of examples in fit -----------------------------------------------------


def keras_order(n: int, batch_size: int, shuffle: bool | str) -> np.ndarray:
    """The batches of one epoch as Keras's `fit` iterates over them."""
    adapters = keras.src.trainers.data_adapters.array_data_adapter
    x = np.arange(n)
    adapter = adapters.ArrayDataAdapter(x, x, batch_size=batch_size, shuffle=shuffle)
    batches = [batch.numpy() for batch, _ in adapter.get_tf_dataset()]
    return np.concatenate(batches)


@given(
    seed=st.one_of(st.sampled_from([0, 2**31 - 1, 2**31]), st.integers(0, 2**32 - 1)),
    n=st.integers(1, 200),
    batch_size=st.integers(1, 40),
)
def test_fit_order_equals_keras(seed, n, batch_size):
    keras.utils.set_random_seed(seed)
    whole, inside = (
        keras_order(n, batch_size, True),
        keras_order(n, batch_size, "batch"),
    )
    random.set_random_seed(seed)
    assert_equal(random.fit_permutation(n), whole)
    assert_equal(random.fit_permutation(n), whole)  # every epoch the same
    starts = range(0, n, batch_size)
    sizes = [min(batch_size, n - start) for start in starts]
    batches = random.fit_batch_permutations(sizes)
    parts = [start + p for start, p in zip(starts, batches, strict=True)]
    assert_equal(np.concatenate(parts), inside)


def test_fit_order_by_hand():
    """n = 3: exchange 0 with x0 % 3, then 1 with 1 + x1 % 2."""
    random.set_random_seed(77)
    x = philox.block((0, 0, 0, 0), (77, 0))
    order = [0, 1, 2]
    for i in (0, 1):
        j = i + x[i] % (3 - i)
        order[i], order[j] = order[j], order[i]
    assert random.fit_permutation(3).tolist() == order


def test_fit_order_survives_clear_session_and_another_seed_gives_another():
    random.set_random_seed(5)
    order = random.fit_permutation(50)
    minikeras.naming.clear_session()
    assert_equal(random.fit_permutation(50), order)
    random.set_random_seed(6)
    assert not np.array_equal(random.fit_permutation(50), order)


def test_without_a_seed_every_epoch_has_its_order(monkeypatch):
    monkeypatch.setattr("minikeras.random.seed_generator._data_seed", None)
    first, second = random.fit_permutation(100), random.fit_permutation(100)
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second) == list(range(100))
    assert random.fit_permutation(0).shape == (0,)


def test_a_refused_seed_changes_nothing():
    random.set_random_seed(4)
    state, order = python_random.getstate(), random.fit_permutation(20)
    with pytest.raises(ValueError, match="between 0"):
        random.set_random_seed(2**32)
    assert python_random.getstate() == state
    assert_equal(random.fit_permutation(20), order)


def test_clear_session_forgets_the_same_settings():
    def settings(config):
        return {
            "dtype_policy": config.dtype_policy().name,
            "floatx": config.floatx(),
            "epsilon": config.epsilon(),
            "interactive_logging": config.is_interactive_logging_enabled(),
            "traceback_filtering": config.is_traceback_filtering_enabled(),
        }

    found = []
    for library in (minikeras, keras):
        before = library.config.epsilon()
        library.config.set_dtype_policy("float64")
        library.config.set_epsilon(1e-5)
        library.config.disable_interactive_logging()
        library.config.disable_traceback_filtering()
        library.utils.clear_session(free_memory=False)
        found.append(settings(library.config))
        library.config.set_epsilon(before)
    assert found[0] == found[1]
    assert found[0]["dtype_policy"] == "float32"
