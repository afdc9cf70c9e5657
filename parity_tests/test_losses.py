"""Losses: values and gradients against Keras and by hand; bad targets."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import losses
from minikeras.utils import gradcheck
from parity_tests.functions import check_function, check_loss, default_dtype
from parity_tests.loss_cases import (
    CASES,
    DTYPES,
    INTEGER_LABELS,
    REDUCTIONS,
    data,
    label,
    one_hot_along,
    problems,
    weights_and_masks,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=label)
@given(draw=st.data())
def test_functions_equal_keras(case, dtype, draw):
    name, _, kind, parameters = case
    y_true, y_pred = draw.draw(problems(kind))
    if "axis" in parameters and "categorical" in name:
        y_true = one_hot_along(y_true, parameters["axis"])
    check_function(
        getattr(losses, name),
        getattr(keras.losses, name),
        y_true,
        y_pred,
        dtype=dtype,
        kind="loss",
        k=y_pred.size,
        numeric=False,
        **parameters,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=label)
@given(draw=st.data())
def test_losses_equal_keras(case, dtype, draw):
    _, name, kind, parameters = case
    y_true, y_pred = draw.draw(problems(kind))
    axis = parameters.get("axis", -1)
    if "axis" in parameters and "Categorical" in name:
        y_true = one_hot_along(y_true, axis)
    values_shape = np.delete(y_pred.shape, axis)
    weight, mask = draw.draw(weights_and_masks(tuple(int(n) for n in values_shape)))
    options = {"reduction": draw.draw(st.sampled_from(REDUCTIONS)), **parameters}
    check_loss(
        lambda: getattr(losses, name)(**options),
        lambda: getattr(keras.losses, name)(**options),
        y_true,
        y_pred,
        dtype=dtype,
        sample_weight=weight,
        mask=mask,
        numeric=False,
    )


@pytest.mark.parametrize("case", CASES, ids=label)
def test_numeric_derivatives(case):
    _, name, kind, parameters = case
    rng = np.random.default_rng(3)
    y_true, _ = data(kind, (3, 4, 4), seed=4)
    if "axis" in parameters and "Categorical" in name:
        y_true = one_hot_along(y_true, parameters["axis"])
    y_pred = rng.random((3, 4, 4)) + 0.1 * (kind == "counts")
    weight = rng.random((3, 4)) if "axis" not in parameters else None
    loss = getattr(losses, name)(dtype="float64", **parameters)
    options = {"sample_weight": weight}
    gradcheck(loss, y_true, y_pred, call_kwargs=options).raise_if_failed()


BOUNDS = [1e-7, 1 - 1e-7, 0.0, 1.0, 0.5]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["binary_crossentropy", "kl_divergence"])
def test_gradient_at_the_clip_passes_as_in_tensorflow(name, dtype):
    y_pred = np.array([BOUNDS], dtype)
    y_true = np.array([[0.3, 0.3, 0.3, 0.3, 0.3]], dtype)
    check_function(
        getattr(losses, name),
        getattr(keras.losses, name),
        y_true,
        y_pred,
        dtype=dtype,
        kind="loss",
        numeric=False,
        referee=False,
    )
    _, residuals = getattr(losses, name).forward(y_true, y_pred)
    gradient = getattr(losses, name).backward(np.ones(1, dtype), residuals)[0]
    assert gradient[0] != 0 and gradient[1] != 0  # at the bounds
    assert gradient[2] == 0  # beyond them


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_at_the_clip_of_classes(dtype):
    y_pred = np.array([[1e-7, 1 - 1e-7], [0.0, 1.0]], dtype)
    for function, y_true in (
        ("categorical_crossentropy", np.array([[1.0, 0.0], [0.5, 0.5]], dtype)),
        ("sparse_categorical_crossentropy", np.array([0, 1])),
    ):
        check_function(
            getattr(losses, function),
            getattr(keras.losses, function),
            y_true,
            y_pred,
            dtype=dtype,
            kind="loss",
            numeric=False,
            referee=False,
        )


# Quarters, so that every margin, tie and corner is hit exactly.
TIES = [
    ("mean_absolute_error", [[0.0, 1.0, 2.0, -1.0]], [[0.0, 1.5, 2.0, -1.0]], {}),
    (
        "mean_absolute_percentage_error",
        [[0.0, 1.0, 2.0, -1.0]],
        [[0.0, 1.5, 2.0, -1.0]],
        {},
    ),
    ("huber", [[0.0, 0.0, 0.0, 0.0]], [[0.5, -0.5, 0.25, 0.0]], {"delta": 0.5}),
    ("hinge", [[1.0, -1.0, 1.0, -1.0]], [[1.0, -1.0, 0.75, -1.25]], {}),
    ("hinge", [[1.0, 0.0, 1.0, 0.0]], [[1.0, -1.0, 0.75, -1.25]], {}),
    ("hinge", [[0.5, 0.0, 1.0, -1.0]], [[2.0, -1.0, 0.75, -1.25]], {}),
    ("squared_hinge", [[1.0, 0.0, 1.0, 0.0]], [[1.0, -1.0, 0.75, -1.25]], {}),
    ("categorical_hinge", [[1.0, 0.0, 0.0]], [[2.0, 1.0, 1.0]], {}),
    ("categorical_hinge", [[1.0, 0.0, 0.0]], [[2.0, 1.5, 1.5]], {}),
    ("categorical_hinge", [[1.0, 0.0, 0.0]], [[-2.0, -1.5, -1.5]], {}),
    ("categorical_hinge", [[0.5, 0.5, 0.0]], [[0.0, 0.0, 0.0]], {}),
    ("binary_crossentropy", [[0.5, 0.0]], [[0.0, -0.0]], {"from_logits": True}),
    ("cosine_similarity", [[1.0, 2.0]], [[0.0, 0.0]], {}),
    ("cosine_similarity", [[0.0, 0.0]], [[1.0, 2.0]], {}),
    ("log_cosh", [[1.0, 1.0]], [[1.0, 3.0]], {}),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", TIES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_gradients_at_ties_and_corners_equal_tensorflow(case, dtype):
    name, y_true, y_pred, parameters = case
    check_function(
        getattr(losses, name),
        getattr(keras.losses, name),
        np.array(y_true),
        np.array(y_pred),
        dtype=dtype,
        kind="loss",
        numeric=False,
        referee=False,
        **parameters,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithm_starts_at_epsilon_as_in_tensorflow(dtype):
    epsilon = float(np.float32(1e-7))  # Keras's, in float64 too
    check_function(
        losses.mean_squared_logarithmic_error,
        keras.losses.mean_squared_logarithmic_error,
        np.array([[1.0, 2.0, 3.0, 4.0]]),
        np.array([[epsilon, epsilon / 2, -1.0, 2 * epsilon]]),
        dtype=dtype,
        kind="loss",
        numeric=False,
        referee=False,
    )


def test_worked_by_hand():
    y_true, y_pred = (
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        np.array([[1.0, 3.0], [0.0, 2.0]]),
    )
    mse = losses.MeanSquaredError(dtype="float64")
    value, residuals = mse.forward(y_true, y_pred, sample_weight=np.array([1.0, 3.0]))
    # values (1 + 4) / 2 and (0 + 4) / 2; weighted 2.5 + 6, over 2 values (not weight 4)
    assert value == 4.25
    # 2 * error / 2, times weight / 2
    expected = np.array([[0.5, 1.0], [0.0, 3.0]])
    assert_close(mse.backward(1.0, residuals), expected)
    cce = losses.CategoricalCrossentropy(from_logits=True, dtype="float64")
    value, residuals = cce.forward([[0.0, 1.0]], np.log([[1.0, 3.0]]))
    assert_close(value, np.log(4 / 3))
    # softmax minus target
    assert_close(cce.backward(1.0, residuals), np.array([[0.25, -0.25]]))
    sparse = losses.SparseCategoricalCrossentropy(dtype="float64")
    value, residuals = sparse.forward([1], np.array([[0.25, 0.75]]))
    assert_close(value, np.log(4 / 3), scale=1)
    # z = log(p): (p - onehot) / p
    assert_close(sparse.backward(1.0, residuals), np.array([[1.0, -1 / 3]]))
    bce = losses.BinaryCrossentropy(dtype="float64")
    value, residuals = bce.forward([[1.0, 0.0]], np.array([[0.25, 0.5]]))
    assert_close(value, (np.log(4) + np.log(2)) / 2)
    assert_close(bce.backward(1.0, residuals), np.array([[-2.0, 1.0]]))
    # a mask divides by the number of valid values
    value = losses.MeanAbsoluteError()(y_true, y_pred, mask=np.array([True, False]))
    assert value == 1.5


def test_nan_in_the_predictions_reaches_the_loss():
    y_pred = np.array([[np.nan, 0.5], [0.25, 0.75]], "float32")
    for _, name, kind, parameters in CASES:
        if parameters.get("axis", -1) == -1 and parameters.get("ignore_class") is None:
            y_true = np.array([0, 1]) if kind in INTEGER_LABELS else np.eye(2)
            loss = getattr(losses, name)(reduction="none", **parameters)
            values, residuals = loss.forward(y_true, y_pred)
            assert np.isnan(values).tolist() == [True, False], name
            gradient = loss.backward(np.ones(2), residuals)
            assert np.isfinite(gradient[1]).all(), name


def test_dtypes():
    y64 = np.array([[0.25, 0.75]])
    value, residuals = losses.MeanSquaredError().forward(y64, y64 + 1)
    assert value.dtype == np.float32  # NB: the loss computes in floatx
    assert losses.MeanSquaredError().backward(1.0, residuals).dtype == np.float64
    with default_dtype("float64"):
        assert losses.MeanSquaredError()(y64, y64).dtype == np.float64
    assert losses.mean_squared_error(y64, y64).dtype == np.float64
    assert losses.mean_squared_error([[0.0]], [[1.0]]).dtype == np.float32
    # integer predictions: y_true is cast to them first
    expected = np.array(keras.losses.mean_squared_error([0.5], [1]))
    assert_equal(np.asarray(losses.mean_squared_error([0.5], [1])), expected)
    loss = losses.Loss(dtype=minikeras.DTypePolicy("float64"))
    assert loss.dtype == "float64"


def test_labels_out_of_range():
    y_pred = np.full((2, 2, 3), 1 / 3)
    loss = losses.SparseCategoricalCrossentropy()
    with pytest.raises(ValueError, match=r"label 3 at index \(1, 0\).*\[0, 3\)"):
        loss([[0, 1], [3, 2]], y_pred)
    with pytest.raises(ValueError, match=r"label -1 at index \(0, 1\).*ignore_class"):
        loss([[0, -1], [3, 2]], y_pred)
    with pytest.raises(ValueError, match=r"label nan at index \(0, 0\)"):
        loss([[np.nan, 1], [0, 2]], y_pred)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert np.isfinite(ignoring([[0, -1], [1, 2]], y_pred))
    with pytest.raises(ValueError, match="label 3 at index"):
        ignoring([[0, -1], [3, 2]], y_pred)
    labels = np.array([1.7, -0.5])  # fractions are cut off, in Keras too
    assert_close(
        losses.sparse_categorical_crossentropy(labels, y_pred[0]),
        np.array(keras.losses.sparse_categorical_crossentropy(labels, y_pred[0])),
    )


def test_ignored_classes_may_have_any_prediction():
    y_pred = np.array([[0.5, 0.5], [np.nan, 0.0]])
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255, dtype="float64")
    value, residuals = loss.forward([1, 255], y_pred)
    assert_close(value, np.log(2.0))
    assert loss.backward(1.0, residuals)[1].tolist() == [0, 0]


def test_shape_errors():
    two, three = np.ones((4, 2)), np.ones((4, 3))
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 2\)"):
        losses.mean_squared_error(three, two)
    for function in (losses.categorical_crossentropy, losses.binary_crossentropy):
        with pytest.raises(ValueError, match="same shape"):
            function(two, three)
        with pytest.raises(ValueError, match="same rank"):
            function(np.ones(4), three)
    with pytest.raises(ValueError, match="sparse_categorical_crossentropy"):
        losses.categorical_crossentropy(np.ones(4), three)
    with pytest.raises(ValueError, match="categorical_crossentropy"):
        losses.sparse_categorical_crossentropy(three, three)
    with pytest.raises(ValueError, match="only the last axis"):
        losses.sparse_categorical_crossentropy(np.ones(4), three, axis=0)
    with pytest.raises(ValueError, match="`axis` must be of type `int`"):
        losses.categorical_crossentropy(three, three, axis=True)
    with pytest.raises(ValueError, match="`y_true` must be numbers"):
        losses.mean_squared_error(np.array([["a"]]), three)
    with pytest.raises(ValueError, match="`y_true` must be numbers"):
        losses.mean_squared_error(None, three)
    with pytest.raises(ValueError, match="do not fit together"):
        losses.MeanSquaredError()(three, three, sample_weight=np.ones(3))


def test_one_column_of_classes_warns_as_in_keras():
    y = np.ones((4, 1))
    with pytest.warns(SyntaxWarning):
        keras.losses.categorical_crossentropy(y, y)
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy(y, y)


def test_saturated_predictions_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logits = np.array([[1e4, -1e4]], "float32")
        for name in ("CategoricalCrossentropy", "BinaryCrossentropy"):
            loss = getattr(losses, name)(from_logits=True)
            assert loss([[0.0, 1.0]], logits) == 1e4 * (2 if "Cat" in name else 1)
        assert losses.log_cosh([[0.0]], [[1e4]]) > 9e3
        assert np.isfinite(losses.cosine_similarity([[1.0, 0.0]], [[0.0, 0.0]]))
