"""Regularizers with their gradients, and constraints, beside Keras and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import constraints, regularizers
from minikeras.functions import differentiable
from minikeras.serialization import custom_object_scope
from minikeras.variables import Variable
from parity_tests import oracle
from parity_tests.oracle import keras
from parity_tests.strategies import Values, dtypes, numbers, shapes, values
from parity_tests.tolerance import (
    assert_close,
    assert_derivative_close,
    assert_equal,
)

FACTORS = st.one_of(st.just(0.0), st.floats(1e-4, 2))
STEP = 1e-5  # of the central differences


def random_cotangent(seed: int, dtype: str) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(), dtype)


def check(ours: Any, theirs: Any, x: np.ndarray, scale: Any, seed: int = 0) -> None:
    """Value and gradient, under a random cotangent, and the config."""
    dtype = x.dtype.name
    dy = random_cotangent(seed, dtype)
    value, gradient, _ = oracle.run_function(theirs, x, dy=dy, dtype=dtype)
    frozen = x.copy()
    frozen.setflags(write=False)
    assert_close(ours(frozen), value, k=x.size, depth="forward")
    actual = dy * ours.gradient(frozen)
    assert_close(actual, gradient, scale=scale, depth="gradients")
    assert_close(dy * ours.gradient(Variable(x)), gradient, scale=scale)
    assert ours.get_config() == theirs.get_config()


@given(recipe=values(shapes(1, 3, 1, 5)), l1=FACTORS, l2=FACTORS, dtype=dtypes())
@example(recipe=Values((4,), specials=("zeros",)), l1=0.1, l2=0.1, dtype="float64")
def test_sums_of_weights(recipe, l1, l2, dtype):
    x = recipe(dtype)
    for name, arguments in (
        ("L1", {"l1": l1}), ("L2", {"l2": l2}), ("L1L2", {"l1": l1, "l2": l2}),
    ):  # fmt: skip
        ours = getattr(regularizers, name)(**arguments)
        theirs = getattr(keras.regularizers, name)(**arguments)
        check(ours, theirs, x, scale=l1 + 2 * l2 * np.abs(x), seed=recipe.seed)


def rows_scale(x: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """The size of what is added up in the gradient of an OrthogonalRegularizer."""
    lengths = np.sqrt(np.sum(np.square(x, dtype=np.float64), axis=axis, keepdims=True))
    return factor * 4 / np.maximum(lengths, keras.config.epsilon())


@given(
    recipe=values(shapes(2, 2, 2, 6), scale=1.0, specials=("zeros", "ties")),
    factor=FACTORS,
    mode=st.sampled_from(["rows", "columns"]),
)
@example(recipe=Values((3, 2), specials=("zeros",)), factor=1.0, mode="rows")
def test_orthogonal(recipe, factor, mode):
    x = recipe("float32")
    ours = regularizers.OrthogonalRegularizer(factor, mode)
    theirs = keras.regularizers.OrthogonalRegularizer(factor, mode)
    scale = rows_scale(x, factor, 1 if mode == "rows" else 0)
    dy = random_cotangent(recipe.seed, "float32")
    value, gradient, _ = oracle.run_function(theirs, x, dy=dy, dtype="float32")
    assert_close(ours(x), value, scale=factor, k=x.size)
    # Where two rows are orthogonal up to rounding, the sign of their product, and so
    # the gradient, is decided by rounding: compare only where none are.
    rows = x if mode == "rows" else x.T
    products = np.abs(rows @ rows.T)
    certain = np.all((products == 0) | (products > np.finfo("f4").eps * 100))
    if certain:
        assert_close(dy * ours.gradient(x), gradient, scale=scale, k=x.size)
    assert ours.get_config() == theirs.get_config()


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("x", [
    [[1.0, 2.0], [0.0, 0.0]],  # a row of zeros has the gradient 0
    [[1.0, 2.0], [1e-8, 0.0]],  # shorter than epsilon: scaled by a constant
    [[1.0, 0.0], [0.0, 1.0]],  # orthogonal: sign(0) = 0
    [[1.0, -2.0], [-3.0, 6.0]],  # parallel
])  # fmt: skip
def test_orthogonal_at_its_kinks(x, mode):
    x = np.array(x, "float32")
    ours = regularizers.OrthogonalRegularizer(0.1, mode)
    theirs = keras.regularizers.OrthogonalRegularizer(0.1, mode)
    check(ours, theirs, x, rows_scale(x, 0.1, 1 if mode == "rows" else 0))


def test_orthogonal_of_a_single_row_is_nan_as_in_keras():
    x = np.ones((1, 3), "float32")
    assert np.isnan(regularizers.OrthogonalRegularizer(0.1)(x))
    assert np.isnan(keras.regularizers.OrthogonalRegularizer(0.1)(x))


def test_orthogonal_in_float64_works_here_only():
    x = np.array([[3.0, 4.0], [4.0, 3.0]])
    actual = regularizers.OrthogonalRegularizer(1.0)(x)
    assert_close(actual, np.float64(24 / 25))  # |n_0 . n_1| = (12 + 12) / 25
    with pytest.raises(oracle.tf.errors.InvalidArgumentError):
        keras.regularizers.OrthogonalRegularizer(1.0)(oracle.tf.constant(x))


@given(recipe=values(st.just((4, 3)), scale=1.0, specials=()), data=st.data())
def test_gradients_are_derivatives(recipe, data):
    """Independent of Keras: central differences in float64."""
    x = recipe("float64")
    x += np.copysign(0.5, x)  # away from the kink at 0
    regularizer = data.draw(
        st.sampled_from(
            [
                regularizers.L1(0.3),
                regularizers.L2(0.3),
                regularizers.L1L2(0.2, 0.7),
                regularizers.OrthogonalRegularizer(0.5, "rows"),
                regularizers.OrthogonalRegularizer(0.5, "columns"),
            ]
        )
    )
    direction = np.random.default_rng(recipe.seed + 1).standard_normal(x.shape)
    ahead, behind = (regularizer(x + s * STEP * direction) for s in (1, -1))
    terms = regularizer.gradient(x) * direction
    numeric = float(ahead - behind) / (2 * STEP)
    scale = max(1.0, float(np.abs(terms).sum()))
    assert_derivative_close(numeric, float(terms.sum()), scale=scale)


def test_values_and_gradients_by_hand():
    x = np.array([[1.0, -2.0], [0.0, 3.0]])
    assert_equal(regularizers.L1(0.5)(x), np.float64(3.0))
    assert_equal(regularizers.L1(0.5).gradient(x), np.array([[0.5, -0.5], [0, 0.5]]))
    assert_equal(regularizers.L2(0.5)(x), np.float64(7.0))
    assert_equal(regularizers.L2(0.5).gradient(x), x)
    assert_equal(regularizers.L1L2(1.0, 0.5)(x), np.float64(13.0))


@given(
    recipe=values(shapes(2, 4, 1, 4)),
    dtype=dtypes(),
    bounds=st.tuples(*[numbers(0, 3)] * 3),
    data=st.data(),
)
def test_constraints_equal_keras(recipe, dtype, bounds, data):
    w = recipe(dtype)
    w.setflags(write=False)
    axes = st.integers(-w.ndim, w.ndim - 1)
    several = st.lists(st.integers(0, w.ndim - 1), min_size=1, unique=True)
    axis = data.draw(st.one_of(axes, several, st.none()))
    a, b, rate = bounds
    for name, arguments in (
        ("MaxNorm", {"max_value": a, "axis": axis}),
        ("UnitNorm", {"axis": axis}),
        ("MinMaxNorm", {"min_value": min(a, b), "max_value": max(a, b),
                        "rate": rate / 3, "axis": axis}),
        ("NonNeg", {}),
        ("Constraint", {}),
    ):  # fmt: skip
        ours = getattr(constraints, name)(**arguments)
        theirs = getattr(keras.constraints, name)(**arguments)
        expected = np.asarray(theirs(oracle.tf.constant(w)))
        scale = np.maximum(np.abs(expected), np.abs(w))
        assert_close(ours(w), expected, scale=scale, k=w.size)
        assert ours.get_config() == theirs.get_config()


def test_constraints_by_hand():
    w = np.array([[3.0, 0.0], [4.0, -1.0]], "float32")
    halves = constraints.MaxNorm(2.5)(w)
    assert_close(halves, np.array([[1.5, 0], [2, -1]], "float32"), scale=2.0)
    assert_close(constraints.MaxNorm(2.5)(halves), halves)  # a projection
    assert_equal(constraints.NonNeg()(w), np.array([[3, 0], [4, 0]], "float32"))
    zero = np.zeros((2, 2), "float32")
    assert_equal(constraints.UnitNorm()(zero), zero)  # epsilon: not 0 / 0


# --- Names, configs, users' own -------------------------------------------------------

MODULES = [
    (regularizers, keras.regularizers, keras.src.regularizers.ALL_OBJECTS_DICT),
    (constraints, keras.constraints, keras.src.constraints.ALL_OBJECTS_DICT),
]


@pytest.mark.parametrize(("ours", "theirs", "names"), MODULES)
def test_names_mean_the_same_as_in_keras(ours, theirs, names):
    for name in names:
        here, there = ours.get(name), theirs.get(name)
        assert type(here).__name__ == type(there).__name__
        assert type(ours.deserialize({"class_name": name, "config": {}})) is type(here)
        if type(here) is regularizers.Regularizer:
            continue  # has no config, here and there
        assert ours.serialize(here) == theirs.serialize(there)
        assert type(ours.deserialize(theirs.serialize(there))) is type(here)
    public = [name for name in dir(theirs) if not name.startswith("_")]
    assert [name for name in public if not hasattr(ours, name)] == []
    assert ours.get(None) is None
    assert ours.get(len) is len


class Cubes(regularizers.Regularizer):
    def __call__(self, x):
        return np.sum(x**3)

    def get_config(self):
        return {}


def test_a_regularizer_without_gradient_says_what_to_add():
    with pytest.raises(NotImplementedError, match=r"'Cubes'.*gradient\(self, x\)"):
        Cubes().gradient(np.ones(3))
    with pytest.raises(NotImplementedError, match=r"'plain'.*gradient"):
        regularizers.gradient_of(plain, np.ones(3))
    with custom_object_scope({"Cubes": Cubes}):
        assert isinstance(regularizers.get(regularizers.serialize(Cubes())), Cubes)


def plain(x: np.ndarray) -> np.ndarray:
    return np.sum(x * x)


def test_a_differentiable_function_can_be_a_regularizer():
    @differentiable
    def cubes(x):
        return np.sum(x**3), x

    @cubes.gradient
    def _(dy, x):
        return dy * 3 * x**2

    x = np.array([1.0, -2.0])
    assert_equal(regularizers.gradient_of(cubes, x), 3 * x**2)
    assert_equal(regularizers.gradient_of(regularizers.L2(0.5), x), x)
    base = regularizers.Regularizer()
    assert base(x) == 0
    assert_equal(regularizers.gradient_of(base, x), np.zeros(2))


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "x", np.float32(1)])
@pytest.mark.parametrize("name", ["L1", "L2", "L1L2", "OrthogonalRegularizer"])
def test_factors_must_be_non_negative_floats(name, value):
    for library in (regularizers, keras.regularizers):
        with pytest.raises(ValueError, match="expected a non-negative float"):
            getattr(library, name)(value)


ORTHOGONAL = "orthogonal_regularizer"
UNKNOWN = {"class_name": "X", "config": {}}


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "rank 2", lambda: regularizers.get(ORTHOGONAL)(np.ones(3))),
        (ValueError, "`mode`", lambda: regularizers.OrthogonalRegularizer(mode="x")),
        (ValueError, "mean 'l2'", lambda: regularizers.get("l2_")),
        (ValueError, "interpret regularizer", lambda: regularizers.get(3)),
        (ValueError, "mean 'MaxNorm'", lambda: constraints.get("maxnorm")),
        (ValueError, "interpret constraint", lambda: constraints.get(UNKNOWN)),
        (NotImplementedError, "get_config", regularizers.Regularizer().get_config),
    ],
)  # fmt: skip
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_none_means_the_default():
    assert (
        regularizers.L1(None).get_config() == keras.regularizers.L1(None).get_config()
    )
    assert regularizers.L1L2(None, None).get_config() == {"l1": 0.0, "l2": 0.0}
