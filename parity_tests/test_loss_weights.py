"""Losses: weights, masks, reductions, slices of a batch, and training from logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import activations, losses
from parity_tests.functions import check_loss, default_dtype
from parity_tests.loss_cases import (
    CASES,
    DTYPES,
    REDUCTIONS,
    label,
    one_hot_along,
    problems,
    weights_and_masks,
)
from parity_tests.oracle import keras, tensors, tf
from parity_tests.tolerance import assert_close

SHAPES = [
    # y_true, y_pred, sample_weight
    ((4,), (4, 1), (4,)),
    ((4, 1), (4,), None),
    ((4,), (4,), None),
    ((4,), (4,), (4,)),
    ((4, 3), (4, 3), (4,)),
    ((4, 3), (4, 3), (4, 1)),
    ((4, 3), (4, 3), ()),
    ((4, 3, 2), (4, 3, 2), (4, 3)),
    ((4, 3, 2), (4, 3, 2), (4, 1)),
    ((4, 3, 2), (4, 3, 2), (4, 3, 1)),
    ((4, 3, 2), (4, 3, 2), (1, 3)),
    ((4, 1, 2), (4, 1, 2), (4,)),
    ((4, 1, 2), (4, 1, 2), (4, 5)),
    ((3, 3, 2), (3, 3, 2), (3,)),
    ((4, 1), (4, 3), None),
    ((4, 3), (4, 1), None),
    ((4, 3), (4, 3, 1), None),
    ((4, 3, 1), (4, 3), (4,)),
    ((4, 3), (1, 3), None),
    ((3,), (4, 3), None),
    ((0, 3), (0, 3), None),
    ((0, 2, 3), (0, 2, 3), None),
    ((4, 3, 2), (4, 3, 2), (4,)),
    ((4, 3), (4, 2), None),
    ((4,), (4, 3), None),
    ((4, 3), (4, 3), (4, 3)),
    ((), (), None),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "none"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_shapes_are_matched_as_in_keras(shapes, reduction):
    rng = np.random.default_rng(0)
    y_true, y_pred = (rng.standard_normal(shape) for shape in shapes[:2])
    weight = None if shapes[2] is None else rng.random(shapes[2])
    options = {"reduction": reduction, "dtype": "float64"}
    make, keras_make = losses.MeanSquaredError, keras.losses.MeanSquaredError
    try:
        keras_make(**options)(y_true, y_pred, weight)
    except (ValueError, tf.errors.InvalidArgumentError):
        with pytest.raises(ValueError):
            make(**options)(y_true, y_pred, weight)
        return
    check_loss(
        lambda: make(**options),
        lambda: keras_make(**options),
        y_true,
        y_pred,
        sample_weight=weight,
        dtype="float64",
        numeric=False,
    )


MASK_SHAPES = [
    # y_pred, sample_weight, mask
    ((4, 3, 2), None, (4, 3)),
    ((4, 3, 2), (4, 3), (4, 3)),
    ((4, 3, 2), (4, 1), (4, 3)),
    ((4, 3), (4,), (4, 1)),
    ((4, 3), (4, 1), (4,)),
    ((4, 3, 2), None, (4, 1)),
    ((4, 3, 2), None, (1, 3)),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shapes", MASK_SHAPES, ids=str)
def test_masks_and_weights_are_merged_as_in_keras(shapes, reduction):
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.standard_normal((2, *shapes[0]))
    weight = None if shapes[1] is None else rng.random(shapes[1])
    options = {"reduction": reduction}
    check_loss(
        lambda: losses.MeanAbsoluteError(**options),
        lambda: keras.losses.MeanAbsoluteError(**options),
        y_true,
        y_pred,
        sample_weight=weight,
        mask=rng.random(shapes[2]) > 0.4,
        dtype="float64",
        numeric=False,
    )


def test_everything_masked_or_weighted_away_is_zero():
    y = np.ones((2, 3), "float32")
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    for options in ({"mask": np.zeros(2, bool)}, {"sample_weight": np.zeros(2)}):
        value, residuals = loss.forward(y, 2 * y, **options)
        assert value == 0
        assert not loss.backward(1.0, residuals).any()


@pytest.mark.parametrize("case", CASES, ids=label)
@given(draw=st.data())
def test_slices_of_a_batch_add_up(case, draw):
    _, name, kind, parameters = case
    y_true, y_pred = draw.draw(problems(kind, min_rank=3))
    axis = parameters.get("axis", -1)
    if "axis" in parameters and "Categorical" in name:
        y_true = one_hot_along(y_true, axis)
    values_shape = tuple(int(n) for n in np.delete(y_pred.shape, axis))
    weight, mask = draw.draw(weights_and_masks(values_shape))
    reduction = draw.draw(st.sampled_from(REDUCTIONS[:4]))
    cut = draw.draw(st.integers(1, len(y_pred) - 1))
    loss = getattr(losses, name)(reduction=reduction, dtype="float64", **parameters)
    assert loss.splittable(y_true, y_pred.shape, weight, mask)
    denominator = loss.denominator(y_true, y_pred.shape, weight, mask)
    assert denominator == loss.denominator(y_true, y_pred, weight, mask)

    whole, residuals = loss.forward(y_true, y_pred, weight, mask)
    gradient = loss.backward(1.0, residuals)
    total, parts = 0.0, []
    for rows in (slice(cut), slice(cut, None)):
        of = [None if a is None else a[rows] for a in (y_true, y_pred, weight, mask)]
        value, residuals = loss.forward(*of, denominator=denominator)
        total += value
        parts.append(loss.backward(1.0, residuals))
    terms = getattr(losses, name)(reduction="none", dtype="float64", **parameters)
    terms = np.abs(terms(y_true, y_pred, weight, mask=mask)) / (denominator or 1)
    assert_close(total, whole, name="value", scale=terms.sum(), k=y_pred.size)
    assert_close(np.concatenate(parts), gradient, name="gradient")


def test_what_cannot_be_sliced_says_so():
    mse = losses.MeanSquaredError()
    y = np.ones((3, 3, 2))
    assert mse.splittable(y, y)
    assert not losses.MeanSquaredError(reduction="none").splittable(y, y)
    assert not mse.splittable(y[:, 0, 0], y[:, 0, 0])  # one value for a vector (N,)
    assert not mse.splittable(y, y, np.ones(3))  # broadcasts over the steps
    assert not mse.splittable(y, y, np.ones((1, 3)))
    assert not losses.CosineSimilarity(axis=0).splittable(y, y)
    assert not losses.BinaryCrossentropy(axis=-3).splittable(y, y)
    total = losses.LossFunctionWrapper(lambda t, p: np.square(t - p).mean())
    assert not total.splittable(y, y)
    # hinge converts labels 0 and 1 only if the whole batch has no others
    hinge = losses.Hinge()
    assert hinge.splittable(np.array([[0.0], [1.0]]), (2, 1))
    assert hinge.splittable(np.array([[-1.0], [1.0]]), (2, 1))
    assert not hinge.splittable(np.array([[0.0], [-1.0]]), (2, 1))


def keras_from_activation(keras_loss, activation, y_true, logits):
    """Keras's loss of an activation's output, which remembers its logits."""
    output = getattr(keras.activations, activation)(tensors(logits))
    return np.array(keras_loss(tensors(y_true), output))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "activation", "y_true"),
    [
        ("CategoricalCrossentropy", "softmax", np.eye(3)),
        ("SparseCategoricalCrossentropy", "softmax", np.array([0, 1, 2])),
        ("BinaryCrossentropy", "sigmoid", np.eye(3)),
    ],
)
def test_on_logits_is_keras_rule(name, activation, y_true, dtype):
    logits = np.array([[30.0, -90.0, 1.0], [90.0, 0.5, 2.0], [0.0, 0.0, 0.0]], dtype)
    with default_dtype(dtype):
        expected = keras_from_activation(
            getattr(keras.losses, name)(), activation, y_true, logits
        )
        loss = getattr(losses, name)()
        twin = loss.on_logits(activation, y_true.shape, logits.shape, dtype)
        assert_close(twin(y_true, logits), expected, k=9)
        # the clipped probabilities give another number
        probabilities = getattr(activations, activation)(logits)
        assert abs(loss(y_true, probabilities) - expected) > 1
    assert not loss._fn_kwargs["from_logits"]
    assert loss.on_logits("tanh") is None
    wrapped = losses.LossFunctionWrapper(getattr(losses, loss.name))
    assert wrapped.on_logits(activation)._fn_kwargs == {"from_logits": True}


def test_on_logits_has_keras_exceptions():
    sparse = losses.SparseCategoricalCrossentropy(ignore_class=2)
    assert sparse.on_logits("softmax") is None
    y_true, logits = np.array([0, 1, 2]), np.diag([0.0, -50.0, 0.0]).astype("float32")
    theirs = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
    expected = keras_from_activation(theirs, "softmax", y_true, logits)
    assert_close(sparse(y_true, activations.softmax(logits)), expected, k=9)

    binary = losses.BinaryCrossentropy()
    assert binary.on_logits("softmax") is None
    assert binary.on_logits("sigmoid", (None,), (None, 1)) is not None  # (N,) -> (N, 1)
    assert binary.on_logits("sigmoid", (None, 4), (None, 4, 1)) is None  # squeezed
    assert binary.on_logits("sigmoid", y_pred_dtype="float64") is None  # cast
    y_true, logits = np.ones((2, 3)), np.full((2, 3, 1), -50.0, "float32")
    expected = keras_from_activation(
        keras.losses.BinaryCrossentropy(), "sigmoid", y_true, logits
    )
    assert_close(binary(y_true, activations.sigmoid(logits)), expected, k=6)
    with pytest.warns(UserWarning, match="not logits"):
        losses.BinaryCrossentropy(from_logits=True).on_logits("sigmoid")
    assert losses.MeanSquaredError().on_logits("softmax") is None
    assert losses.Loss().on_logits("softmax") is None
