"""Every name of `keras.activations`: values, gradients, kinks, lookup."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import activations, config
from minikeras.ops.stable import erfc
from parity_tests import strategies
from parity_tests.functions import check_function
from parity_tests.oracle import keras, run_function
from parity_tests.tolerance import assert_close, assert_equal

# Every function with its defaults, and again with every parameter away from them.
CASES = [
    *((name, {}) for name in activations.__all__),
    ("relu", {"max_value": 1.0}),
    ("relu", {"max_value": 0.1}),  # 0.1 passes through float32 in Keras
    ("relu", {"max_value": 6}),
    ("relu", {"max_value": 6, "threshold": 1.0}),
    ("relu", {"max_value": 0.0}),
    ("relu", {"max_value": -1.0}),
    ("relu", {"threshold": 0.1}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"threshold": -1.0, "max_value": 1.0}),
    ("relu", {"threshold": -1.0, "max_value": -0.5}),
    ("relu", {"negative_slope": 0.2}),
    ("relu", {"negative_slope": 0.2, "max_value": 1.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 6}),
    ("relu", {"negative_slope": 0.2, "threshold": 0.1}),
    ("relu", {"negative_slope": -0.2, "max_value": 0.3, "threshold": 0.1}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -1.5}),
    ("elu", {"alpha": 0.3}),
    ("elu", {"alpha": -0.3}),
    ("elu", {"alpha": 0.0}),
    ("celu", {"alpha": 0.3}),
    ("gelu", {"approximate": True}),
    ("hard_shrink", {"threshold": 0.1}),
    ("soft_shrink", {"threshold": 0.1}),
    ("soft_shrink", {"threshold": -0.1}),
    ("threshold", {"threshold": 0.1, "default_value": 0.3}),
    ("squareplus", {"b": 0.1}),
]
CASES = [
    (name, parameters)
    for name, parameters in CASES
    if name not in ("get", "serialize", "deserialize")
    and (name != "threshold" or parameters)
]
OVER_AN_AXIS = ("softmax", "log_softmax", "sparsemax", "glu")
ELEMENTWISE = [case for case in CASES if case[0] not in OVER_AN_AXIS]
DTYPES = strategies.DTYPES


def label(case):
    return f"{case[0]}-{case[1]}" if isinstance(case, tuple) else None


def prepared(name, x):
    """Steers around what rounding alone decides."""
    # TensorFlow rounds exp(x) - 1 of a tiny negative x to 0, where the slope changes.
    x = np.where(np.abs(x) < 1e-6, 0, x)
    # Saturated slopes are differences of nearly equal numbers, such as y * (1 - y): an
    # ordinary value among them sets the scale.
    x.flat[0] = 0.6
    return np.minimum(x, 80) if name == "exponential" else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=label)
@given(recipe=strategies.values(strategies.shapes(low=2)))
def test_elementwise_equal_keras(case, dtype, recipe):
    name, parameters = case
    x = prepared(name, recipe("float64"))
    check_function(
        getattr(activations, name),
        getattr(keras.activations, name),
        x,
        dtype=dtype,
        numeric=False,
        **parameters,
    )


@st.composite
def axis_cases(draw, name):
    shape = list(draw(strategies.shapes(low=2)))
    rank = len(shape)
    axis = draw(st.integers(-rank, rank - 1))
    if name == "glu":
        shape[axis] = 2 * draw(strategies.sizes(1, 3))
    elif name != "sparsemax" and draw(st.booleans()):
        axes = st.lists(st.integers(0, rank - 1), min_size=1, unique=True).map(tuple)
        axis = draw(st.one_of(st.none(), axes))
    return axis, draw(strategies.values(tuple(shape)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OVER_AN_AXIS)
@given(data=st.data())
def test_axes_equal_keras(name, dtype, data):
    axis, recipe = data.draw(axis_cases(name))
    check_function(
        getattr(activations, name),
        getattr(keras.activations, name),
        recipe,
        dtype=dtype,
        k=np.prod(recipe.shape, dtype=int),
        numeric=False,
        axis=axis,
    )


@pytest.mark.parametrize("case", CASES, ids=label)
def test_numeric_derivatives(case):
    name, parameters = case
    x = np.linspace(-7.3, 7.9, 24).reshape(3, 8)  # crosses every kink, on none
    function = getattr(activations, name)
    result = minikeras.utils.gradcheck(function, x, call_kwargs=parameters)
    result.raise_if_failed()


KINKS = [-6.0, -3.0, -1.0, -0.5, -0.1, -0.0, 0.0, 0.1, 0.3, 0.5, 1.0, 3.0, 6.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=label)
def test_gradients_at_kinks_equal_tensorflow(case, dtype):
    name, parameters = case
    x = np.array(KINKS, dtype)
    check_function(
        getattr(activations, name),
        getattr(keras.activations, name),
        x,
        dtype=dtype,
        numeric=False,
        referee=name == "mish",  # no kinks, but 1 - tanh(p)^2 loses digits at x = 6
        **parameters,
    )


def test_slopes_at_kinks_by_hand():
    def slope(function, x, **parameters):
        x = np.array([x])
        _, residuals = function.forward(x, **parameters)
        return function.backward(np.ones(1), residuals)[0]

    assert slope(activations.relu, 0.0) == 0
    assert slope(activations.relu, 6.0, max_value=6) == 0
    assert slope(activations.relu, 5.0, max_value=5) == 1
    assert slope(activations.leaky_relu, 0.0, negative_slope=0.25) == 0.25
    assert slope(activations.relu6, 6.0) == slope(activations.relu6, 0.0) == 0
    assert slope(activations.hard_sigmoid, 3.0) == 0
    assert slope(activations.hard_tanh, 1.0) == 1
    assert slope(activations.elu, 0.0) == 1
    assert slope(activations.celu, 0.0) == 2  # Keras counts both sides
    assert slope(activations.selu, 0.0) == activations.exponential_units.SELU_SCALE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=label)
def test_nan_goes_where_it_goes_in_keras(case, dtype):
    name, parameters = case
    x = np.array([[1.0, np.nan, -2.0, 0.5], [0.1, 0.2, 0.3, 0.4]], dtype)
    y = getattr(activations, name)(x, **parameters)
    expected, _, _ = run_function(
        getattr(keras.activations, name), x, dtype=dtype, **parameters
    )
    assert_close(y, expected, name=name)


def test_nan_spoils_its_own_row_of_a_softmax():
    # TensorFlow's float32 kernel leaves zeros beside the NaN; here the row is NaN.
    x = np.array([[1.0, np.nan], [1.0, 1.0]])
    for function in (activations.softmax, activations.log_softmax):
        assert np.isnan(function(x)).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("case", CASES, ids=label)
def test_saturates_without_warnings(case):
    name, parameters = case
    x = np.array([[-1e4, 1e4, -800.0, 800.0]], "float32")  # warnings are errors here
    y, residuals = getattr(activations, name).forward(x, **parameters)
    dx = getattr(activations, name).backward(np.ones_like(y), residuals)
    assert not np.isnan(y).any()
    assert dx.shape == x.shape


@pytest.mark.parametrize("case", CASES, ids=label)
def test_empty_batch_and_single_numbers(case):
    name, parameters = case
    function = getattr(activations, name)
    y, residuals = function.forward(np.zeros((0, 4), "float32"), **parameters)
    assert function.backward(y, residuals).shape == (0, 4)
    if name not in OVER_AN_AXIS:
        y, residuals = function.forward(np.array(2.0), **parameters)
        assert np.shape(y) == np.shape(function.backward(y, residuals)) == ()


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "softmax"])
def test_keeps_only_its_output(name):
    y, residuals = getattr(activations, name).forward(np.ones((2, 3)))
    kept = residuals if isinstance(residuals, tuple) else (residuals,)
    held = [item for item in kept if isinstance(item, np.ndarray)]
    assert len(held) == 1 and held[0] is y


def test_python_numbers_compute_in_float32_as_in_keras():
    assert activations.tanh([0.5, 1.0]).dtype == np.float32
    assert activations.relu(-1.5).dtype == np.float32
    assert activations.relu([1, -2]).dtype == np.int32
    assert activations.tanh(np.array([0.5])).dtype == np.float64
    assert activations.sigmoid([np.float64(0.5)]).dtype == np.float64


@pytest.mark.parametrize("name", ["relu", "relu6", "linear"])
def test_integers_stay_integers_where_keras_keeps_them(name):
    x = np.array([[-2, 0, 3, 9]], "int64")
    y = getattr(activations, name)(x)
    assert_equal(y, np.array(getattr(keras.activations, name)(x)), name=name)


@pytest.mark.parametrize("name", ["tanh", "exponential", "leaky_relu"])
def test_integers_become_floats_where_keras_converts_them(name):
    x = np.array([[-2, 0, 3, 4]], "int32")
    y = getattr(activations, name)(x)
    assert_close(y, np.array(getattr(keras.activations, name)(x)), name=name)


def test_integers_become_floatx_where_tensorflow_refuses_them():
    x = np.array([[-2, 0, 3, 4]], "int32")
    assert activations.softmax(x).dtype == np.float32
    config.set_floatx("float64")
    try:
        assert activations.sigmoid(x).dtype == np.float64
    finally:
        config.set_floatx("float32")


def test_worked_by_hand():
    assert activations.relu(np.array([-1.0, 2.0])).tolist() == [0, 2]
    assert_close(activations.sigmoid(np.array([np.log(3)])), np.array([0.75]))
    assert_close(activations.softmax(np.log([1.0, 3.0])), np.array([0.25, 0.75]))
    assert_close(activations.softplus(np.log([np.e - 1])), np.array([1.0]))
    _, residuals = activations.softmax.forward(np.log([1.0, 3.0]))
    # dx = y * (dy - sum(dy * y)) = [.25 * (1 - .25), .75 * (0 - .25)]
    dx = activations.softmax.backward(np.array([1.0, 0.0]), residuals)
    assert_close(dx, np.array([0.1875, -0.1875]))
    _, residuals = activations.tanh.forward(np.array([np.arctanh(0.5)]))
    assert_close(activations.tanh.backward(np.array([2.0]), residuals), np.array([1.5]))


def test_sigmoid_and_gelu_are_accurate_far_out():
    x = np.array([-40.0, -80.0], "float32")
    assert_close(activations.sigmoid(x)[0], np.float32(np.exp(-40.0)))
    assert_close(activations.sigmoid(x)[1], np.float32(np.exp(-80.0)))
    assert activations.gelu(np.array([-7.0])) < 0


def test_erfc_in_float32_is_the_plain_one():
    x = np.concatenate(
        [np.linspace(-7, 11, 5001), [0.0, -0.0, np.inf, -np.inf, np.nan]]
    )
    x = np.append(x, [1e30, -1e30]).astype("float32")
    plain = erfc(x.astype("float64"))
    assert_close(erfc(x), plain.astype("float32"), scale=1)
    # far out the relative error stays small too: that of exp(-x * x)
    few = (x > 0) & (x < 3)
    assert_close(erfc(x)[few], plain[few].astype("float32"), scale=plain[few] * 2)
    assert erfc(np.array(0.5, "float32")).dtype == np.float32


def test_sparsemax_is_keras_own():
    # The paper's sparsemax of [1, 0.8] is [0.6, 0.4]; Keras's does not sum to 1.
    x = np.array([1.0, 0.8])
    expected = np.array(keras.activations.sparsemax(x))
    assert_close(activations.sparsemax(x), expected)
    assert_close(activations.sparsemax(x), np.array([0.1, 0.0]), scale=1)


def test_axis_errors():
    x = np.ones((2, 3))
    for function in (activations.softmax, activations.log_softmax):
        with pytest.raises(ValueError, match=r"from -2 to 1.*axis=2.*\(2, 3\)"):
            function(x, axis=2)
        with pytest.raises(ValueError, match=r"from 0 to 1.*axis=\(0, -1\)"):
            function(x, axis=(0, -1))
        with pytest.raises(TypeError, match="int or a tuple"):
            function(x, axis=[0, 1])
        with pytest.raises(ValueError, match="at least one axis"):
            function(np.array(1.0))
    with pytest.raises(ValueError, match=r"even length.*\(2, 3\).*axis=-1"):
        activations.glu(x)
    with pytest.raises(IndexError, match="axis=5"):
        activations.glu(x, axis=5)


def test_softmax_over_one_value_warns_as_keras_does():
    x = np.ones((2, 1))
    with pytest.warns(UserWarning, match="sigmoid"):
        keras.activations.softmax(x)
    with pytest.warns(UserWarning, match=r"shape \(2, 1\).*sigmoid"):
        activations.softmax(x)
