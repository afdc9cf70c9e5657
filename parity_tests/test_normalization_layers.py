"""Batch, layer, group, root mean square and unit normalization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.gradients import Gradients
from parity_tests import strategies
from parity_tests.battery import check_contract
from parity_tests.functions import default_dtype
from parity_tests.harness import check_layer
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras
from parity_tests.test_saving import check_exchange
from parity_tests.tolerance import assert_close, assert_equal, assert_trajectory_close
from parity_tests.twins import check, check_config_travels, check_same_error

REGULARIZERS = st.sampled_from([None, "l1", "l2"])
CONSTRAINTS = st.sampled_from([None, "non_neg"])
# Differences that are not rounding: constant channels make the variance exactly 0 and
# the gradient a difference of equal numbers; `scales` already reaches tiny variances.
VALUES = ("ties", "zeros")


@st.composite
def batch_normalization_cases(draw, *, renorm=False):
    """A config of BatchNormalization and an input; at least two positions a channel."""
    shape = draw(strategies.shapes(2, 5, high=4))
    shape = (shape[0] + 1, *shape[1:])
    rank = len(shape)
    config = {
        "axis": draw(st.sampled_from([-1, *range(1, rank)])),
        "momentum": draw(st.sampled_from([0.99, 0.5, 0.0])),
        "epsilon": draw(st.sampled_from([1e-3, 1e-5, 0.1])),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "gamma_regularizer": draw(REGULARIZERS),
        "beta_regularizer": draw(REGULARIZERS),
        "gamma_constraint": draw(CONSTRAINTS),
        "beta_constraint": draw(CONSTRAINTS),
    }
    if renorm:
        limits = {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}
        kept = draw(st.sets(st.sampled_from(sorted(limits))))
        config["renorm"] = True
        config["renorm_clipping"] = {key: limits[key] for key in sorted(kept)}
        config["renorm_momentum"] = draw(st.sampled_from([0.99, 0.3]))
    return config, draw(strategies.values(shape, specials=VALUES))


def positive_statistics(names, rng):
    """Random weights; variances and standard deviations are positive."""
    values = []
    for path, shape in names:
        value = rng.standard_normal(shape) * 0.5
        spread = "variance" in path or "stddev" in path
        values.append(np.abs(value) + 0.1 if spread else value)
    return values


class TestBatchNormalization:
    @given(
        case=batch_normalization_cases(),
        training=st.booleans(),
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, case, training, dtype):
        config, x = case
        check(
            "BatchNormalization",
            config,
            x,
            dtype=dtype,
            training=training,
        )

    @given(
        case=batch_normalization_cases(renorm=True),
        training=st.booleans(),
        dtype=strategies.dtypes(),
    )
    def test_renorm_equals_keras(self, case, training, dtype):
        config, x = case
        # r and d count as constants, so the gradient is not that of the forward pass.
        check(
            "BatchNormalization",
            config,
            x,
            dtype=dtype,
            training=training,
            weights=positive_statistics,
            numeric=not training,
        )

    @given(
        batch=strategies.sizes(1, 4),
        time=strategies.sizes(1, 4),
        channels=strategies.sizes(2, 4),
        training=st.booleans(),
        dtype=strategies.dtypes(),
        data=st.data(),
    )
    def test_masked_equals_keras(self, batch, time, channels, training, dtype, data):
        mask = data.draw(strategies.masks(batch, time))
        x = data.draw(strategies.values((batch, time, channels), specials=VALUES))
        axis = data.draw(st.sampled_from([-1, 2]))
        check(
            "BatchNormalization",
            {"axis": axis},
            x,
            dtype=dtype,
            training=training,
            mask=mask,
        )

    def test_masked_steps_do_not_count(self):
        x = np.array([[[1.0], [3.0], [1000.0]]])
        mask = np.array([[True, True, False]])
        layer = layers.BatchNormalization(dtype="float64", momentum=0.0, epsilon=0.0)
        y = layer(x, training=True, mask=mask)
        assert_close(layer.moving_mean.numpy(), np.array([2.0]), scale=1e8)
        assert_close(y[0, :2, 0], np.array([-1.0, 1.0]), scale=1e8)

    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @pytest.mark.parametrize("axis", [-1, 1])
    def test_moving_statistics_over_steps(self, dtype, axis):
        config = {"axis": axis, "momentum": 0.9, "dtype": dtype}
        ours = layers.BatchNormalization(**config)
        theirs = keras.layers.BatchNormalization(**config)
        rng = np.random.default_rng(0)
        for step in range(6):
            x = (rng.standard_normal((5, 4, 3, 4)) * 3 + step).astype(dtype)
            ours(x, training=True), theirs(x, training=True)
            for a, b in zip(ours.weights, theirs.weights, strict=True):
                assert_close(a.numpy(), np.asarray(b), name=a.path, k=6 * x.size)
        assert_close(ours(x), np.asarray(theirs(x)), k=x.size)

    def test_frozen_layer_infers(self):
        x = np.array([[1.0], [3.0]])
        for module in (layers, keras.layers):
            layer = module.BatchNormalization(dtype="float64", epsilon=0.0)
            layer.build(x.shape)
            layer.trainable = False
            assert_equal(np.asarray(layer(x, training=True)), x)
            assert_equal(np.asarray(layer.moving_mean), np.zeros(1))
        assert not layers.BatchNormalization(trainable=False).couples_examples
        assert layers.BatchNormalization().couples_examples

    def test_frozen_layer_has_the_gradient_of_inference(self):
        config = {"trainable": False}
        x = np.random.default_rng(0).standard_normal((4, 3))
        check("BatchNormalization", config, x, dtype="float64", training=True)

    def test_by_hand(self):
        layer = layers.BatchNormalization(dtype="float64", epsilon=0.0, momentum=0.5)
        x = np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 0.0], [3.0, 4.0]])
        layer.build(x.shape)
        layer.set_weights([[2.0, 3.0], [0.5, 0.0], [0.0, 0.0], [1.0, 1.0]])
        y, residuals = layer.forward(x, training=True)
        # means 2, 2; variances 1, 4; normalized -1, 1, -1, 1
        assert_equal(y, np.array([[-1.5, -3], [2.5, 3], [-1.5, -3], [2.5, 3]]))
        assert_equal(layer.moving_mean.numpy(), np.array([1.0, 1.0]))
        assert_equal(layer.moving_variance.numpy(), np.array([1.0, 2.5]))
        grads = Gradients()
        dy = np.array([[1.0, 0], [0, 0], [0, 0], [0, 0]])
        dx = layer.backward(dy, residuals, grads)
        assert_equal(grads[layer.beta], np.array([1.0, 0.0]))
        assert_equal(grads[layer.gamma], np.array([-1.0, 0.0]))
        # 2 / 1 * (dy - 1/4 - n * (-1/4)), n = -1, 1, -1, 1
        assert_equal(dx, np.array([[1.0, 0], [0, 0], [-1.0, 0], [0, 0]]))

    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    def test_in_a_model_that_is_fitted(self, dtype):
        """Weights in Keras's order, before and after `fit`, and equal to Keras's."""

        def run(library):
            library.utils.clear_session()
            library.utils.set_random_seed(1)
            make = library.layers
            model = library.Sequential(
                [
                    make.Input((4,), dtype=dtype),
                    make.Dense(6, use_bias=False, dtype=dtype),
                    make.BatchNormalization(dtype=dtype, momentum=0.8),
                    make.Activation("tanh", dtype=dtype),
                    make.Dropout(0.3, dtype=dtype),
                    make.Dense(2, dtype=dtype),
                ]
            )
            model.compile(library.optimizers.SGD(0.1), "mse")
            rng = np.random.default_rng(0)
            x, y = rng.standard_normal((22, 4)), rng.standard_normal((22, 2))
            model.fit(x.astype(dtype), y.astype(dtype), 8, epochs=2, verbose=0)
            return model

        ours, theirs = run(minikeras), run(keras)
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            assert a.path == b.path
            assert_trajectory_close(a.numpy(), np.asarray(b), steps=6, name=a.path)

    def test_large_mean_in_float32(self):
        """x * s + (beta - mean * s) loses digits where the mean is large: as Keras."""
        x = np.random.default_rng(0).standard_normal((64, 3)) + 1000.0
        check("BatchNormalization", {}, x, dtype="float32", training=True)

    def test_empty_batch_in_training_is_nan(self):
        x = np.zeros((0, 3), "float32")
        for module in (layers, keras.layers):
            layer = module.BatchNormalization()
            assert np.asarray(layer(x, training=True)).shape == (0, 3)
            assert np.isnan(np.asarray(layer.moving_mean)).all()

    def test_integers(self):
        x = np.array([[1, 2], [3, 4]])
        ours, theirs = (
            np.asarray(module.BatchNormalization()(x))
            for module in (layers, keras.layers)
        )
        assert_close(ours, theirs)

    def test_initializers(self):
        config = {
            "moving_mean_initializer": "ones",
            "moving_variance_initializer": "ones",
            "gamma_initializer": "zeros",
            "beta_initializer": "ones",
            "renorm": True,
        }
        check_config_travels("BatchNormalization", config)
        for module in (layers, keras.layers):
            layer = module.BatchNormalization(**config)
            layer.build((None, 1))
            values = [float(np.asarray(v)[0]) for v in layer.weights]
            assert values == [0, 1, 1, 1, 1, 1, 1]

    def test_refuses_synchronized(self):
        with pytest.raises(ValueError, match="synchronized=True is only supported"):
            layers.BatchNormalization(synchronized=True)

    @pytest.mark.parametrize(
        ("clipping", "match"),
        [
            ({"max": 1}, "invalid keys for `renorm_clipping`"),
            ({"rmax": 1, "rmin": 2}, "rmax should be greater than rmin"),
            ({"dmax": -1}, "dmax should be non-negative"),
        ],
    )
    def test_refuses_clipping(self, clipping, match):
        check_same_error(
            lambda module: module.BatchNormalization(
                renorm=True, renorm_clipping=clipping
            ),
            ValueError,
            match,
        )

    def test_refuses_masks_of_full_rank(self):
        def use(module):
            layer = module.BatchNormalization()
            layer(np.ones((2, 3, 4)), mask=np.ones((2, 3, 4), bool), training=True)

        check_same_error(use, ValueError, "mask provided should be one dimension less")

    def test_refuses_axes(self):
        check_same_error(
            lambda module: module.BatchNormalization(axis=3).compute_output_shape(
                (2, 3)
            ),
            ValueError,
            "Axis 3 is out of bounds",
        )

    def test_refuses_other_channels(self):
        def use(module):
            layer = module.BatchNormalization(axis=1)
            layer(np.ones((2, 3, 4)))
            layer(np.ones((2, 4, 4)))

        check_same_error(
            use, ValueError, "expected axis 1 of input shape to have value 3"
        )


@st.composite
def layer_normalization_cases(draw):
    """A config of LayerNormalization and an input."""
    shape = draw(strategies.shapes(2, 4, low=2))
    rank = len(shape)
    several = st.lists(st.integers(1, rank - 1), unique=True, min_size=1)
    config = {
        "axis": draw(st.one_of(st.sampled_from([-1, *range(1, rank)]), several)),
        "epsilon": draw(st.sampled_from([1e-3, 1e-5])),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "gamma_regularizer": draw(REGULARIZERS),
        "beta_constraint": draw(CONSTRAINTS),
    }
    return config, draw(strategies.values(shape, specials=VALUES))


class TestLayerNormalization:
    @pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @given(case=layer_normalization_cases())
    def test_rms_scaling_equals_keras(self, dtype, case):
        config, x = case
        config["rms_scaling"] = True
        check("LayerNormalization", config, x, dtype=dtype)

    def test_rms_scaling_warns(self):
        for module in (layers, keras.layers):
            with pytest.warns(UserWarning, match="deprecated"):
                module.LayerNormalization(rms_scaling=True)

    @given(case=layer_normalization_cases(), dtype=strategies.dtypes())
    def test_equals_keras(self, case, dtype):
        config, x = case
        check_layer(
            lambda: layers.LayerNormalization(**config),
            lambda: keras.layers.LayerNormalization(**config),
            x,
            dtype=dtype,
        )
        check_config_travels("LayerNormalization", config)

    def test_by_hand(self):
        layer = layers.LayerNormalization(dtype="float64", epsilon=0.0)
        x = np.array([[1.0, 3.0, 1.0, 3.0]])
        layer.build(x.shape)
        layer.set_weights([[2.0, 2.0, 2.0, 2.0], [0.5, 0.5, 0.5, 0.5]])
        y, residuals = layer.forward(x)
        assert_equal(y, np.array([[-1.5, 2.5, -1.5, 2.5]]))
        grads = Gradients()
        dx = layer.backward(np.array([[1.0, 0, 0, 0]]), residuals, grads)
        assert_equal(grads[layer.gamma], np.array([-1.0, 0, 0, 0]))
        assert_equal(dx, np.array([[1.0, 0.0, -1.0, 0.0]]))

    def test_refuses(self):
        check_same_error(
            lambda module: module.LayerNormalization(axis="last"), TypeError, "'axis'"
        )


def each_dtype(test):
    """Both, whatever is drawn: the report wants them."""
    return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)


@st.composite
def group_normalization_cases(draw):
    """A config of GroupNormalization and an input; no group is of one number."""
    groups, size = draw(strategies.sizes(1, 3)), draw(strategies.sizes(1, 3))
    shape = list(draw(strategies.shapes(2, 5, high=3)))
    axis = draw(st.integers(1, len(shape) - 1))
    shape[axis] = groups * size
    if np.prod(shape[1:]) == groups:
        shape.insert(axis, 2)
        axis += 1
    config = {
        "groups": draw(st.sampled_from([groups, -1] if size == 1 else [groups])),
        "axis": axis - len(shape) if draw(st.booleans()) else axis,
        "epsilon": draw(st.sampled_from([1e-3, 1e-5])),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
        "gamma_regularizer": draw(REGULARIZERS),
        "beta_constraint": draw(CONSTRAINTS),
    }
    return config, draw(strategies.values(tuple(shape), specials=VALUES))


class TestGroupNormalization:
    @each_dtype
    @given(case=group_normalization_cases())
    def test_equals_keras(self, dtype, case):
        config, x = case
        if config["axis"] != -1:
            config["axis"] %= len(x.shape)
        check("GroupNormalization", config, x, dtype=dtype)

    def test_negative_axes_mean_the_same(self):
        """NB: Keras gets a negative axis other than -1 wrong, or fails."""
        x = np.random.default_rng(0).standard_normal((2, 4, 3, 5))
        first, second = (
            layers.GroupNormalization(2, axis=axis, dtype="float64")(x)
            for axis in (1, -3)
        )
        assert_equal(first, second)

    def test_by_hand(self):
        layer = layers.GroupNormalization(1, dtype="float64", epsilon=0.0)
        x = np.array([[[1.0, 3.0], [1.0, 3.0]]])
        layer.build(x.shape)
        layer.set_weights([[2.0, 4.0], [0.5, 0.0]])
        y, residuals = layer.forward(x)
        assert_equal(y, np.array([[[-1.5, 4.0], [-1.5, 4.0]]]))
        grads = Gradients()
        dx = layer.backward(np.array([[[1.0, 0], [0, 0]]]), residuals, grads)
        assert_equal(grads[layer.gamma], np.array([-1.0, 0]))
        # 2 * (1, 0, 0, 0) - 1/2 - n * (-1/2), n = -1, 1, -1, 1
        assert_equal(dx, np.array([[[1.0, 0.0], [-1.0, 0.0]]]))

    def test_passes_masks_on(self):
        x = np.random.default_rng(0).standard_normal((2, 3, 4))
        mask = np.array([[True, True, False], [True, False, False]])
        check("GroupNormalization", {"groups": 2}, x, dtype="float64", mask=mask)

    @pytest.mark.parametrize(
        ("groups", "match"),
        [(0, "invalid value for argument `groups`"), (1.5, "argument `groups`")],
    )
    def test_refuses_groups(self, groups, match):
        check_same_error(
            lambda module: module.GroupNormalization(groups), ValueError, match
        )

    @pytest.mark.parametrize(
        ("groups", "match"), [(8, "cannot be more than"), (3, "must be a multiple")]
    )
    def test_refuses_channels(self, groups, match):
        check_same_error(
            lambda module: module.GroupNormalization(groups)(np.ones((2, 4))),
            ValueError,
            match,
        )


@st.composite
def axes_cases(draw, *, specials=VALUES):
    """One axis or several, and an input."""
    shape = draw(strategies.shapes(2, 4, low=2))
    rank = len(shape)
    several = st.lists(st.integers(1, rank - 1), unique=True, min_size=1)
    axis = draw(st.one_of(st.sampled_from([-1, *range(1, rank)]), several))
    return axis, draw(strategies.values(shape, specials=specials))


class TestRMSNormalization:
    @each_dtype
    @given(
        x=strategies.values(strategies.shapes(2, 4, low=2), specials=VALUES),
        count=st.integers(0, 3),
        epsilon=st.sampled_from([1e-6, 1e-3]),
    )
    def test_equals_keras(self, dtype, x, count, epsilon):
        """NB: other axes than the last ones Keras scales along the wrong axis:
        keras_findings/rms_scale_along_the_last_axis.py."""
        rank = len(x.shape)
        last = list(range(max(1, rank - count), rank))
        config = {"axis": last or -1, "epsilon": epsilon}
        check("RMSNormalization", config, x, dtype=dtype)

    @pytest.mark.parametrize("axis", [1, [1, 2]])
    def test_other_axes_keep_the_contract(self, axis):
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
        with default_dtype("float64"):
            layer = layers.RMSNormalization(axis)
            layer(x)
            check_contract(layer, x)

    def test_refuses_axes(self):
        check_same_error(
            lambda module: module.RMSNormalization(axis=2).compute_output_shape((2, 3)),
            ValueError,
            "Axis 2 is out of bounds",
        )


class TestUnitNormalization:
    @each_dtype
    @given(case=axes_cases(specials=("large",)))
    def test_equals_keras(self, dtype, case):
        axis, x = case
        check("UnitNormalization", {"axis": axis}, x, dtype=dtype)

    def test_zeros(self):
        """NB: Keras's gradient is NaN there."""
        layer = layers.UnitNormalization(dtype="float64")
        y, residuals = layer.forward(np.zeros((1, 2)))
        assert_equal(y, np.asarray(keras.layers.UnitNormalization()(y)).astype(float))
        dx = layer.backward(np.array([[1.0, 2.0]]), residuals, Gradients())
        assert_close(dx, np.array([[1e12, 2e12]]))

    def test_refuses(self):
        check_same_error(
            lambda module: module.UnitNormalization(axis="last"),
            TypeError,
            "Invalid value for `axis` argument",
        )
        check_same_error(
            lambda module: module.UnitNormalization(3).compute_output_shape((2, 3)),
            ValueError,
            "Axis 3 is out of bounds",
        )


def test_files(tmp_path):
    """A stack of them, saved by either library."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 4, 4)), rng.standard_normal((6, 2))

    def make(k):
        stack = [
            k.layers.Dense(4),
            k.layers.GroupNormalization(2),
            k.layers.RMSNormalization(),
            k.layers.UnitNormalization(axis=[1, 2]),
            k.layers.LayerNormalization(axis=[1, 2]),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ]
        return compiled(k.Sequential([k.Input((4, 4)), *stack]), loss="mse")

    with default_dtype("float64"):
        check_exchange(make, x, y, tmp_path)
