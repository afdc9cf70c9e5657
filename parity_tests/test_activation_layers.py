"""Activation, ReLU, LeakyReLU, ELU, PReLU and Softmax layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import activations, layers
from minikeras.functions import differentiable
from minikeras.gradients import Gradients
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

INPUTS = strategies.values(strategies.shapes(1, 4, low=2))


class TestActivation:
    @given(
        name=strategies.activations(),
        x=strategies.values(strategies.shapes(2, 4, low=2), specials=("ties", "zeros")),
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, name, x, dtype):
        check("Activation", {"activation": name}, x, dtype=dtype)

    def test_of_ones_own(self):
        @differentiable
        def cube(x):
            return x**3, x

        @cube.gradient
        def _(dy, x):
            return 3 * x * x * dy

        layer = layers.Activation(cube)
        y, residuals = layer.forward(np.array([2.0, -1.0]))
        assert_equal(y, np.array([8.0, -1.0]))
        dx = layer.backward(np.array([1.0, 2.0]), residuals, Gradients())
        assert_equal(dx, np.array([12.0, 6.0]))

    def test_refuses_unknown_names(self):
        with pytest.raises(
            ValueError, match=r"Could not interpret.*Did you mean 'relu'"
        ):
            layers.Activation("rellu")


class TestReLU:
    @given(
        max_value=st.sampled_from([None, 0.5, 6.0, 0.0]),
        slope=st.sampled_from([0.0, 0.25, 1.5]),
        threshold=st.sampled_from([0.0, 0.5]),
        x=INPUTS,
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, max_value, slope, threshold, x, dtype):
        config = {
            "max_value": max_value,
            "negative_slope": slope,
            "threshold": threshold,
        }
        check("ReLU", config, x, dtype=dtype)

    def test_by_hand(self):
        layer = layers.ReLU(max_value=4.0, negative_slope=0.5, threshold=1.0)
        y, residuals = layer.forward(np.array([-1.0, 0.5, 2.0, 9.0]))
        assert_equal(y, np.array([-1.0, -0.25, 2.0, 4.0]))
        dx = layer.backward(np.array([2.0, 2.0, 3.0, 5.0]), residuals, Gradients())
        assert_equal(dx, np.array([1.0, 1.0, 3.0, 0.0]))

    @pytest.mark.parametrize(
        "config",
        [
            {"max_value": -1.0},
            {"negative_slope": -0.1},
            {"negative_slope": None},
            {"threshold": -1},
            {"threshold": None},
        ],
    )
    def test_refuses(self, config):
        (name,) = config
        check_same_error(
            lambda module: module.ReLU(**config),
            ValueError,
            f"{name} of a ReLU layer cannot be",
        )


class TestLeakyReLU:
    @given(
        config=st.sampled_from([{}, {"negative_slope": 0.0}, {"negative_slope": 2.0}]),
        x=INPUTS,
        dtype=strategies.dtypes(),
    )
    def test_equals_keras(self, config, x, dtype):
        check("LeakyReLU", config, x, dtype=dtype)

    def test_default_slope_is_that_of_the_layer(self):
        x = np.array([-1.0], "float32")
        assert_equal(layers.LeakyReLU()(x), np.array([-0.3], "float32"))
        assert_equal(activations.leaky_relu(x), np.array([-0.2], "float32"))

    def test_takes_the_old_name(self):
        for module in (layers, keras.layers):
            with pytest.warns(UserWarning, match="`alpha` is deprecated"):
                layer = module.LeakyReLU(alpha=0.5)
            assert layer.get_config()["negative_slope"] == 0.5

    @pytest.mark.parametrize("slope", [None, -0.1])
    def test_refuses(self, slope):
        check_same_error(
            lambda module: module.LeakyReLU(negative_slope=slope),
            ValueError,
            "cannot be None or negative",
        )


class TestELU:
    @given(alpha=st.sampled_from([1.0, 0.3, 2.5]), x=INPUTS, dtype=strategies.dtypes())
    def test_equals_keras(self, alpha, x, dtype):
        check("ELU", {"alpha": alpha}, x, dtype=dtype)


@st.composite
def prelu_cases(draw):
    """A config of PReLU and an input."""
    x = draw(strategies.values(strategies.shapes(2, 4)))
    axes = st.integers(1, len(x.shape) - 1)
    config = {
        "alpha_regularizer": draw(st.sampled_from([None, "l2"])),
        "alpha_constraint": draw(st.sampled_from([None, "non_neg"])),
        "shared_axes": draw(
            st.one_of(st.none(), axes, st.lists(axes, unique=True, min_size=1))
        ),
    }
    return config, x


class TestPReLU:
    @given(case=prelu_cases(), dtype=strategies.dtypes())
    def test_equals_keras(self, case, dtype):
        config, x = case
        check("PReLU", config, x, dtype=dtype)

    def test_by_hand(self):
        layer = layers.PReLU(shared_axes=1, dtype="float64")
        x = np.array([[-2.0, 4.0], [-1.0, 0.0]])
        layer.build(x.shape)
        layer.set_weights([[0.5]])
        y, residuals = layer.forward(x)
        assert_equal(y, np.array([[-1.0, 4.0], [-0.5, 0.0]]))
        grads = Gradients()
        dx = layer.backward(np.array([[1.0, 2.0], [3.0, 4.0]]), residuals, grads)
        assert_equal(dx, np.array([[0.5, 2.0], [1.5, 0.0]]))
        assert_equal(grads[layer.alpha], np.array([-5.0]))  # 1 * -2 + 3 * -1


@st.composite
def softmax_cases(draw):
    """An axis or axes, an input, and a mask or None."""
    x = draw(strategies.values(strategies.shapes(2, 4, low=2)))
    rank = len(x.shape)
    # Not the batch: that would mix examples.
    axis = st.sampled_from([*range(1, rank), *range(1 - rank, 0)])
    several = st.lists(st.integers(1, rank - 1), unique=True, min_size=1)
    mask = None
    if draw(st.booleans()):
        shape = tuple(n if draw(st.booleans()) else 1 for n in x.shape)
        shape = shape[draw(st.integers(0, rank - 1)) :]
        mask = np.random.default_rng(draw(strategies.seeds())).random(shape) < 0.6
    return draw(st.one_of(axis, several)), x, mask


class TestSoftmax:
    @given(case=softmax_cases(), dtype=strategies.dtypes())
    def test_equals_keras(self, case, dtype):
        axis, x, mask = case
        # The mask of a batch does not fit an empty one.
        options = {"mask": mask, "empty_batch": mask is None}
        check("Softmax", {"axis": axis}, x, dtype=dtype, **options)

    def test_over_the_batch(self):
        x = np.random.default_rng(0).standard_normal((3, 2))
        for axis in (0, [0, 1], [-1, -2]):
            ours, theirs = (
                np.asarray(module.Softmax(axis=axis, dtype="float64")(x))
                for module in (layers, keras.layers)
            )
            assert_close(ours, theirs)

    def test_fully_masked_rows_are_zero(self):
        x = np.array([[1.0, 2.0], [3.0, 4.0]])
        mask = np.array([[False, False], [True, False]])
        y, residuals = layers.Softmax(dtype="float64").forward(x, mask=mask)
        assert_equal(y, np.array([[0.0, 0.0], [1.0, 0.0]]))
        dx = layers.Softmax().backward(x, residuals, Gradients())
        assert_equal(dx, np.zeros((2, 2)))

    def test_by_hand(self):
        x = np.log(np.array([[1.0, 2.0, 5.0]]))
        y, residuals = layers.Softmax(dtype="float64").forward(x)
        assert_close(y, np.array([[0.125, 0.25, 0.625]]))
        # sum(dy * y) = 8 * 0.125 = 1: dx = y * (dy - 1)
        dx = layers.Softmax().backward(np.array([[8.0, 0, 0]]), residuals, Gradients())
        assert_close(dx, np.array([[0.875, -0.25, -0.625]]))

    @pytest.mark.parametrize("shape", [(2, 3, 1), (3,), (4, 2)])
    def test_refuses_masks(self, shape):
        def use(module):
            module.Softmax()(np.ones((2, 2)), mask=np.ones(shape, bool))

        check_same_error(use, ValueError, "`mask` must be broadcastable")

    def test_numbers_as_mask(self):
        x, mask = np.array([[1.0, 2.0, 3.0]]), np.array([[0.2, 0.7, 1.0]])
        ours, theirs = (
            np.asarray(module.Softmax(dtype="float64")(x, mask=mask))
            for module in (layers, keras.layers)
        )
        assert_close(ours, theirs)
