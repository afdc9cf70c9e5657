"""Max, average and global pooling: against Keras, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops import pool as ops
from minikeras.ops.windows import at_tap, geometry
from parity_tests import strategies
from parity_tests.harness import check_layer
from parity_tests.oracle import keras, tf
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_config_travels, check_same_error

WINDOWS = ["MaxPooling", "AveragePooling"]
GLOBALS = ["GlobalMaxPooling", "GlobalAveragePooling"]


@st.composite
def pooling_cases(draw, rank, *, specials):
    """A config and an input of 1D, 2D or 3D pooling."""
    config, shape = draw(strategies.poolings(rank))
    return config, draw(strategies.values(shape, specials=specials))


@st.composite
def global_cases(draw, rank, *, specials):
    """The same for global pooling."""
    config = {"data_format": draw(strategies.data_formats())}
    config["keepdims"] = draw(st.booleans())
    shape = draw(strategies.shapes(rank + 2, rank + 2))
    return config, draw(strategies.values(shape, specials=specials))


def smooth(x):
    """Whether a maximum over x has a derivative: no two elements are equal."""
    x = x() if callable(x) else x
    return np.unique(x).size == x.size


def each_kind(test):
    """Every rank in every dtype: the report wants all of them, drawn or not."""
    test = pytest.mark.parametrize("rank", [1, 2, 3])(test)
    return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)


def reference(name, dtype):
    """The Keras layer; TensorFlow pools volumes in float32 only."""
    original = getattr(keras.layers, name)
    if not name.endswith("3D") or dtype == "float32" or "Global" in name:
        return original

    def call(self, inputs):
        last = self.data_format == "channels_last"
        x = inputs if last else tf.transpose(inputs, (0, 2, 3, 4, 1))
        g = geometry(tuple(x.shape[1:-1]), self.pool_size, self.strides, self.padding)

        def seen(array, padding):
            xp = tf.pad(array, ((0, 0), *g.pads, (0, 0)), constant_values=padding)
            return tf.stack([at_tap(xp, tap, g) for tap in g.taps()])

        if self.pool_mode == "max":
            # Where elements are equal this shares evenly, so none are drawn.
            y = tf.reduce_max(seen(x, -np.inf), axis=0)
        else:
            counted = tf.reduce_sum(seen(tf.ones_like(x), 0.0), axis=0)
            y = tf.reduce_sum(seen(x, 0.0), axis=0) / counted
        return y if last else tf.transpose(y, (0, 4, 1, 2, 3))

    return type(name, (original,), {"call": call})


def check_pooling(name, config, x, *, dtype, **options):
    """`twins.check` with `reference`."""
    check_layer(
        lambda: getattr(layers, name)(**config),
        lambda: reference(name, dtype)(**config),
        x,
        dtype=dtype,
        **options,
    )
    check_config_travels(name, config)


class TestAgainstKeras:
    @each_kind
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_max_pooling(self, rank, dtype, data, seed):
        stand_in = rank == 3 and dtype == "float64"
        specials = () if stand_in else ("ties", "zeros")
        config, x = data.draw(pooling_cases(rank, specials=specials))
        if rank == 3 and not stand_in:  # see keras_findings/volumes_nearly_equal_win.py
            x = strategies.apart(x)
        name = f"MaxPooling{rank}D"
        options = {"numeric": smooth(x), "referee": False}
        check_pooling(name, config, x, dtype=dtype, seed=seed, **options)

    @each_kind
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_average_pooling(self, rank, dtype, data, seed):
        config, x = data.draw(pooling_cases(rank, specials=("zeros", "large")))
        check_pooling(f"AveragePooling{rank}D", config, x, dtype=dtype, seed=seed)

    @each_kind
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_global_max_pooling(self, rank, dtype, data, seed):
        """NB: TensorFlow refuses the maximum of an empty batch; we return (0, C)."""
        config, x = data.draw(global_cases(rank, specials=("ties", "zeros")))
        name = f"GlobalMaxPooling{rank}D"
        options = {"numeric": smooth(x), "referee": False}
        check(name, config, x, dtype=dtype, seed=seed, **options)

    @each_kind
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_global_average_pooling(self, rank, dtype, data, seed):
        config, x = data.draw(global_cases(rank, specials=("zeros", "large")))
        check(f"GlobalAveragePooling{rank}D", config, x, dtype=dtype, seed=seed)

    @given(
        shape=st.tuples(*[strategies.sizes()] * 3),
        data=st.data(),
        data_format=strategies.data_formats(),
        keepdims=st.booleans(),
        dtype=strategies.dtypes(),
    )
    def test_masked_mean(self, shape, data, data_format, keepdims, dtype):
        mask = data.draw(strategies.masks(shape[0], shape[1], fully_masked=False))
        if data_format == "channels_first":
            shape = (shape[0], shape[2], shape[1])
        x = data.draw(strategies.values(shape))
        config = {"data_format": data_format, "keepdims": keepdims}
        check_layer(
            lambda: layers.GlobalAveragePooling1D(**config),
            lambda: keras.layers.GlobalAveragePooling1D(**config),
            x,
            dtype=dtype,
            mask=mask,
        )

    def test_mean_of_nothing_is_not_a_number(self):
        x, mask = np.ones((2, 3, 1), "float32"), np.array([[1, 1, 0], [0, 0, 0]], bool)
        layer = layers.GlobalAveragePooling1D()
        y, residuals = layer.forward(x, mask=mask)
        theirs = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
        assert_equal(y, np.array(theirs), name="y")
        dx = layer.backward(np.ones_like(y), residuals, Gradients())
        assert_equal(dx[:, :, 0], np.array([[0.5, 0.5, 0], [0, 0, 0]], "float32"))

    @pytest.mark.parametrize("rank", [1, 2])  # in 3D all -inf are equal, and win
    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @given(data=st.data())
    def test_minus_infinity_is_not_padding(self, rank, dtype, data):
        """A window of -inf gives its dy to the first element *inside* the input.

        NB: TensorFlow's maximum starts from the least finite number and returns that.
        """
        config, x = data.draw(pooling_cases(rank, specials=()))
        config["dtype"] = dtype
        x = np.where(x() > 0, x(), -np.inf).astype(dtype)
        layer = getattr(layers, f"MaxPooling{rank}D")(**config)
        y, residuals = layer.forward(x)
        dy = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, residuals, Gradients())
        with tf.GradientTape() as tape:
            inputs = tf.constant(x)
            tape.watch(inputs)
            theirs = getattr(keras.layers, f"MaxPooling{rank}D")(**config)(inputs)
            total = tf.reduce_sum(theirs * dy)
        expected = np.where(np.isneginf(y), -np.inf, np.array(theirs)).astype(dtype)
        assert_equal(y, expected)
        assert_close(dx, tape.gradient(total, inputs).numpy(), k=16)

    @pytest.mark.parametrize("name", WINDOWS)
    @pytest.mark.parametrize(
        ("config", "shape"),
        [
            ({"strides": 1}, (None, None, 5, 3)),
            ({"padding": "same"}, (2, None, 5, 3)),
            ({"strides": (3, 1), "padding": "same"}, (None, 7, None, 3)),
            ({"data_format": "channels_first"}, (None, 3, 7, None)),
        ],
    )
    def test_output_shape_of_unknown_sizes(self, name, config, shape):
        ours, theirs = (
            getattr(module, f"{name}2D")((3, 2), **config).compute_output_shape(shape)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)

    @pytest.mark.parametrize("name", WINDOWS + GLOBALS)
    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_second_names_and_defaults(self, name, rank):
        short = name.replace("Average", "Avg").replace("Pooling", "Pool")
        layer = getattr(layers, f"{name}{rank}D")
        assert getattr(layers, f"{short}{rank}D") is layer
        assert getattr(keras.layers, f"{short}{rank}D").__name__ == layer.__name__
        config = {"pool_size": 2} if name == "AveragePooling" else {}
        x = strategies.Values((2, *(4,) * rank, 3))
        check(layer.__name__, config, x, dtype="float32")
        assert layer(**config).built


class TestByHand:
    """The image 0 1 2 / 3 4 5 / 6 7 8."""

    x = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)

    def run(self, layer, x=None, dy=None):
        y, residuals = layer.forward(self.x if x is None else x)
        dy = np.ones_like(y) if dy is None else np.reshape(dy, y.shape).astype(y.dtype)
        return y, layer.backward(dy, residuals, Gradients())

    def test_max(self):
        y, dx = self.run(layers.MaxPooling2D(2, strides=1), dy=[1, 2, 3, 4])
        assert_equal(y[0, :, :, 0], np.array([[4, 5], [7, 8]], "float32"))
        expected = np.array([[0, 0, 0], [0, 1, 2], [0, 3, 4]], "float32")
        assert_equal(dx[0, :, :, 0], expected)

    def test_leftover_is_dropped(self):
        y, dx = self.run(layers.MaxPooling2D(2))
        assert y.shape == (1, 1, 1, 1) and y[0, 0, 0, 0] == 4
        assert dx.sum() == 1 == dx[0, 1, 1, 0]

    def test_the_first_of_equals_wins_all(self):
        x = np.full((1, 3, 3, 1), 7, "float32")
        _, dx = self.run(layers.MaxPooling2D(2, strides=1), x, [1, 2, 3, 4])
        expected = np.array([[1, 2, 0], [3, 4, 0], [0, 0, 0]], "float32")
        assert_equal(dx[0, :, :, 0], expected)

    def test_equals_each_win_all_in_3d(self):
        """NB: TensorFlow's maximum of volumes is not like its others."""
        x = np.array([7, 7, 1], "float32").reshape(1, 1, 1, 3, 1)
        _, dx = self.run(layers.MaxPooling3D((1, 1, 2), strides=1), x, [1, 2])
        assert_equal(dx.ravel(), np.array([1, 3, 0], "float32"))

    def test_equals_share_in_a_global_maximum(self):
        x = np.array([5, 1, 5, 0], "float32").reshape(1, 2, 2, 1)
        y, dx = self.run(layers.GlobalMaxPooling2D(), x, [3])
        assert_equal(y, np.array([[5]], "float32"))
        assert_equal(dx.ravel(), np.array([1.5, 0, 1.5, 0], "float32"))

    def test_average_does_not_count_padding(self):
        y, dx = self.run(layers.AveragePooling2D(2, padding="same"), dy=[4, 2, 2, 1])
        # windows of 4, 2, 2 and 1 elements
        expected = [[(0 + 1 + 3 + 4) / 4, (2 + 5) / 2], [(6 + 7) / 2, 8]]
        assert_equal(y[0, :, :, 0], np.array(expected, "float32"))
        assert_equal(dx, np.ones_like(dx))

    def test_global_average(self):
        y, dx = self.run(layers.GlobalAveragePooling2D(keepdims=True), dy=[18])
        assert_equal(y, np.full((1, 1, 1, 1), 4, "float32"))
        assert_equal(dx, np.full_like(self.x, 2))

    def test_global_average_is_accurate(self):
        """A quarter of a million float32 numbers, all of one sign."""
        x = np.random.default_rng(0).random((1, 512, 512, 1), "float32")
        y = layers.GlobalAveragePooling2D()(x)
        exact = x.astype("float64").mean().astype("float32")
        assert_close(y, exact.reshape(1, 1), k=1)

    def test_nan_is_not_lost(self):
        """NB: TensorFlow's max pooling passes over NaN; its reduce_max does not."""
        x = np.array([1, np.nan, 2, 3], "float32").reshape(1, 4, 1)
        y, dx = self.run(layers.MaxPooling1D(2), x, [5, 6])
        assert_equal(y.ravel(), np.array([np.nan, 3], "float32"))
        assert_equal(dx.ravel(), np.array([5, 0, 0, 6], "float32"))
        y, dx = self.run(layers.GlobalMaxPooling1D(), x)
        assert np.isnan(y).all() and np.isnan(dx).all()

    def test_infinite_gradients_stay_where_they_belong(self):
        _, dx = self.run(layers.MaxPooling2D(2), dy=[np.inf])
        expected = np.zeros_like(self.x)
        expected[0, 1, 1, 0] = np.inf
        assert_equal(dx, expected)

    def test_integers(self):
        """Maxima stay integers, as in Keras; means are floats."""
        x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
        for module in (layers, keras.layers):
            y = np.array(module.MaxPooling2D(2, padding="same")(x))
            assert_equal(y[0, :, :, 0], np.array([[5, 7], [13, 15]], "int32"))
            y = np.array(module.GlobalAveragePooling2D()(x))
            assert_equal(y, np.array([[7.5]], "float32"))
        assert layers.AveragePooling2D(2)(x).dtype == "float32"

    def test_windows_of_many_elements(self):
        """More than a byte can number."""
        rng = np.random.default_rng(0)
        x = rng.permutation(400).astype("float64").reshape(1, 20, 20, 1)
        g = geometry((20, 20), (20, 20), (1, 1), "valid")
        y, winner = ops.max_pool(x, g)
        dx = ops.max_pool_grad(np.ones_like(y), winner, g, x.shape)
        assert_equal(dx, (x == 399).astype("float64"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"pool_size": 0}, "`pool_size` argument must be"),
            ({"pool_size": (2,)}, "`pool_size` argument must be"),
            ({"pool_size": "2"}, "`pool_size` argument must be"),
            ({"strides": -1}, "`strides` argument must be"),
            ({"data_format": "first"}, "`data_format` argument must be"),
            ({"unknown": 1}, "Unrecognized keyword arguments"),
        ],
    )
    @pytest.mark.parametrize("name", WINDOWS)
    def test_arguments(self, name, config, message):
        config = {"pool_size": 2} | config
        check_same_error(
            lambda module: getattr(module, f"{name}2D")(**config), ValueError, message
        )

    @pytest.mark.parametrize("config", [{"padding": "full"}, {"strides": 0}])
    def test_arguments_that_keras_finds_out_about_later(self, config):
        with pytest.raises(ValueError, match="argument must be"):
            layers.MaxPooling2D(2, **config)

    @pytest.mark.parametrize("name", [f"{n}2D" for n in WINDOWS + GLOBALS])
    def test_rank(self, name):
        config = (
            {"pool_size": 2} if name in ("AveragePooling2D", "MaxPooling2D") else {}
        )
        check_same_error(
            lambda module: getattr(module, name)(**config)(np.zeros((2, 5, 5))),
            ValueError,
            "expected ndim=4, found ndim=3",
        )

    def test_input_smaller_than_the_window(self):
        check_same_error(
            lambda module: module.MaxPooling2D(6).compute_output_shape((1, 5, 5, 1)),
            ValueError,
            "Computed output size would be zero or negative",
        )
        with pytest.raises(ValueError, match="layer 'p' slides a window of size"):
            layers.MaxPooling2D(6, name="p")(np.zeros((1, 5, 5, 1)))
