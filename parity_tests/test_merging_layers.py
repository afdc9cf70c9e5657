"""Layers that make one tensor of several: against Keras, and by hand."""

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
from parity_tests.oracle import keras
from parity_tests.test_saving import check_exchange
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

ELEMENTWISE = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"]
# Where two are equal the numeric derivative is not that of either.
SELECTING = ("Maximum", "Minimum")
NAMES = [*ELEMENTWISE, "Concatenate", "Dot"]


def each(names):
    """Every class in every dtype, drawn or not: the report wants all of them."""

    def decorate(test):
        test = pytest.mark.parametrize("name", names)(test)
        return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)

    return decorate


def options_for(name, recipes):
    """Numeric derivatives exist where no two numbers are equal."""
    if name not in SELECTING:
        return {}
    ties = any(recipe.specials for recipe in recipes)
    return {"numeric": not ties, "referee": False}


@st.composite
def broadcasting(draw, count, *, ranks=True, low=2):
    """Recipes of arrays whose shapes broadcast, of unequal ranks if `ranks`.

    NB: no two sizes are equal, since Keras on TensorFlow adds an array that could be a
    bias along whatever axis has its size (see keras_findings/column_added_as_a_row.py).
    """
    rank = draw(st.integers(low, 4))
    whole = tuple(draw(st.permutations(range(1, 6)))[:rank])
    scale = draw(strategies.scales())
    recipes = []
    for _ in range(count):
        shape = [n if draw(st.integers(0, 3)) else 1 for n in whole[1:]]
        if ranks and draw(st.booleans()):
            shape = shape[draw(st.integers(0, len(shape))) :]
        shape = (whole[0], *shape)
        specials = ("ties", "zeros")
        recipes.append(draw(strategies.values(shape, scale=scale, specials=specials)))
    return recipes


@st.composite
def masked_inputs(draw, count):
    """Sequences (N, T, F) of equal shapes, and a mask or None for each."""
    shape = draw(strategies.shapes(3, 3, high=4))
    recipes = [draw(strategies.values(shape, specials=("ties",))) for _ in range(count)]
    masks = [
        draw(strategies.masks(*shape[:2])) if draw(st.integers(0, 3)) else None
        for _ in range(count)
    ]
    return recipes, masks


class TestElementwise:
    @each(ELEMENTWISE)
    @given(data=st.data())
    def test_equals_keras(self, name, dtype, data):
        count = 2 if name == "Subtract" else data.draw(st.integers(1, 4))
        recipes = data.draw(broadcasting(count))
        check(name, {}, recipes, dtype=dtype, **options_for(name, recipes))

    @each(ELEMENTWISE)
    @given(data=st.data())
    def test_masked_equals_keras(self, name, dtype, data):
        count = 2 if name == "Subtract" else data.draw(st.integers(2, 4))
        recipes, masks = data.draw(masked_inputs(count))
        check(name, {}, recipes, dtype=dtype, mask=masks, **options_for(name, recipes))

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_masks_and_unequal_ranks(self, name):
        rng = np.random.default_rng(0)
        x = [rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4))]
        mask = np.array([[True, False, True], [False, False, True]])
        check(name, {}, x, dtype="float64", mask=[mask, None])

    @pytest.mark.parametrize("name", ELEMENTWISE)
    @pytest.mark.parametrize(
        "shapes",
        [
            [(None, 3), (None, 3)],
            [(None, None, 3), (None, 2, 1)],
            [(2, 3), (None, 4, 3)],
            [(None,), (None, 3)],
        ],
    )
    def test_output_shapes(self, name, shapes):
        ours, theirs = (
            getattr(module, name)().compute_output_shape(shapes)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, tuple(theirs))

    @pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum", "Minimum"])
    def test_integers(self, name):
        a, b = np.array([[1, 5]], "int32"), np.array([[3, 2]], "int32")
        ours, theirs = (
            np.asarray(getattr(module, name)()([a, b]))
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)
        layer = getattr(layers, name)()
        y, residuals = layer.forward([a, b.astype("float32")])
        assert y.dtype == "float32"
        dx = layer.backward(np.ones_like(y), residuals, Gradients())
        assert dx[0] is None and dx[1].dtype == "float32"

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_functional_form(self, name):
        x = [np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])]
        for module in (layers, keras.layers):
            function = getattr(module, name.lower())
            expected = np.asarray(getattr(keras.layers, name)(dtype="float64")(x))
            assert_equal(np.asarray(function(x, dtype="float64")), expected)

    def test_maximum_by_hand(self):
        a, b = np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 2.0, 1.0]])
        layer = layers.Maximum(dtype="float64")
        y, residuals = layer.forward([a, b])
        assert_equal(y, np.array([[2.0, 2.0, 3.0]]))
        da, db = layer.backward(np.array([[1.0, 10.0, 100.0]]), residuals, Gradients())
        assert_equal(da, np.array([[0.0, 10.0, 100.0]]))  # the first of equals
        assert_equal(db, np.array([[1.0, 0.0, 0.0]]))

    def test_nan_is_not_lost(self):
        x = [np.array([[np.nan, 1.0]]), np.array([[0.0, np.nan]])]
        for name in SELECTING:
            y = getattr(layers, name)(dtype="float64")(x)
            assert np.isnan(y).all()

    def test_product_of_zeros_by_hand(self):
        x = [np.array([[0.0]]), np.array([[0.0]]), np.array([[3.0]])]
        layer = layers.Multiply(dtype="float64")
        _, residuals = layer.forward(x)
        dx = layer.backward(np.array([[2.0]]), residuals, Gradients())
        assert_equal(np.ravel(dx), np.zeros(3))
        x[0] = np.array([[5.0]])
        _, residuals = layer.forward(x)
        dx = layer.backward(np.array([[2.0]]), residuals, Gradients())
        assert_equal(np.ravel(dx), np.array([0.0, 30.0, 0.0]))


@st.composite
def concatenations(draw, count):
    """An axis and inputs that differ along it only."""
    shape = draw(strategies.shapes(2, 4, high=4))
    axis = draw(st.integers(1, len(shape) - 1))
    recipes = []
    for _ in range(count):
        sizes = list(shape)
        sizes[axis] = draw(strategies.sizes(1, 4))
        recipes.append(draw(strategies.values(tuple(sizes))))
    return axis - len(shape) if draw(st.booleans()) else axis, recipes


class TestConcatenate:
    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @given(data=st.data(), count=st.integers(1, 4))
    def test_equals_keras(self, dtype, data, count):
        axis, recipes = data.draw(concatenations(count))
        check("Concatenate", {"axis": axis}, recipes, dtype=dtype)

    @given(data=st.data(), axis=st.sampled_from([1, 2, -1, -2]))
    def test_masked_equals_keras(self, data, axis):
        recipes, masks = data.draw(masked_inputs(3))
        config = {"axis": axis}
        check("Concatenate", config, recipes, dtype="float64", mask=masks)

    def test_along_the_batch(self):
        x = [np.ones((2, 3)), np.zeros((1, 3))]
        ours, theirs = (
            np.asarray(module.Concatenate(axis=0, dtype="float64")(x))
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)
        assert layers.Concatenate(axis=0).couples_examples
        assert not layers.Concatenate(axis=1).couples_examples

    def test_functional_form(self):
        x = [np.ones((2, 3, 1)), np.zeros((2, 2, 1))]
        y = layers.concatenate(x, axis=1, name="c")
        assert_equal(y, np.asarray(keras.layers.concatenate(x, axis=1, name="c")))

    @pytest.mark.parametrize(
        "shapes",
        [[(None, 3), (None, 2)], [(None, None, 3), (None, 4, 2)], [(2, None), (2, 1)]],
    )
    def test_output_shapes(self, shapes):
        ours, theirs = (
            module.Concatenate().compute_output_shape(shapes)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, tuple(theirs))

    @pytest.mark.parametrize(
        "shapes", [[(2, 3, 4), (2, 2, 4)], [(2, 3), (2, 3, 4)], [(2, 3), (1, 3)]]
    )
    def test_refuses_shapes(self, shapes):
        check_same_error(
            lambda module: module.Concatenate()([np.ones(s) for s in shapes]),
            ValueError,
            "matching shapes except for the concatenation axis",
        )

    def test_refuses(self):
        check_same_error(
            lambda module: module.Concatenate()(np.ones((2, 3))),
            ValueError,
            "should be called on a list of",
        )
        with pytest.raises(ValueError, match="cannot concatenate along axis 2"):
            layers.Concatenate(axis=2)([np.ones((2, 3)), np.ones((2, 3))])


@st.composite
def dots(draw):
    """Axes and two inputs of equal size along them."""
    batch, summed = draw(strategies.sizes(1, 3)), draw(strategies.sizes(1, 4))
    axes, recipes = [], []
    for _ in range(2):
        rest = list(draw(strategies.shapes(0, 2, high=3)))
        axis = draw(st.integers(0, len(rest)))
        rest.insert(axis, summed)
        negative = draw(st.booleans())
        axes.append(axis - len(rest) if negative else axis + 1)
        shape = (batch, *rest)
        recipes.append(draw(strategies.values(shape, scale=1.0, specials=("large",))))
    return (axes[0] if axes[0] == axes[1] else axes), recipes


class TestDot:
    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @given(case=dots(), normalize=st.booleans())
    def test_equals_keras(self, dtype, case, normalize):
        axes, recipes = case
        if isinstance(axes, list) and min(axes) < 0:
            # NB: Keras checks a list of negative axes against the wrong sizes.
            axes = [a % len(r.shape) for a, r in zip(axes, recipes, strict=True)]
        config = {"axes": axes, "normalize": normalize}
        check("Dot", config, recipes, dtype=dtype)

    def test_passes_no_mask_on(self):
        mask = np.ones((2, 3), bool)
        x = [np.ones((2, 3, 4)), np.ones((2, 3, 4))]
        check("Dot", {"axes": 2}, x, dtype="float64", mask=[mask, mask])

    def test_normalized_zeros(self):
        """NB: Keras's gradient is NaN there."""
        x = [np.zeros((1, 2)), np.array([[3.0, 4.0]])]
        layer = layers.Dot(1, normalize=True, dtype="float64")
        y, residuals = layer.forward(x)
        assert_equal(y, np.zeros((1, 1)))
        dx = layer.backward(np.ones((1, 1)), residuals, Gradients())
        assert_close(dx[0], np.array([[0.6, 0.8]]) * 1e7)
        assert_equal(dx[1], np.zeros((1, 2)))

    def test_functional_form(self):
        x = [np.ones((2, 3)), np.full((2, 3), 2.0)]
        y = layers.dot(x, axes=1, normalize=True, dtype="float64")
        theirs = keras.layers.dot(x, axes=1, normalize=True, dtype="float64")
        assert_close(y, np.asarray(theirs))

    @pytest.mark.parametrize(
        ("axes", "error", "match"),
        [
            ("last", TypeError, "Invalid type for argument `axes`"),
            ((1, 2, 3), ValueError, "should contain two elements"),
            ((1.0, 2), ValueError, "list elements should be integers"),
        ],
    )
    def test_refuses_axes(self, axes, error, match):
        check_same_error(lambda module: module.Dot(axes), error, match)

    def test_refuses_shapes(self):
        check_same_error(
            lambda module: module.Dot(1)([np.ones((2, 3)), np.ones((2, 4))]),
            ValueError,
            "Incompatible input shapes",
        )
        check_same_error(
            lambda module: module.Dot(1)([np.ones((2, 3))] * 3),
            ValueError,
            "should be called on a list of 2 inputs",
        )
        with pytest.raises(ValueError, match="not the batch axis 0"):
            layers.Dot(0)([np.ones((2, 3)), np.ones((2, 3))])


class TestRefusals:
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_shapes(self, name):
        check_same_error(
            lambda module: getattr(module, name)()([np.ones((2, 3)), np.ones((2, 4))]),
            ValueError,
            "Inputs have incompatible shapes",
        )
        check_same_error(
            lambda module: getattr(module, name)()([np.ones((2, 3)), np.ones((4, 3))]),
            ValueError,
            "Cannot merge tensors with different batch sizes",
        )
        check_same_error(
            lambda module: getattr(module, name)()(np.ones((2, 3))),
            ValueError,
            "A merge layer should be called on a list of inputs",
        )

    def test_subtract_wants_two(self):
        check_same_error(
            lambda module: module.Subtract()([np.ones((2, 3))] * 3),
            ValueError,
            "should be called on exactly 2 inputs",
        )

    @pytest.mark.parametrize("name", ["Add", "Concatenate"])
    def test_masks(self, name):
        x = [np.ones((2, 3, 1))] * 2
        mask = np.ones((2, 3), bool)

        def use(module, inputs, masks):
            getattr(module, name)().compute_mask(inputs, masks)

        for inputs, masks, match in [
            (x, mask, "`mask` should be a list"),
            (x[0], [mask], "`inputs` should be a list"),
            (x, [mask], "should have the same length"),
        ]:
            check_same_error(
                lambda module, i=inputs, m=masks: use(module, i, m), ValueError, match
            )


def branches(k, merge):
    """Two branches, merged; of sequences, so that masks are on their way."""
    ids = k.Input((4,), dtype="int32")
    a = k.layers.Embedding(5, 3, mask_zero=True)(ids)
    b = k.layers.Embedding(5, 3, mask_zero=True)(ids)
    y = merge(k, [a, k.layers.Activation("tanh")(b)])
    y = y if len(y.shape) == 2 else k.layers.GlobalAveragePooling1D()(y)
    return compiled(k.Model(ids, k.layers.Dense(2)(y)), loss="mse")


class TestInModels:
    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_files(self, name, tmp_path):
        rng = np.random.default_rng(0)
        ids, y = rng.integers(1, 5, (6, 4)), rng.standard_normal((6, 2))
        with default_dtype("float64"):
            check_exchange(
                lambda k: branches(k, lambda k, x: getattr(k.layers, name)()(x)),
                ids,
                y,
                tmp_path,
            )

    def test_files_with_concatenate_and_dot(self, tmp_path):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((6, 5, 4)), rng.standard_normal((6, 2))

        def make(k):
            x = k.Input((5, 4))
            a, b = k.layers.Dense(3)(x), k.layers.Dense(2)(x)
            joined = k.layers.Concatenate(axis=-1)([a, b, x])
            products = k.layers.Dot(axes=(1, 1), normalize=True)([joined, a])
            y = k.layers.Dense(2)(k.layers.Flatten()(products))
            return compiled(k.Model(x, y), loss="mse")

        with default_dtype("float64"):
            check_exchange(make, x, y, tmp_path)

    @pytest.mark.parametrize("name", NAMES[:-1])
    def test_masks_travel(self, name):
        """A model with padded sequences: forward as in Keras, masks included."""
        ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 4]])

        def make(k):
            x = k.Input((4,), dtype="int32")
            a = k.layers.Embedding(5, 3, mask_zero=True, name="a")(x)
            b = k.layers.Embedding(5, 3, mask_zero=True, name="b")(x[:, ::-1])
            y = getattr(k.layers, name)()([a, b])
            return k.Model(x, k.layers.LSTM(2, name="l")(y))

        with default_dtype("float64"):
            ours, theirs = make(minikeras), make(keras)
            theirs.set_weights(ours.get_weights())
            assert_close(ours(ids), np.asarray(theirs(ids)), k=64)
