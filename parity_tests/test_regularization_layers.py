"""The dropout family, noise, and activity regularization.

In training the same seed gives the same mask as in Keras, so outputs and gradients are
compared as for any layer; the masks themselves must be equal to the bit.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal
from parity_tests.twins import check, check_same_error

RATES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9])
SEEDS = st.one_of(st.integers(0, 2**31 + 5), st.just(1337))
SPATIAL = {"SpatialDropout1D": 3, "SpatialDropout2D": 4, "SpatialDropout3D": 5}


@st.composite
def dropout_cases(draw):
    """A config of Dropout and an input."""
    x = draw(strategies.values(strategies.shapes(1, 4)))
    noise_shape = None
    if draw(st.booleans()):
        noise_shape = tuple(draw(st.sampled_from([None, 1, n])) for n in x.shape)
        noise_shape = noise_shape[draw(st.integers(0, len(x.shape) - 1)) :]
    if noise_shape is not None and len(noise_shape) < len(x.shape):
        noise_shape = tuple(1 for _ in noise_shape)
    return {"rate": draw(RATES), "seed": draw(SEEDS), "noise_shape": noise_shape}, x


def empty_batch_works(config):
    """A noise shape with a number for the batch fits that batch only."""
    shape = config.get("noise_shape")
    return shape is None or shape[0] in (None, 1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout"])
@given(case=dropout_cases(), dtype=strategies.dtypes())
def test_dropout_equals_keras(name, training, case, dtype):
    config, x = case
    check(
        name,
        config,
        x,
        dtype=dtype,
        training=training,
        empty_batch=empty_batch_works(config) or not training,
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPATIAL)
@given(rate=RATES, seed=SEEDS, dtype=strategies.dtypes(), data=st.data())
def test_spatial_dropout_equals_keras(name, training, rate, seed, dtype, data):
    rank = SPATIAL[name]
    x = data.draw(strategies.values(strategies.shapes(rank, rank, high=3)))
    config = {"rate": rate, "seed": seed}
    if rank > 3:
        config["data_format"] = data.draw(strategies.data_formats())
    check(name, config, x, dtype=dtype, training=training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout"])
@given(
    rate=RATES,
    seed=SEEDS,
    x=strategies.values(strategies.shapes()),
    dtype=strategies.dtypes(),
)
def test_noise_equals_keras(name, training, rate, seed, x, dtype):
    argument = "stddev" if name == "GaussianNoise" else "rate"
    config = {argument: rate, "seed": seed}
    check(name, config, x, dtype=dtype, training=training)


@pytest.mark.parametrize("dtype", strategies.DTYPES)
@pytest.mark.parametrize("noise_shape", [None, (None, 1, 7)])
def test_masks_are_those_of_keras(dtype, noise_shape):
    """Five calls: the generator moves on by one in training, and only then."""
    x = np.ones((4, 5, 7), dtype)
    config = {"rate": 0.4, "seed": 7, "noise_shape": noise_shape, "dtype": dtype}
    ours, theirs = layers.Dropout(**config), keras.layers.Dropout(**config)
    for training in (True, False, True, True, False):
        expected = np.asarray(theirs(x, training=training))
        assert_equal(ours(x, training=training), expected)
        state = np.asarray(theirs.seed_generator.state.value)
        assert_equal(ours.seed_generator.state.numpy(), state)


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout"])
@pytest.mark.parametrize("dtype", strategies.DTYPES)
def test_noise_is_that_of_keras(name, dtype):
    x = np.linspace(-2, 2, 1000).astype(dtype).reshape(20, 50)
    ours = getattr(layers, name)(0.3, seed=11, dtype=dtype)
    theirs = getattr(keras.layers, name)(0.3, seed=11, dtype=dtype)
    for _ in range(3):
        assert_equal(ours(x, training=True), np.asarray(theirs(x, training=True)))


def test_by_hand():
    layer = layers.Dropout(0.75, seed=3, dtype="float64")
    x = np.arange(1.0, 9.0).reshape(2, 4)
    y, residuals = layer.forward(x, training=True)
    assert_equal(y, np.where(residuals.keep, 4 * x, 0.0))
    dy = np.arange(10.0, 18.0).reshape(2, 4)
    dx = layer.backward(dy, residuals, Gradients())
    assert_equal(dx, np.where(residuals.keep, 4 * dy, 0.0))
    assert layer.forward(x)[1] is None


def test_a_dropped_nan_is_zero():
    layer = layers.Dropout(0.5, seed=1, dtype="float64")
    y, residuals = layer.forward(np.full(100, np.nan), training=True)
    assert_equal(np.isnan(y), residuals.keep)


def test_rate_one_drops_all_and_draws_nothing():
    x = np.ones((2, 3), "float32")
    for module in (layers, keras.layers):
        layer = module.Dropout(1.0, seed=5)
        assert_equal(np.asarray(layer(x, training=True)), np.zeros((2, 3), "float32"))
        assert_equal(np.asarray(layer.seed_generator.state)[1], np.int64(0))
    assert_equal(layers.Dropout(1.0)(x), x)


@pytest.mark.parametrize("name", ["GaussianDropout", "AlphaDropout"])
def test_rate_one_has_no_finite_noise(name):
    for module in (layers, keras.layers):
        layer = getattr(module, name)(1.0)
        with pytest.raises(ZeroDivisionError):
            layer(np.ones(3), training=True)


def test_seed_generators():
    """Only where something is drawn; in `variables`, not in `weights`."""
    for module in (layers, keras.layers):
        assert not hasattr(module.Dropout(0.0), "seed_generator")
        layer = module.Dropout(0.5)
        assert len(layer.variables) == 1 and not layer.weights


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "GaussianDropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.5, 30])
def test_refuses_rates(name, rate):
    check_same_error(
        lambda module: getattr(module, name)(rate),
        ValueError,
        "`rate`. Expected a float value between 0 and 1",
    )


def test_refuses_stddev():
    check_same_error(lambda module: module.GaussianNoise(1.5), ValueError, "`stddev`")


@pytest.mark.parametrize("noise_shape", ["abc", 3, (1, 2.0), (0, 1), (-1, 2)])
def test_refuses_noise_shapes(noise_shape):
    check_same_error(
        lambda module: module.Dropout(0.5, noise_shape=noise_shape),
        ValueError,
        "Invalid value received for argument `noise_shape`",
    )


@pytest.mark.parametrize("noise_shape", [(3, 1), (2, 3, 1), (None, None, None)])
def test_refuses_noise_shapes_that_do_not_fit(noise_shape):
    layer = layers.Dropout(0.5, noise_shape=noise_shape, name="drop")
    with pytest.raises(
        ValueError, match="`noise_shape` of layer 'drop' must broadcast"
    ):
        layer(np.ones((2, 4)), training=True)


def test_refuses_integers_in_training():
    for module in (layers, keras.layers):
        layer = module.Dropout(0.5)
        with pytest.raises(ValueError, match="floating point"):
            layer(np.array([[1, 2]]), training=True)


@pytest.mark.parametrize("name", SPATIAL)
def test_refuses_other_ranks(name):
    check_same_error(
        lambda module: getattr(module, name)(0.5)(np.ones((2, 3))),
        ValueError,
        f"expected ndim={SPATIAL[name]}, found ndim=2",
    )


@given(
    l1=st.sampled_from([0.0, 0.1]),
    l2=st.sampled_from([0.0, 0.5]),
    x=strategies.values(strategies.shapes()),
    dtype=strategies.dtypes(),
)
def test_activity_regularization_equals_keras(l1, l2, x, dtype):
    check("ActivityRegularization", {"l1": l1, "l2": l2}, x, dtype=dtype)
    ours = layers.ActivityRegularization(l1, l2, dtype=dtype)
    theirs = keras.layers.ActivityRegularization(l1, l2, dtype=dtype)
    ours(x(dtype)), theirs(x(dtype))
    assert len(ours.losses) == len(theirs.losses) == 1


def test_activity_regularization_by_hand():
    layer = layers.ActivityRegularization(l1=1.0, l2=0.5, dtype="float64")
    layer(np.array([[1.0, -3.0], [2.0, 0.0]]))
    assert float(layer.losses[0]) == (1 + 3 + 2 + 0.5 * (1 + 9 + 4)) / 2
