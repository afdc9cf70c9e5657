"""Initializers: the arrays of Keras, the draws of Keras, the configs of Keras."""

from __future__ import annotations

import inspect
import math
import random as python_random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import initializers, random
from minikeras.initializers.random_initializers import compute_fans
from minikeras.serialization import custom_object_scope
from parity_tests.oracle import keras
from parity_tests.records import parity_case
from parity_tests.strategies import numbers, shapes
from parity_tests.tolerance import assert_close, assert_equal

SEEDS = st.integers(0, 2**32 - 1)
NAMED = (
    "GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform",
    "LecunNormal",
)  # fmt: skip
RANDOM = (
    *NAMED, "RandomUniform", "RandomNormal", "TruncatedNormal", "VarianceScaling",
    "Orthogonal",
)  # fmt: skip
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
KERAS_NAMES = sorted(keras.src.initializers.ALL_OBJECTS_DICT)


def both(name: str, **arguments: Any) -> tuple[Any, Any]:
    return (
        getattr(initializers, name)(**arguments),
        getattr(keras.initializers, name)(**arguments),
    )


def assert_same(ours: Any, theirs: Any, shape: Any, dtype: str | None) -> None:
    """The same numbers to the last bit, and the same config."""
    actual = ours(shape, dtype=dtype)
    assert isinstance(actual, np.ndarray)
    expected = np.asarray(theirs(shape, dtype=dtype))
    assert_equal(actual, expected)
    assert ours.get_config() == theirs.get_config()
    recorded(ours, actual, expected)


def recorded(ours: Any, actual: Any, expected: Any, **options: Any) -> None:
    """`assert_close`, in the report where it is about floats of our two dtypes."""
    dtype = str(expected.dtype)
    if dtype in ("float32", "float64"):
        with parity_case("initializer", type(ours).__name__, dtype):
            assert_close(actual, expected, **options)


@DTYPES
@pytest.mark.parametrize("name", NAMED)
@given(shape=shapes(0, 4, 0, 9), seed=SEEDS)
@example(shape=(3, 3, 64, 128), seed=1)
@example(shape=(784, 128), seed=1)
def test_named_equal_keras(name, shape, seed, dtype):
    ours, theirs = both(name, seed=seed)
    assert_same(ours, theirs, shape, dtype)
    assert_equal(ours(shape, dtype), ours(shape, dtype))  # an integer seed stays
    if math.prod(shape) > 4:  # the comparison must be able to fail
        other = getattr(initializers, name)(seed=seed + 1)
        assert not np.array_equal(other(shape, dtype), ours(shape, dtype))


@DTYPES
@given(
    scale=numbers(0, 10).map(lambda scale: scale + 0.001),
    mode=st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    distribution=st.sampled_from(
        ["normal", "uniform", "truncated_normal", "untruncated_normal", "Uniform"]
    ),
    shape=shapes(1, 4, 1, 9),
    seed=SEEDS,
    data=st.data(),
)
def test_variance_scaling_equals_keras(
    scale, mode, distribution, shape, seed, dtype, data
):
    arguments = {"scale": scale, "mode": mode, "distribution": distribution}
    if data.draw(st.booleans()):
        axes = st.lists(st.integers(-len(shape), len(shape) - 1), max_size=2)
        arguments["input_axes"] = data.draw(axes)
        arguments["output_axes"] = data.draw(st.one_of(st.none(), axes))
    assert_same(*both("VarianceScaling", seed=seed, **arguments), shape, dtype)


@DTYPES
@pytest.mark.parametrize("name", ["RandomUniform", "RandomNormal", "TruncatedNormal"])
@given(
    parameters=st.tuples(numbers(-2, 2), numbers(-2, 2)),
    shape=shapes(0, 3, 0, 9),
    seed=SEEDS,
)
def test_plain_distributions_equal_keras(name, parameters, shape, seed, dtype):
    names = list(inspect.signature(getattr(initializers, name)).parameters)[:2]
    arguments = dict(zip(names, parameters, strict=True))
    assert_same(*both(name, seed=seed, **arguments), shape, dtype)
    assert_same(*both(name, seed=seed), shape, dtype)


@DTYPES
@given(shape=shapes(2, 4, 1, 8), gain=numbers(-3, 3), seed=SEEDS)
@example(shape=(128, 512), gain=1.0, seed=5)
@example(shape=(256, 64), gain=1.0, seed=5)
def test_orthogonal_equals_keras_up_to_the_qr(shape, gain, seed, dtype):
    ours, theirs = both("Orthogonal", gain=gain, seed=seed)
    actual = ours(shape, dtype)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    k = max(rows, columns)
    # The rounding of a QR decomposition is amplified by the condition number.
    z = random.normal((k, min(rows, columns)), dtype="float64", seed=seed)
    condition = np.linalg.cond(z)
    scale = abs(gain) * condition
    expected = np.asarray(theirs(shape, dtype))
    recorded(ours, actual, expected, scale=scale, k=k)
    assert ours.get_config() == theirs.get_config()
    # Independent of Keras: the shorter side is orthonormal.
    matrix = actual.reshape(rows, columns)
    matrix = matrix if rows >= columns else matrix.T
    gram = matrix.T @ matrix
    identity = (gain * gain * np.eye(len(gram))).astype(dtype)
    assert_close(gram, identity, scale=gain * gain, k=k)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_orthogonal_without_elements(shape):
    assert_same(*both("Orthogonal", seed=1), shape, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@given(shape=shapes(0, 3, 0, 4), value=st.one_of(st.integers(-3, 3), numbers(-3, 3)))
@example(shape=(2,), value=0.1)  # in float64 through float32, as in Keras
@example(shape=(2, 3), value=0.1)
def test_constants_equal_keras(shape, dtype, value):
    assert_same(*both("Zeros"), shape, dtype)
    assert_same(*both("Ones"), shape, dtype)
    if dtype != "bool":  # TensorFlow cannot multiply booleans
        assert_same(*both("Constant", value=value), shape, dtype)
    if len(shape) == 2 and dtype.startswith("float"):
        ours, theirs = both("Identity", gain=value)
        assert_same(ours, theirs, shape, dtype)


def test_constant_takes_arrays():
    for value in ([0.1, 0.2], np.array([0.1, 0.2])):
        ours, theirs = both("Constant", value=value)
        assert_equal(ours((3, 2), "float64"), np.asarray(theirs((3, 2), "float64")))
        assert ours.get_config() == theirs.get_config()
        again = initializers.Constant.from_config(ours.get_config())
        assert_equal(again((3, 2)), ours((3, 2)))


@DTYPES
@given(
    side=st.sampled_from(["real", "imag"]),
    scaling=st.sampled_from([None, "density", "spectrum"]),
    windowed=st.booleans(),
    length=st.integers(1, 9),
    frequencies=st.integers(2, 9),
)
def test_stft_equals_keras(side, scaling, windowed, length, frequencies, dtype):
    window = np.linspace(0.1, 1, length) if windowed else None
    ours, theirs = both("STFT", side=side, window=window, scaling=scaling)
    shape = (length, 1, frequencies)
    expected = np.asarray(theirs(shape, dtype))
    # The angle has the rounding of a number up to 2 pi length.
    recorded(ours, ours(shape, dtype), expected, scale=2 * np.pi * length)


@pytest.mark.parametrize(
    ("window", "by_numpy"),
    [("hann", np.hanning), ("hamming", np.hamming), ("blackman", np.blackman)],
)
def test_stft_windows(window, by_numpy):
    def kernel(length: int, periodic: bool) -> np.ndarray:
        initializer = initializers.STFT("real", window, None, periodic)
        return initializer((length, 1, 2), "float64")[:, 0, 0]  # frequency 0: cos 0

    assert_close(kernel(8, False), by_numpy(8))
    assert_close(kernel(8, True), by_numpy(9)[:8])
    assert_equal(kernel(1, False), np.ones(1))


@given(shape=shapes(0, 5, 0, 9))
def test_fans_equal_keras(shape):
    theirs = keras.src.initializers.random_initializers.compute_fans
    assert compute_fans(shape) == theirs(shape)


def test_fans_by_hand():
    assert compute_fans((784, 10)) == (784, 10)
    assert compute_fans((5, 3, 8, 16)) == (15 * 8, 15 * 16)
    # A query kernel (inputs, heads, size): each number sees all inputs.
    assert compute_fans((6, 2, 3), input_axes=[0], output_axes=[1, 2]) == (6, 6)


# --- Seeds ----------------------------------------------------------------------------


def drawn(library: Any, generator: Any) -> list[Any]:
    """What constructing and calling every random initializer draws, in order."""
    python_random.seed(11)
    states = []
    for name in RANDOM:
        for seed in (None, 3, generator(5)):
            initializer = getattr(library, name)(seed=seed)
            values = [np.asarray(initializer((4, 3))) for _ in range(2)]
            initializer.clone()
            library.get(name)
            states += [
                python_random.getstate(),
                initializer.get_config()["seed"] is None,
            ]
            if name != "Orthogonal":
                states += [v.tobytes() for v in values]
    return states


def test_the_same_draws_at_the_same_moments():
    assert drawn(initializers, random.SeedGenerator) == drawn(
        keras.initializers, keras.random.SeedGenerator
    )


def test_reuse():
    plain = initializers.HeNormal()
    assert_equal(plain((3, 2)), plain((3, 2)))
    assert not np.array_equal(plain.clone()((3, 2)), plain((3, 2)))
    moving = initializers.HeNormal(seed=random.SeedGenerator(4))
    assert not np.array_equal(moving((3, 2)), moving((3, 2)))


def test_a_seed_generator_goes_through_the_config():
    seed = random.SeedGenerator(4, name="sg")
    config = initializers.HeNormal(seed=seed).get_config()
    theirs = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(4, name="sg"))
    assert config == theirs.get_config()
    again = initializers.HeNormal.from_config(config)
    assert_equal(again((3, 2)), initializers.HeNormal(seed=4)((3, 2)))


# --- Names and configs ----------------------------------------------------------------


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_names_mean_the_same_as_in_keras(name):
    if name.lower().startswith("stft"):  # Keras needs SciPy for the default window
        assert type(initializers.get(name)) is initializers.STFT
        return
    if (
        name.lower() == "constant"
    ):  # NB: a KeyError in Keras, whose value has no default
        assert initializers.get(name).get_config() == {"value": 0.0}
        return
    ours, theirs = initializers.get(name), keras.initializers.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert ours.get_config() == theirs.get_config()
    assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
    again = initializers.deserialize(keras.initializers.serialize(theirs))
    assert type(again) is type(ours)
    old = initializers.deserialize({"class_name": name, "config": {}})
    assert type(old) is type(ours)


def test_every_public_name_of_keras_is_there():
    public = [name for name in dir(keras.initializers) if not name.startswith("_")]
    assert [name for name in public if not hasattr(initializers, name)] == []


def test_get_takes_classes_instances_functions_and_arrays():
    instance = initializers.HeNormal(seed=1)
    assert initializers.get(instance) is instance
    assert initializers.get(None) is None
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    assert initializers.get(len) is len
    array = np.array([0.1, 0.2])
    assert_equal(initializers.get(array)((2,), "float32"), array.astype("float32"))
    with pytest.raises(ValueError, match="Expected `shape`"):
        initializers.get(array)((3,))


class Sevens(initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return np.full(shape, 7, dtype)


def test_custom_initializers():
    config = initializers.serialize(Sevens())
    assert config["class_name"] == "Sevens"
    for identifier in ("Sevens", config, Sevens):
        with custom_object_scope({"Sevens": Sevens}):
            assert_equal(
                initializers.get(identifier)((2,), "float32"), np.full(2, 7, "f4")
            )
    again = initializers.deserialize(config, custom_objects={"Sevens": Sevens})
    assert isinstance(again, Sevens)


UNKNOWN = {"class_name": "X", "config": {}}
scaling, stft = initializers.VarianceScaling, initializers.STFT


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "mean 'GlorotUniform'", lambda: initializers.get("GlorotUnifrom")),
        (ValueError, "interpret initializer", lambda: initializers.get(3)),
        (ValueError, "interpret", lambda: initializers.get(UNKNOWN)),
        (ValueError, "`seed`", lambda: initializers.HeNormal(seed="x")),
        (ValueError, "`seed`", lambda: initializers.HeNormal(seed=np.int64(3))),
        (ValueError, "`seed`", lambda: initializers.HeNormal(seed=1.0)),
        (TypeError, "foo", lambda: initializers.HeNormal(foo=1)),
        (ValueError, "`scale`", lambda: scaling(scale=-1)),
        (ValueError, "`mode`", lambda: scaling(mode="x")),
        (ValueError, "`distribution`", lambda: scaling(distribution="x")),
        (ValueError, "2D matrices", lambda: initializers.Identity()((3,))),
        (ValueError, "two-dimensional", lambda: initializers.Orthogonal()((3,))),
        (ValueError, "unknown sizes", lambda: initializers.Zeros()((2, None))),
        (ValueError, "Negative", lambda: initializers.GlorotUniform()((2, -3))),
        (ValueError, "Expected a shape", lambda: initializers.GlorotUniform()(3)),
        (NotImplementedError, "__call__", lambda: initializers.Initializer()((2,))),
        (ValueError, "side", lambda: stft("x")),
        (ValueError, "Scaling", lambda: stft(scaling="x")),
        (ValueError, "window", lambda: stft(window="kaiser")),
        (ValueError, "frame_length", lambda: stft(window=np.ones(4))((3, 1, 5))),
        (ValueError, "frame_length", lambda: stft()((3, 5))),
    ],
)  # fmt: skip
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()
