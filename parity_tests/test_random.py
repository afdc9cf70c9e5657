"""Random streams: bit for bit those of Keras on TensorFlow, from the same seeds."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import random
from minikeras.random import glibc, philox, streams
from parity_tests.oracle import keras, tf
from parity_tests.strategies import dtypes, numbers, shapes
from parity_tests.tolerance import assert_close, assert_equal

INT64 = st.integers(-(2**63), 2**63 - 1)
# What Keras is given as a seed, and how far into a stream it may be.
SEEDS = st.one_of(st.integers(0, 2**32 - 1), INT64)
DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")

# The known answers of the authors' library (Random123, kat_vectors, philox4x32 10).
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def hexadecimal(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


# --- Philox by itself -----------------------------------------------------------------


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_published_vectors(counter, key, answer):
    counter, key, answer = map(hexadecimal, (counter, key, answer))
    assert philox.block(counter, key) == answer
    stream = philox.Stream(*key, *counter[2:])
    index = np.array([counter[0] | counter[1] << 32], np.uint64)
    assert tuple(philox.blocks(index, stream).view(np.uint32).ravel()) == answer


@given(
    stream=st.tuples(*[st.integers(0, 2**32 - 1)] * 4),
    first=st.one_of(st.integers(0, 100), st.integers(2**32 - 20, 2**40)),
    count=st.integers(0, 30),
)
@example(stream=(1, 2, 3, 4), first=2**32 - 2, count=4)  # the low word overflows
def test_many_blocks_are_single_blocks(stream, first, count):
    stream = philox.Stream(*stream)
    expected = [
        philox.block((i & philox.MASK, i >> 32, *stream[2:]), stream[:2])
        for i in range(first, first + count)
    ]
    words = philox.words(stream, 4 * count, first).reshape(count, 4)
    assert_equal(words, np.array(expected, np.uint32).reshape(count, 4))


def test_streams_longer_than_a_chunk_have_no_seam():
    stream = philox.raw_stream(5, 6)
    whole = philox.words(stream, 4 * (philox.CHUNK + 10))
    tail = philox.words(stream, 40, first_block=philox.CHUNK)
    assert_equal(tail, whole[-40:])


@given(
    kind=st.sampled_from(["uniform", "normal", "truncated_normal", "keep", "integers"]),
    seed=st.tuples(INT64, INT64),
    dtype=dtypes(),
    count=st.integers(0, 200),
    data=st.data(),
)
def test_a_slice_of_a_stream_is_that_slice(kind, seed, dtype, count, data):
    offset = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(offset, count))

    def draw(n, start=0):
        if kind == "keep":
            return streams.keep_mask(seed, n, 0.3, dtype, start)
        if kind == "integers":
            return streams.integers(seed, n, -3, 1000, f"int{dtype[-2:]}", start)
        return getattr(streams, kind)(seed, n, dtype, start)

    assert_equal(draw(stop - offset, offset), draw(count)[offset:stop])


@given(seed=st.tuples(INT64, INT64), rate=st.floats(0, 1), dtype=dtypes())
@example(
    seed=(7, 0), rate=float(streams.uniform((7, 0), 1, "float32")[0]), dtype="float32"
)
@example(
    seed=(7, 0), rate=float(streams.uniform((7, 0), 1, "float64")[0]), dtype="float64"
)
def test_keep_mask_is_a_comparison_of_uniforms(seed, rate, dtype):
    u = streams.uniform(seed, 50, dtype)
    assert_equal(
        streams.keep_mask(seed, 50, rate, dtype), u >= np.dtype(dtype).type(rate)
    )


def test_c_library_functions_are_the_logarithm_and_the_circle():
    u = streams.uniform((3, 4), 20_000, "float32")
    x = np.maximum(u, np.float32(1e-7))
    v = (u * (2 * np.pi)).astype(np.float32)
    sin, cos = glibc.sincos(v)
    for actual, function, argument in (
        (glibc.log(x), math.log, x),
        (sin.astype(np.float32), math.sin, v),
        (cos.astype(np.float32), math.cos, v),
    ):
        expected = np.array([function(a) for a in argument.tolist()], np.float32)
        assert_close(actual, expected, scale=expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments(dtype):
    n = 200_000
    u, z = streams.uniform((1, 2), n, dtype), streams.normal((1, 2), n, dtype)
    t = streams.truncated_normal((1, 2), n, dtype)
    for values, mean, stddev in ((u, 0.5, 12**-0.5), (z, 0, 1), (t, 0, 0.8796)):
        assert values.dtype == dtype
        assert abs(values.mean() - mean) < 5 * stddev / math.sqrt(n)
        assert abs(values.std() - stddev) < 5 * stddev / math.sqrt(n)
    assert 0 <= u.min() and u.max() < 1 and np.abs(t).max() < 2


# --- Beside Keras ---------------------------------------------------------------------


@given(
    name=st.sampled_from(DISTRIBUTIONS),
    shape=shapes(min_rank=0, max_rank=4, low=0, high=12),
    seed=SEEDS,
    dtype=dtypes(),
    a=numbers(-10, 10),
    b=numbers(0, 10),
)
@example(name="uniform", shape=(50,), seed=2**31, dtype="float64", a=-0.1, b=0.1)
@example(name="normal", shape=(), seed=2147483646, dtype="float32", a=0.1, b=0.7)
def test_distributions_equal_keras(name, shape, seed, dtype, a, b):
    first, second = ("minval", "maxval") if name == "uniform" else ("mean", "stddev")
    options = {first: a, second: b, "dtype": dtype, "seed": seed}
    expected = getattr(keras.random, name)(shape, **options).numpy()
    actual = getattr(random, name)(shape, **options)
    assert isinstance(actual, np.ndarray)
    assert_equal(actual, np.asarray(expected))
    if actual.size > 4 and b > 0.1:  # the comparison must be able to fail
        options["seed"] = seed - 1
        assert not np.array_equal(getattr(random, name)(shape, **options), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_large_arrays_equal_keras(name, dtype):
    n = 1_000_003 if dtype == "float32" else 200_003
    expected = getattr(keras.random, name)((n,), dtype=dtype, seed=12).numpy()
    assert_equal(getattr(random, name)((n,), dtype=dtype, seed=12), expected)


@given(seed=SEEDS, dtype=st.sampled_from(["int32", "int64"]), data=st.data())
def test_randint_equals_keras(seed, dtype, data):
    limits = np.iinfo(dtype)
    low = data.draw(st.integers(limits.min, limits.max - 1))
    high = data.draw(st.integers(low + 1, limits.max))
    expected = keras.random.randint((3, 7), low, high, dtype=dtype, seed=seed)
    assert_equal(random.randint((3, 7), low, high, dtype, seed), expected.numpy())


@given(
    seed=SEEDS,
    dtype=st.sampled_from(["int8", "uint8", "int16", "uint16", "uint32", "uint64"]),
    low=st.integers(-300, 300),
    width=st.integers(1, 2**33),
)
def test_randint_wraps_in_small_dtypes_as_keras(seed, dtype, low, width):
    expected = keras.random.randint((9,), low, low + width, dtype=dtype, seed=seed)
    assert_equal(random.randint((9,), low, low + width, dtype, seed), expected.numpy())


@given(
    shape=shapes(min_rank=1, max_rank=4, low=1, high=6),
    rate=st.one_of(st.sampled_from([0.0, 0.5, 1.0]), numbers(0, 1)),
    seed=SEEDS,
    dtype=dtypes(),
    data=st.data(),
)
def test_dropout_equals_keras(shape, rate, seed, dtype, data):
    x = streams.normal((1, 1), math.prod(shape), dtype).reshape(shape)
    x.flat[0] = np.inf  # dropped means 0, not inf * 0
    noise_shape = None
    if data.draw(st.booleans()):
        noise_shape = tuple(data.draw(st.sampled_from([None, 1, n])) for n in shape)
    expected = keras.random.dropout(tf.constant(x), rate, noise_shape, seed).numpy()
    assert_equal(random.dropout(x, rate, noise_shape, seed), expected)


@given(n=st.integers(1, 40), axis=st.sampled_from([0, 1, -1, -2]), seed=SEEDS)
@example(n=30_000, axis=0, seed=9)  # long enough for equal sort keys
def test_shuffle_equals_keras(n, axis, seed):
    x = np.arange(2 * n).reshape(n, 2)
    assert_equal(
        random.shuffle(x, axis, seed), keras.random.shuffle(x, axis, seed).numpy()
    )


@given(
    rows=st.integers(0, 8),
    classes=st.integers(1, 6),
    samples=st.integers(0, 20),
    seed=SEEDS,
    dtype=dtypes(),
)
def test_categorical_equals_keras(rows, classes, samples, seed, dtype):
    logits = streams.normal((2, 2), rows * classes, dtype).reshape(rows, classes)
    logits *= 3
    logits[:, :1][::3] = -np.inf  # impossible classes; in a single class, all of them
    for out in ("int32", "int64"):
        expected = keras.random.categorical(logits, samples, out, seed).numpy()
        assert_equal(random.categorical(logits, samples, out, seed), expected)


@given(seed=SEEDS)
def test_array_parameters_broadcast_as_in_keras(seed):
    mean = np.array([1.0, 2.0, 3.0], "float32")
    assert_equal(
        random.normal((2, 3), mean, 0.5, seed=seed),
        keras.random.normal((2, 3), mean, 0.5, seed=seed).numpy(),
    )
    assert_equal(
        random.uniform((2, 3), mean, 9.0, seed=seed),
        keras.random.uniform((2, 3), mean, 9.0, seed=seed).numpy(),
    )


def test_a_batch_can_be_drawn_in_parts():
    """What a micro-batch does: a pair of seeds for the step, and its own offset."""
    seed = random.SeedGenerator(4).next()
    whole = random.dropout_mask((6, 10), 0.3, "float32", seed)
    parts = [
        random.dropout_mask((2, 10), 0.3, "float32", seed, offset=start * 10)
        for start in (0, 2, 4)
    ]
    assert_equal(np.concatenate(parts), whole)
    noise = random.normal((6, 10), seed=seed)
    assert_equal(random.normal((2, 10), seed=seed, offset=40), noise[4:])


# --- Bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "floating point", lambda: random.uniform((2,), dtype="int32")),
        (TypeError, "floating point", lambda: random.normal((2,), dtype="int32")),
        (ValueError, "float32", lambda: random.normal((2,), dtype="float16")),
        (ValueError, "integer", lambda: random.randint((2,), 0, 3, dtype="float32")),
        (ValueError, "integer", lambda: random.randint((2,), 0, 3, dtype=None)),
        (ValueError, "minval < maxval", lambda: random.randint((2,), 3, 3)),
        (ValueError, "does not fit", lambda: random.randint((2,), 0, 2**40)),
        (TypeError, "integer", lambda: random.randint((2,), 0.5, 3)),
        (ValueError, "`seed` must be", lambda: random.uniform((2,), seed="x")),
        (ValueError, "`seed` must be", lambda: random.uniform((2,), seed=np.int64(3))),
        (ValueError, "64 bits", lambda: random.uniform((2,), seed=2**63)),
        (ValueError, "integer", lambda: random.uniform((2,), seed=True)),
        (ValueError, "Negative", lambda: random.uniform((2, -1))),
        (ValueError, "Expected a shape", lambda: random.uniform(3)),
        (ValueError, "unknown sizes", lambda: random.uniform((None, 3))),
        (ValueError, "must be an integer", lambda: random.SeedGenerator("x")),
        (ValueError, "Unrecognized", lambda: random.SeedGenerator(2, foo=1)),
        (ValueError, "an integer", lambda: random.set_random_seed("x")),
        (ValueError, "between 0", lambda: random.set_random_seed(-1)),
        (ValueError, "between 0", lambda: random.set_random_seed(2**32)),
        (ValueError, "floating point", lambda: random.dropout(np.ones(3, int), 0.5)),
        (ValueError, "range", lambda: random.dropout(np.ones(3), 1.5)),
        (ValueError, "noise_shape", lambda: random.dropout(np.ones((3, 2)), 0.5, (3,))),
        (ValueError, "axis", lambda: random.shuffle(np.ones(3), axis=1)),
        (ValueError, "2-D", lambda: random.categorical(np.zeros(3), 2)),
        (ValueError, "class", lambda: random.categorical(np.zeros((2, 0)), 2)),
        (NotImplementedError, "gamma", lambda: random.gamma((2,), 1.0)),
        (NotImplementedError, "beta", lambda: random.beta((2,), 1.0, 1.0)),
        (NotImplementedError, "binomial", lambda: random.binomial((2,), 5, 0.5)),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


# --- Names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in dir(keras.random) if not name.startswith("_")]
)
def test_names_and_arguments_are_keras_s(name):
    ours, theirs = (
        {
            parameter.name: parameter.default
            for parameter in inspect.signature(
                getattr(library, name)
            ).parameters.values()
        }
        for library in (random, keras.random)
    )
    more = {"offset": 0} if "offset" in ours else {}
    assert ours == {**theirs, **more}
