"""Zero padding, cropping and up-sampling in one, two and three dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.layers.reshaping.up_sampling import INTERPOLATIONS
from minikeras.ops import resize
from parity_tests import oracle, strategies
from parity_tests.battery import check_contract
from parity_tests.functions import default_dtype
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras
from parity_tests.test_saving import check_exchange
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

RANKS = [1, 2, 3]
SMOOTH = [name for name in INTERPOLATIONS if name not in ("nearest", "area")]


def each_kind(test):
    """Every rank in every dtype: the report wants all of them, drawn or not."""
    test = pytest.mark.parametrize("rank", RANKS)(test)
    return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)


@st.composite
def borders(draw, rank):
    """One of the ways to say how wide a border is, and the pairs it means."""
    pairs = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in "123")
    pairs = pairs[:rank]
    kind = draw(st.sampled_from(["one", "sides", "pairs"]))
    if kind == "one":
        width = pairs[0][0]
        return width, ((width, width),) * rank
    if rank == 1:
        return pairs[0], pairs
    if kind == "sides":
        return tuple(a for a, _ in pairs), tuple((a, a) for a, _ in pairs)
    return pairs, pairs


@st.composite
def images(draw, rank, data_format, least=(1, 1, 1)):
    """A recipe for inputs with at least so many positions per axis."""
    space = tuple(n + draw(st.integers(0, 2)) for n in least[:rank])
    batch, channels = draw(strategies.sizes(1, 3)), draw(strategies.sizes(1, 3))
    shape = strategies.image_shape(data_format, batch, space, channels)
    return draw(strategies.values(shape))


class TestAgainstKeras:
    @each_kind
    @given(data=st.data())
    def test_zero_padding(self, rank, dtype, data):
        padding, _ = data.draw(borders(rank))
        data_format = data.draw(strategies.data_formats())
        config = {"padding": padding, "data_format": data_format}
        x = data.draw(images(rank, data_format))
        check(f"ZeroPadding{rank}D", config, x, dtype=dtype)

    @each_kind
    @given(data=st.data())
    def test_cropping(self, rank, dtype, data):
        cropping, pairs = data.draw(borders(rank))
        data_format = data.draw(strategies.data_formats())
        data_format = "channels_last" if rank == 1 else data_format
        config = {"cropping": cropping}
        if rank > 1:
            config["data_format"] = data_format
        least = tuple(a + b + 1 for a, b in pairs)
        x = data.draw(images(rank, data_format, least))
        check(f"Cropping{rank}D", config, x, dtype=dtype)

    @each_kind
    @given(data=st.data())
    def test_up_sampling(self, rank, dtype, data):
        size = tuple(data.draw(strategies.sizes(1, 3)) for _ in range(rank))
        config = {"size": size[0] if data.draw(st.booleans()) else size}
        data_format = data.draw(strategies.data_formats())
        if rank == 1:
            config, data_format = {"size": size[0]}, "channels_last"
        else:
            config["data_format"] = data_format
        x = data.draw(images(rank, data_format))
        check(f"UpSampling{rank}D", config, x, dtype=dtype)

    @pytest.mark.parametrize("interpolation", SMOOTH)
    @given(data=st.data(), data_format=strategies.data_formats())
    def test_interpolation(self, interpolation, data, data_format):
        size = data.draw(strategies.sizes(1, 4)), data.draw(strategies.sizes(1, 4))
        config = {"size": size, "data_format": data_format}
        x = data.draw(images(2, data_format, least=(1, 2)))
        # NB: TensorFlow finds the places and the weights in float32: a smooth weight
        # is then off by as much as its place is.
        config["interpolation"] = interpolation
        check("UpSampling2D", config, x, dtype="float32")

    @pytest.mark.parametrize("interpolation", SMOOTH)
    def test_interpolation_in_float64(self, interpolation):
        """NB: Keras interpolates in float32, whatever the dtype, and TensorFlow has no
        float64 gradient of the Lanczos filters."""
        x = np.random.default_rng(0).standard_normal((2, 5, 4, 3))
        config = {"size": (2, 3), "interpolation": interpolation, "dtype": "float64"}
        layer, twin = layers.UpSampling2D(**config), keras.layers.UpSampling2D(**config)
        y, residuals = layer.forward(x)
        dy = np.random.default_rng(1).standard_normal(y.shape)
        dx = layer.backward(dy, residuals, Gradients())
        assert y.dtype == dx.dtype == "float64"
        has_gradient = not interpolation.startswith("lanczos")
        reference = oracle.run_layer(twin, x, dy=dy if has_gradient else None)
        pairs = [(y, reference.y)] + [(dx, reference.dx)] * has_gradient
        for ours, theirs in pairs:
            assert_close(ours.astype("float32"), theirs.astype("float32"), k=60)

    @pytest.mark.parametrize("interpolation", SMOOTH)
    def test_interpolation_keeps_the_contract(self, interpolation):
        x = np.random.default_rng(0).standard_normal((2, 5, 4, 3))
        with default_dtype("float64"):
            layer = layers.UpSampling2D((2, 3), interpolation=interpolation)
            layer(x)
            check_contract(layer, x)

    def test_area_is_nearest(self):
        x = np.random.default_rng(0).standard_normal((1, 3, 2, 2)).astype("float32")
        theirs = keras.layers.UpSampling2D((2, 3), interpolation="area")(x)
        ours = layers.UpSampling2D((2, 3), interpolation="area")(x)
        assert_close(ours, np.asarray(theirs), k=6)

    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("ZeroPadding2D", {}),
            ("Cropping2D", {"cropping": 1}),
            ("UpSampling2D", {"size": 3}),
            ("UpSampling3D", {}),
        ],
    )
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_unknown_sizes(self, name, config, data_format):
        shape = (None, 5, None, 4, 6)[: 3 + int(name[-2]) - 1]
        ours, theirs = (
            getattr(module, name)(
                **config, data_format=data_format
            ).compute_output_shape(shape)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, tuple(theirs))

    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("ZeroPadding1D", {}),
            ("Cropping1D", {"cropping": (0, 1)}),
            ("UpSampling1D", {}),
        ],
    )
    def test_integers_stay_integers(self, name, config):
        x = np.arange(6, dtype="int32").reshape(1, 3, 2)
        ours, theirs = (
            np.asarray(getattr(module, name)(**config)(x))
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)


class TestByHand:
    def test_repeating(self):
        x = np.array([1.0, 2.0]).reshape(1, 2, 1)
        layer = layers.UpSampling1D(3, dtype="float64")
        y, residuals = layer.forward(x)
        assert_equal(y.ravel(), np.array([1.0, 1, 1, 2, 2, 2]))
        dy = np.array([1.0, 10, 100, 1000, 2000, 4000]).reshape(1, 6, 1)
        dx = layer.backward(dy, residuals, Gradients())
        assert_equal(dx.ravel(), np.array([111.0, 7000]))

    def test_bilinear(self):
        x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
        layer = layers.UpSampling2D((1, 2), interpolation="bilinear", dtype="float64")
        y, residuals = layer.forward(x)
        assert_equal(y.ravel(), np.array([0.0, 1, 3, 4]))
        dy = np.array([1.0, 10, 100, 1000]).reshape(1, 1, 4, 1)
        dx = layer.backward(dy, residuals, Gradients())
        assert_equal(dx.ravel(), np.array([1 + 7.5 + 25, 2.5 + 75 + 1000]))

    @pytest.mark.parametrize("kind", resize.BUMPS)
    def test_weights_sum_to_one_and_keep_constants(self, kind):
        for length in (1, 2, 7):
            matrix = resize.weights(length, 3, kind, "float64")
            assert_close(matrix.sum(axis=1), np.ones(3 * length), k=length)

    def test_padding(self):
        layer = layers.ZeroPadding2D(((1, 0), (0, 2)), dtype="float64")
        y, residuals = layer.forward(np.ones((1, 1, 1, 1)))
        assert_equal(y[0, :, :, 0], np.array([[0.0, 0, 0], [1, 0, 0]]))
        dy = np.arange(6.0).reshape(1, 2, 3, 1)
        assert_equal(
            layer.backward(dy, residuals, Gradients()).ravel(), np.array([3.0])
        )


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "config", "match"),
        [
            ("ZeroPadding1D", {"padding": (1, 2, 3)}, "`padding` argument must be"),
            ("ZeroPadding1D", {"padding": -1}, "`padding` argument must be"),
            ("ZeroPadding2D", {"padding": (1, 2, 3)}, "should have two elements"),
            ("ZeroPadding2D", {"padding": ((1, 2, 3), 1)}, "1st entry of padding"),
            ("ZeroPadding2D", {"padding": 1.5}, "should be either an int"),
            ("ZeroPadding3D", {"padding": (1, 2)}, "should have 3 elements"),
            ("Cropping1D", {"cropping": (1, -2)}, "`cropping` argument must be"),
            ("Cropping2D", {"cropping": -1}, "cannot be negative"),
            ("Cropping2D", {"cropping": (1, (1, -1))}, "2nd entry of cropping"),
            ("Cropping3D", {"cropping": None}, "should be either an int"),
            ("UpSampling1D", {"size": 0}, "should be a positive integer"),
            ("UpSampling2D", {"size": (2, 2, 2)}, "`size` argument must be"),
            ("UpSampling3D", {"size": 0}, "`size` argument must be"),
            ("UpSampling2D", {"data_format": "last"}, "`data_format` argument"),
        ],
    )
    def test_arguments(self, name, config, match):
        check_same_error(
            lambda module: getattr(module, name)(**config), ValueError, match
        )

    def test_size_of_1d(self):
        check_same_error(
            lambda module: module.UpSampling1D(2.0), TypeError, "Expected an integer"
        )

    def test_arguments_that_keras_finds_out_about_later(self):
        with pytest.raises(ValueError, match="cannot be negative"):
            layers.ZeroPadding2D(-1)
        with pytest.raises(ValueError, match="Did you mean 'bilinear'"):
            layers.UpSampling2D(2, interpolation="bilnear")

    def test_nothing_left(self):
        check_same_error(
            lambda module: module.Cropping1D(2)(np.ones((1, 4, 1))),
            ValueError,
            "smaller than the input length",
        )
        check_same_error(
            lambda module: module.Cropping2D(2)(np.ones((1, 5, 4, 1))),
            ValueError,
            "smaller than the corresponding spatial dimension",
        )

    @pytest.mark.parametrize("name", ["ZeroPadding2D", "Cropping2D", "UpSampling2D"])
    def test_rank(self, name):
        check_same_error(
            lambda module: getattr(module, name)()(np.ones((1, 5, 4))),
            ValueError,
            "expected ndim=4, found ndim=3",
        )


def test_files(tmp_path):
    """A small decoder and a sequence branch, saved by either library."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 4, 3, 2)), rng.standard_normal((6, 2))

    def make(k):
        x = k.Input((4, 3, 2))
        y = k.layers.UpSampling2D((2, 3))(x)
        y = k.layers.Cropping2D(((1, 0), (2, 1)))(y)
        y = k.layers.Conv2D(2, 2)(k.layers.ZeroPadding2D((1, 2))(y))
        z = k.layers.ZeroPadding1D((2, 0))(k.layers.Reshape((4, 6))(x))
        z = k.layers.Cropping1D((1, 1))(k.layers.UpSampling1D(2)(z))
        y, z = k.layers.Flatten()(y), k.layers.Flatten()(z)
        y = k.layers.Dense(2)(k.layers.Concatenate()([y, z]))
        return compiled(k.Model(x, y), loss="mse")

    with default_dtype("float64"):
        check_exchange(make, x, y, tmp_path)
