"""Rescaling, Normalization, CategoryEncoding and Discretization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.gradients import Gradients
from parity_tests import strategies
from parity_tests.functions import default_dtype
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras, tf
from parity_tests.test_saving import check_exchange
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_config_travels, check_same_error

LIBRARIES = (layers, keras.layers)


def each_dtype(test):
    """Both, whatever is drawn: the report wants them."""
    return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)


def both(use):
    """`use(layers)` and `use(keras.layers)` as arrays."""
    return [np.asarray(use(module)) for module in LIBRARIES]


class TestRescaling:
    @each_dtype
    @given(
        x=strategies.values(strategies.shapes(1, 4)),
        scale=strategies.numbers(-3, 3),
        offset=strategies.numbers(-3, 3),
    )
    def test_equals_keras(self, dtype, x, scale, offset):
        check("Rescaling", {"scale": scale, "offset": offset}, x, dtype=dtype)

    @each_dtype
    @pytest.mark.parametrize("make", [list, np.array])
    def test_one_per_channel(self, dtype, make):
        x = np.random.default_rng(0).standard_normal((2, 4, 3))
        config = {"scale": make([0.1, 2.0, -3.0]), "offset": make([0.1, 0.0, 1.0])}
        check("Rescaling", config, x, dtype=dtype)

    def test_channels_first(self):
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
        results = []
        for library in (minikeras, keras):
            library.config.set_image_data_format("channels_first")
            try:
                results.append(np.asarray(library.layers.Rescaling([1.0, 2, 3])(x)))
            finally:
                library.config.set_image_data_format("channels_last")
        assert_close(*results)

    def test_integers(self):
        x = np.array([[0, 255]], "uint8")
        ours, theirs = both(lambda module: module.Rescaling(1 / 255, -0.5)(x))
        assert_close(ours, theirs)
        layer = layers.Rescaling(2.0)
        _, residuals = layer.forward(x)
        assert layer.backward(np.ones((1, 2), "float32"), residuals, None) is None


def fresh(names, rng):
    """Weights as they are before `adapt`: Keras looks at them in `adapt` only."""
    values = {"mean": 0.0, "variance": 1.0, "count": 0}
    return [np.full(shape, values[path.split("/")[-1]]) for path, shape in names]


@st.composite
def normalization_cases(draw):
    """An axis (or several, or None) and an input."""
    shape = draw(strategies.shapes(2, 4, high=4))
    rank = len(shape)
    several = st.lists(st.integers(1, rank - 1), unique=True)
    one = st.sampled_from([-1, 1, 1 - rank, rank - 1])
    return draw(st.one_of(st.none(), one, several)), draw(strategies.values(shape))


class TestNormalization:
    @each_dtype
    @given(case=normalization_cases(), invert=st.booleans())
    def test_not_adapted_equals_keras(self, dtype, case, invert):
        axis, x = case
        config = {"axis": axis, "invert": invert}
        check(
            "Normalization",
            config,
            x,
            dtype=dtype,
            weights=fresh,
        )

    @pytest.mark.parametrize("axis", [0, (0, 1), -2])
    def test_along_the_batch(self, axis):
        data = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
        made = [module.Normalization(axis=axis) for module in LIBRARIES]
        for layer in made:
            layer.adapt(data)
        assert_close(made[0](data), np.asarray(made[1](data)), k=6)
        assert made[0].couples_examples

    @each_dtype
    @given(
        x=strategies.values(st.tuples(*[strategies.sizes()] * 3)),
        scalar=st.booleans(),
        invert=st.booleans(),
        data=st.data(),
    )
    def test_given_equals_keras(self, dtype, x, scalar, invert, data):
        size = () if scalar else (x.shape[-1],)
        mean, variance = (data.draw(strategies.values(size))() for _ in "12")
        variance = np.abs(variance)
        config = {
            "mean": mean.tolist(),
            "variance": variance.tolist(),
            "invert": invert,
        }
        check("Normalization", config, x, dtype=dtype)

    def test_fewer_given_than_axes(self):
        x = np.random.default_rng(0).standard_normal((2, 3, 4))
        config = {"axis": (1, 2), "mean": [1.0, 2, 3, 4], "variance": [1.0, 4, 9, 0]}
        check("Normalization", config, x, dtype="float64")

    @each_dtype
    @pytest.mark.parametrize("invert", [False, True])
    @pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
    def test_adapt(self, dtype, axis, invert):
        rng = np.random.default_rng(0)
        data = (rng.standard_normal((20, 3, 4)) * 3 + 5).astype(dtype)
        made = [
            module.Normalization(axis=axis, invert=invert, dtype=dtype)
            for module in LIBRARIES
        ]
        for layer in made:
            layer.adapt(data)
        for ours, theirs in zip(made[0].weights, made[1].weights, strict=True):
            assert_close(ours.numpy(), np.asarray(theirs), k=data.size, name=ours.name)
        x = data[:5]
        assert_close(made[0](x), np.asarray(made[1](x)), k=data.size)
        assert_equal(made[0].mean.shape, tuple(made[1].mean.shape))
        assert_close(made[0].variance, np.asarray(made[1].variance), k=data.size)
        y, residuals = made[0].forward(x)
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = made[0].backward(dy, residuals, Gradients())
        with tf.GradientTape() as tape:
            tensor = tf.constant(x)
            tape.watch(tensor)
            total = tf.reduce_sum(made[1](tensor) * dy)
        assert_close(dx, tape.gradient(total, tensor).numpy(), k=data.size)

    @pytest.mark.parametrize("make", [list, iter, lambda b: [(x, 1) for x in b]])
    def test_adapt_to_batches(self, make):
        rng = np.random.default_rng(0)
        batches = [rng.standard_normal((n, 3)).astype("float32") for n in (5, 2, 7)]
        made = [module.Normalization() for module in LIBRARIES]
        for layer in made:
            layer.adapt(make(batches))
        for ours, theirs in zip(made[0].weights, made[1].weights, strict=True):
            assert_close(ours.numpy(), np.asarray(theirs), k=14)
        whole = layers.Normalization()
        whole.adapt(np.concatenate(batches))
        assert_close(whole.variance, made[0].variance, k=14)

    def test_adapt_to_a_dataset_with_indices(self):
        class Data(minikeras.utils.PyDataset):
            def __len__(self):
                return 2

            def __getitem__(self, i):
                return np.full((2, 1), float(i)), None

        layer = layers.Normalization()
        layer.adapt(Data())
        assert_close(layer.mean, np.array([[0.5]], "float32"))

    def test_integers(self):
        x = np.array([[1, 2], [3, 4]])
        ours, theirs = both(lambda module: module.Normalization(mean=2, variance=4)(x))
        assert_close(ours, theirs)

    @pytest.mark.parametrize(
        ("config", "match"),
        [
            ({"mean": 1.0}, "both `mean` and `variance` must be set"),
            ({"mean": [1.0], "variance": 1.0}, "must have the same shape"),
            ({"mean": [[1.0]], "variance": [[1.0]]}, "The rank of `mean`"),
        ],
    )
    def test_refuses_arguments(self, config, match):
        check_same_error(
            lambda module: module.Normalization(**config), ValueError, match
        )

    def test_refuses_data(self):
        for match, error, use in [
            ("must be in the range", ValueError, lambda m: m(axis=3).build((2, 3))),
            ("must have a known shape", ValueError, lambda m: m().build((2, None))),
            ("Unsupported data type", TypeError, lambda m: m().adapt(3)),
            ("an empty iterable", ValueError, lambda m: m().adapt([])),
            ("`.shape` attribute", TypeError, lambda m: m().adapt([1, 2])),
        ]:
            check_same_error(
                lambda module, use=use: use(module.Normalization), error, match
            )

        def adapt_twice(module):
            layer = module.Normalization()
            layer.adapt(np.ones((2, 3)))
            layer.adapt(np.ones((2, 4)))

        check_same_error(adapt_twice, ValueError, "incompatible shape")


@st.composite
def category_cases(draw):
    """Numbers of categories, of rank 1 to 3, some beyond the last category."""
    shape = draw(strategies.shapes(1, 3))
    tokens = draw(strategies.sizes(1, 5))
    return draw(strategies.ids(shape, tokens + 2, "int64")), tokens


class TestCategoryEncoding:
    @each_dtype
    @pytest.mark.parametrize("mode", ["multi_hot", "one_hot", "count"])
    @given(case=category_cases())
    def test_equals_keras(self, dtype, mode, case):
        x, tokens = case
        config = {"num_tokens": tokens, "output_mode": mode}
        with default_dtype(dtype):
            ours, theirs = both(
                lambda module: module.CategoryEncoding(**config)(tf_or_array(module, x))
            )
        assert_equal(ours, theirs)

    @each_dtype
    @pytest.mark.parametrize("mode", ["multi_hot", "one_hot", "count"])
    def test_in_the_battery(self, dtype, mode):
        x = np.array([[0, 2], [1, 1], [3, 0]])
        config = {"num_tokens": 4, "output_mode": mode}
        check("CategoryEncoding", config, x, dtype=dtype, numeric=False)

    @each_dtype
    def test_weighted_counts(self, dtype):
        x = np.array([[0, 2], [1, 1], [9, 0]])
        weights = np.array([[0.5, 1.5], [2.0, 0.25], [1.0, 3.0]]).astype(dtype)
        results = []
        for module in LIBRARIES:
            layer = module.CategoryEncoding(3, output_mode="count", dtype=dtype)
            inputs = tf_or_array(module, x), tf_or_array(module, weights)
            results.append(np.asarray(layer(inputs[0], count_weights=inputs[1])))
        assert_close(*results)

    @pytest.mark.parametrize("mode", ["multi_hot", "one_hot", "count"])
    @pytest.mark.parametrize("shape", [(None, 3), (None, 1), (4,), (None, 2, 3)])
    def test_output_shapes(self, mode, shape):
        ours, theirs = (
            tuple(module.CategoryEncoding(5, mode).compute_output_shape(shape))
            for module in LIBRARIES
        )
        assert_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("config", "match"),
        [
            ({"num_tokens": 3, "output_mode": "int"}, "Unknown arg for output_mode"),
            ({}, "num_tokens must be set"),
            ({"num_tokens": 0}, "`num_tokens` must be >= 1"),
        ],
    )
    def test_refuses(self, config, match):
        check_same_error(
            lambda module: module.CategoryEncoding(**config), ValueError, match
        )

    def test_refuses_data(self):
        check_same_error(
            lambda module: module.CategoryEncoding(3)(
                tf_or_array(module, np.array([[1]])),
                count_weights=tf_or_array(module, np.array([[1.0]])),
            ),
            ValueError,
            "`count_weights` is not used",
        )
        with pytest.raises(ValueError, match="numbered from 0"):
            layers.CategoryEncoding(3)(np.array([[-1]]))
        with pytest.raises(ValueError, match="not implemented"):
            layers.CategoryEncoding(3, sparse=True)


def tf_or_array(module, x):
    return x if module is layers else tf.constant(x)


class TestDiscretization:
    @each_dtype
    @pytest.mark.parametrize("mode", ["int", "multi_hot", "one_hot", "count"])
    @given(
        x=strategies.values(strategies.shapes(1, 3), scale=1.0),
        bounds=st.lists(strategies.numbers(-2, 2), min_size=1, max_size=5),
    )
    def test_equals_keras(self, dtype, mode, x, bounds):
        config = {"bin_boundaries": sorted(bounds), "output_mode": mode}
        with default_dtype(dtype):
            ours, theirs = both(
                lambda module: module.Discretization(**config)(x(dtype))
            )
        assert_equal(ours, theirs)

    @each_dtype
    @pytest.mark.parametrize("mode", ["int", "multi_hot", "one_hot"])
    def test_in_the_battery(self, dtype, mode):
        x = np.array([[-1.0, 0.1], [0.5, 7.0], [0.0, 1.0]])
        config = {"bin_boundaries": [0.0, 0.1, 1.0], "output_mode": mode}
        check("Discretization", config, x, dtype=dtype, numeric=False)

    def test_special_values(self):
        x = np.array([np.nan, np.inf, -np.inf, 1.0], "float32")
        assert_equal(*both(lambda module: module.Discretization([0.0, 1.0])(x)))
        ids = np.array([[0, 1], [2, -1]])
        assert_equal(*both(lambda module: module.Discretization([0.5, 1.0])(ids)))

    @pytest.mark.parametrize("bins", [2, 4, 10])
    @pytest.mark.parametrize("size", [3, 50, 1000])
    @pytest.mark.parametrize("epsilon", [0.01, 0.1])
    def test_adapt(self, bins, size, epsilon):
        data = np.random.default_rng(0).standard_normal((size, 2))
        made = [module.Discretization(num_bins=bins, epsilon=epsilon)
                for module in LIBRARIES]  # fmt: skip
        for layer in made:
            layer.adapt(data)
        assert_equal(made[0].bin_boundaries, made[1].bin_boundaries)
        assert_equal(made[0](data), np.asarray(made[1](data)))
        for layer in made:  # and again, in batches
            layer.adapt(np.array_split(data, 3), steps=2)
        assert_equal(made[0].bin_boundaries, made[1].bin_boundaries)

    def test_config_of_an_adapted_layer(self):
        for name in ("ours", "theirs"):
            module = layers if name == "ours" else keras.layers
            layer = module.Discretization(num_bins=3, name="d")
            layer.adapt(np.arange(9.0))
            for other in LIBRARIES:
                again = other.Discretization.from_config(layer.get_config())
                assert_equal(again.bin_boundaries, layer.bin_boundaries)
                assert_equal(again.num_bins, 3)
        check_config_travels("Discretization", {"bin_boundaries": [0.0, 1.0]})

    @pytest.mark.parametrize("mode", ["int", "multi_hot", "one_hot", "count"])
    @pytest.mark.parametrize("shape", [(None, 3), (None, 1), (4,), (None, 2, 3)])
    @pytest.mark.parametrize("bins", [{"num_bins": 4}, {"bin_boundaries": [0.0]}])
    def test_output_shapes(self, mode, shape, bins):
        ours, theirs = (
            tuple(
                module.Discretization(**bins, output_mode=mode).compute_output_shape(
                    shape
                )
            )
            for module in LIBRARIES
        )
        assert_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("config", "match"),
        [
            ({}, "You need to set either"),
            ({"num_bins": -1}, "greater than or equal to 0"),
            ({"num_bins": 2, "bin_boundaries": [0.0]}, "should not be set"),
            ({"num_bins": 2, "output_mode": "hot"}, "Unknown value for `output_mode`"),
        ],
    )
    def test_refuses(self, config, match):
        check_same_error(
            lambda module: module.Discretization(**config), ValueError, match
        )

    def test_refuses_use(self):
        check_same_error(
            lambda module: module.Discretization([0.0]).adapt(np.ones(3)),
            ValueError,
            "Cannot adapt a Discretization layer",
        )
        check_same_error(
            lambda module: module.Discretization(num_bins=2)(np.ones((2, 1))),
            ValueError,
            "You need to either pass the `bin_boundaries`",
        )
        with pytest.raises(ValueError, match="not implemented"):
            layers.Discretization([0.0], output_mode="count", sparse=True)


def prepared(k, x, normalization):
    """A model that prepares its own data."""
    inputs = k.Input((3,))
    bins = k.layers.Discretization(num_bins=3, dtype="float64")
    bins.adapt(x)
    encoded = k.layers.CategoryEncoding(3, output_mode="count")(bins(inputs))
    scaled = k.layers.Rescaling([0.5, 0.1, 2.0], offset=1.0)(inputs)
    joined = k.layers.Concatenate()([normalization(inputs), encoded, scaled])
    return compiled(k.Model(inputs, k.layers.Dense(2)(joined)), loss="mse")


def test_files(tmp_path):
    """Saved by either library, loaded by the other, and trained on."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)) * 5 + 2, rng.standard_normal((6, 2))

    def make(k):
        given = k.layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6])
        return prepared(k, x, given)

    with default_dtype("float64"):
        check_exchange(make, x, y, tmp_path)


@pytest.mark.parametrize("saver", [minikeras, keras], ids=["ours", "theirs"])
def test_files_of_an_adapted_layer(saver, tmp_path):
    x = np.random.default_rng(0).standard_normal((6, 3)) * 5 + 2
    with default_dtype("float64"):
        normalization = saver.layers.Normalization()
        normalization.adapt(x)
        model = prepared(saver, x, normalization)
        model.save(tmp_path / "m.keras")
        expected = model.predict(x, verbose=0)
        for library in (minikeras, keras):
            loaded = library.models.load_model(tmp_path / "m.keras")
            assert_close(loaded.predict(x, verbose=0), expected, k=64)
