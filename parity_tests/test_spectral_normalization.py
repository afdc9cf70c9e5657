"""SpectralNormalization: against Keras, by hand, in training and out of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops.power_iteration import spectral_norm
from parity_tests import oracle, runner, strategies
from parity_tests.functions import default_dtype
from parity_tests.harness import check_layer
from parity_tests.oracle import keras
from parity_tests.records import parity_case
from parity_tests.tolerance import assert_close, assert_equal, assert_trajectory_close
from parity_tests.twins import check_files, check_same_error

DTYPES = pytest.mark.parametrize("dtype", strategies.DTYPES)
INNER = {
    "Dense": (lambda k: k.Dense(3, "tanh", kernel_regularizer="l2"), (4, 5)),
    "Dense of sequences": (lambda k: k.Dense(2, bias_constraint="non_neg"), (2, 3, 4)),
    "Conv2D": (lambda k: k.Conv2D(2, 2, padding="same"), (2, 3, 4, 2)),
    "Conv1D": (lambda k: k.Conv1D(3, 2, use_bias=False), (2, 4, 2)),
    "Conv2DTranspose": (lambda k: k.Conv2DTranspose(2, 2), (1, 3, 2, 3)),
    "DepthwiseConv2D": (lambda k: k.DepthwiseConv2D(2), (1, 3, 3, 2)),
    "EinsumDense": (lambda k: k.EinsumDense("abc,cd->abd", (3, 2)), (2, 3, 4)),
}
EACH = pytest.mark.parametrize("name", INNER)


def both(name, iterations, dtype, seed):
    """The layer and Keras's, built, with the same weights; and an input."""
    make, shape = INNER[name]
    x = strategies.Values(shape, seed)().astype(dtype)
    found = []
    for k in (layers, keras.layers):
        layer = k.SpectralNormalization(make(k), power_iterations=iterations)
        layer.build(shape)
        found.append(layer)
    ours, theirs = found
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(w.shape) * 0.5 for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return ours, theirs, x


def compare(ours, theirs, steps, depth="forward"):
    """All weights of both."""
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert_equal(a.path, b.path)
        value = b.value.numpy()
        if depth == "weights":
            assert_trajectory_close(a.numpy(), value, steps=steps, name=b.path)
        else:
            assert_close(a.numpy(), value, k=64, name=b.path, depth=depth)


@EACH
@DTYPES
def test_in_inference(name, dtype):
    make, shape = INNER[name]
    check_layer(
        lambda: layers.SpectralNormalization(make(layers)),
        lambda: keras.layers.SpectralNormalization(make(keras.layers)),
        strategies.Values(shape),
        dtype=dtype,
        train_steps=0,
    )


@EACH
@DTYPES
@given(seed=strategies.seeds(), iterations=st.integers(1, 3))
def test_one_training_call(name, dtype, seed, iterations):
    """The output, every gradient, and what the call made of the weights."""
    case = parity_case("layer", "SpectralNormalization", dtype)
    with default_dtype(dtype), case:
        ours, theirs, x = both(name, iterations, dtype, seed)
        rng = np.random.default_rng(seed + 1)
        reference = oracle.run_layer(
            theirs, x, dy=lambda y: runner.random_like(y, rng), training=True
        )
        y, residuals = runner.forward(ours, runner.frozen(x), training=True)
        assert_close(y, reference.y, k=64, name="y", depth="forward")
        compare(ours, theirs, 1)
        grads = Gradients()
        dx = ours.backward(reference.dy, residuals, grads)
        assert_close(dx, reference.dx, k=64, name="dx", depth="gradients")
        weights = zip(ours.trainable_weights, reference.dweights, strict=True)
        for weight, expected in weights:
            name = f"d {weight.path}"
            assert_close(
                grads.get(weight), expected, k=64, name=name, depth="gradients"
            )


PENALIZED = (lambda k: k.Dense(2, activity_regularizer="l2"), (2, 3, 4))


@pytest.mark.parametrize("name", [*INNER, "penalized"])
@DTYPES
def test_training(name, dtype):
    """Fits of a model with it, in both libraries."""
    make, shape = INNER.get(name, PENALIZED)
    with default_dtype(dtype), parity_case("layer", "SpectralNormalization", dtype):
        found = []
        x = strategies.Values((6, *shape[1:]), seed=1)().astype(dtype)
        y = strategies.Values((6, 1), seed=2)().astype(dtype)
        for library in (minikeras, keras):
            library.utils.set_random_seed(5)
            k = library.layers
            spectral = k.SpectralNormalization(make(k))
            model = library.Sequential(
                [library.Input(shape[1:]), spectral, k.Flatten(), k.Dense(1)]
            )
            model.compile(library.optimizers.SGD(0.05), "mse")
            model.fit(x, y, epochs=2, batch_size=4, verbose=0)
            found.append(model)
        for a, b in zip(found[0].layers, found[1].layers, strict=True):
            compare(a, b, steps=4, depth="weights")


@DTYPES
def test_two_calls_in_one_step(dtype):
    """The second call changes the kernel again; each gradient is at its own."""
    with default_dtype(dtype):
        ours, theirs, x = both("Dense", 1, dtype, 3)
        rng = np.random.default_rng(0)
        dy = [rng.standard_normal((4, 3)).astype(dtype) for _ in range(2)]
        inputs = [x, x[::-1].copy()]
        tf = oracle.tf
        tensors = [tf.constant(a) for a in inputs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = [theirs(t, training=True) for t in tensors]
            total = sum(tf.reduce_sum(a * b) for a, b in zip(outputs, dy, strict=True))
        expected = oracle.arrays(tape.gradient(total, tensors))
        calls = [ours.forward(a, training=True) for a in inputs]
        before = ours.get_weights()
        found = [
            ours.backward(d, residuals, Gradients())
            for d, (_, residuals) in zip(dy, calls, strict=True)
        ]
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b, k=64)
        for a, b in zip(ours.get_weights(), before, strict=True):
            assert_equal(a, b)


def test_a_kernel_of_zeros_is_left_alone():
    for k in (layers, keras.layers):
        layer = k.SpectralNormalization(k.Dense(2, kernel_initializer="zeros"))
        layer.build((None, 3))
        before = [np.array(w) for w in layer.get_weights()]
        y = np.array(layer(np.ones((1, 3), "float32"), training=True))
        assert_equal(y, np.zeros((1, 2), "float32"))
        for a, b in zip(layer.get_weights(), before, strict=True):
            assert_equal(np.array(a), b)


def test_an_embedding():
    """NB: Keras casts the output to the dtype of the ids: zeros."""
    ids = np.array([[1, 2], [0, 1]], "int32")
    layer = layers.SpectralNormalization(layers.Embedding(3, 2))
    y = layer(ids, training=True)
    assert_equal(y, layer.kernel.numpy()[ids])
    theirs = keras.layers.SpectralNormalization(keras.layers.Embedding(3, 2))
    assert_equal(str(np.array(theirs(ids)).dtype), "int32")


def test_many_rounds_find_the_singular_value():
    matrix = np.random.default_rng(0).standard_normal((5, 3))
    sigma, _ = spectral_norm(matrix, np.ones((1, 3)), 200)
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    assert_close(sigma, np.array([[exact]]))


def test_the_same_draws():
    found = []
    for library in (minikeras, keras):
        library.utils.set_random_seed(3)
        k = library.layers
        layer = k.SpectralNormalization(k.Dense(2))
        layer.build((None, 3))
        found.append([np.array(w) for w in layer.get_weights()])
        found[-1].append(np.array(k.Dense(2)(np.ones((1, 3), "float32"))))
    for a, b in zip(*found, strict=True):
        assert_close(a, b)


@EACH
def test_files(name, tmp_path):
    make, shape = INNER[name]

    def model(library):
        k = library.layers
        spectral = k.SpectralNormalization(make(k), power_iterations=2)
        return library.Sequential([library.Input(shape[1:]), spectral])

    check_files(model, strategies.Values(shape)().astype("float32"), tmp_path)


@pytest.mark.parametrize(
    ("use", "match"),
    [
        (lambda k: k.SpectralNormalization("dense"), "isn't a supported layer type"),
        (lambda k: k.SpectralNormalization(k.Dense(2), 0), "greater than zero"),
        (
            lambda k: k.SpectralNormalization(k.Flatten()).build((2, 3)),
            "has no attribute 'kernel'",
        ),
    ],
)
def test_errors(use, match):
    check_same_error(use, ValueError, match)
