"""Losses: values, gradients, weights, masks, reductions, slices of a batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import activations, losses
from minikeras.functions import differentiable
from minikeras.utils import gradcheck
from parity_tests import strategies
from parity_tests.functions import check_function, check_loss, default_dtype
from parity_tests.oracle import keras, tensors, tf
from parity_tests.tolerance import assert_close, assert_equal

DTYPES = strategies.DTYPES
# (function, class, kind of data, parameters)
CASES = [
    ("mean_squared_error", "MeanSquaredError", "numbers", {}),
    ("mean_absolute_error", "MeanAbsoluteError", "numbers", {}),
    ("mean_absolute_percentage_error", "MeanAbsolutePercentageError", "numbers", {}),
    ("mean_squared_logarithmic_error", "MeanSquaredLogarithmicError", "numbers", {}),
    ("huber", "Huber", "numbers", {}),
    ("huber", "Huber", "numbers", {"delta": 0.1}),
    ("log_cosh", "LogCosh", "apart", {}),
    ("cosine_similarity", "CosineSimilarity", "numbers", {}),
    ("cosine_similarity", "CosineSimilarity", "numbers", {"axis": 1}),
    ("hinge", "Hinge", "signs", {}),
    ("squared_hinge", "SquaredHinge", "signs", {}),
    ("categorical_hinge", "CategoricalHinge", "classes", {}),
    ("kl_divergence", "KLDivergence", "chances", {}),
    ("poisson", "Poisson", "counts", {}),
    ("binary_crossentropy", "BinaryCrossentropy", "chances", {}),
    (
        "binary_crossentropy",
        "BinaryCrossentropy",
        "chances",
        {"label_smoothing": 0.1, "axis": 1},
    ),
    ("binary_crossentropy", "BinaryCrossentropy", "logits", {"from_logits": True}),
    (
        "binary_crossentropy",
        "BinaryCrossentropy",
        "logits",
        {"from_logits": True, "label_smoothing": 0.3},
    ),
    ("categorical_crossentropy", "CategoricalCrossentropy", "classes", {}),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "classes",
        {"label_smoothing": 0.1, "axis": 1},
    ),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "logits",
        {"from_logits": True},
    ),
    (
        "categorical_crossentropy",
        "CategoricalCrossentropy",
        "logits",
        {"from_logits": True, "label_smoothing": 0.1, "axis": 1},
    ),
    ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "labels", {}),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "labels",
        {"ignore_class": 0},
    ),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "label_logits",
        {"from_logits": True},
    ),
    (
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "label_logits",
        {"from_logits": True, "ignore_class": -1},
    ),
]
REDUCTIONS = [
    "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None,
]  # fmt: skip


def label(case):
    if not isinstance(case, tuple):
        return None
    return "-".join([case[0], case[2], *(f"{k}={v}" for k, v in case[3].items())])


def data(kind, shape, seed, scale=1.0):
    """(y_true, y_pred) of a kind, with ties, zeros and values at the clips."""
    rng = np.random.default_rng(seed)
    part = rng.random(shape)
    one_hot = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    logits = rng.standard_normal(shape) * 3 * scale
    logits = np.where(part < 0.05, rng.choice([0, 1000, -1000], shape), logits)
    chances = rng.random(shape)
    edges = rng.choice([0, 1, 1e-7, 1 - 1e-7, -0.1, 1.2], shape)
    if kind in ("numbers", "apart"):
        y_true, y_pred = rng.standard_normal((2, *shape)) * scale
        if kind == "apart":  # log(cosh(e)) of tiny errors cancels: one error is large
            y_pred[..., 0] += 1
            return y_true, y_pred
        y_true = np.where(part < 0.2, y_pred, y_true)
        return np.where(part > 0.9, 0, y_true), np.where(part > 0.8, 0, y_pred)
    if kind == "signs":
        labels = rng.choice([[0, 1], [-1, 1]])
        return rng.choice(labels, shape).astype(float), np.round(logits * 2) / 4
    if kind == "counts":
        return rng.integers(0, 5, shape).astype(float), chances * 5 * scale
    if kind == "chances":
        return np.where(part < 0.5, part > 0.2, part), np.where(
            part > 0.8, edges, chances
        )
    if kind == "classes":
        return one_hot, np.where(part > 0.9, edges, chances) ** 2 + 1e-9
    if kind == "logits":
        return one_hot, logits
    labels = rng.integers(0, shape[-1], shape[:-1])
    if seed % 2:
        labels = labels[..., None]
    return labels, logits if kind == "label_logits" else chances * (part > 0.1)


@st.composite
def problems(draw, kind, min_rank=2):
    """(y_true, y_pred): y_pred of rank 2 or more; targets sum to 1 along every axis."""
    shape = draw(strategies.shapes(min_rank, 4, low=2))
    return data(kind, shape, draw(strategies.seeds()), draw(strategies.scales()))


def one_hot_along(y_true, axis):
    """One-hot along `axis`, since TensorFlow takes that for granted with logits."""
    size = y_true.shape[axis]
    winners = y_true.argmax(axis=-1).sum() + np.arange(y_true.size // size)
    eye = np.eye(size)[winners % size]
    moved = np.moveaxis(y_true, axis, -1).shape
    return np.moveaxis(eye.reshape(moved), -1, axis)


def test_every_loss_is_known_to_keras():
    ours = {
        n for n in losses.__all__ if n not in ("LossFunctionWrapper", "loss_function")
    }
    assert ours <= set(dir(keras.losses))
    later = {name for name in dir(keras.losses) if name[0] != "_"} - ours
    assert {name for name in later if "focal" not in name.lower()} == {
        "CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Tversky",
        "categorical_generalized_cross_entropy", "circle", "ctc", "dice", "tversky",
    }  # fmt: skip


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


@st.composite
def weights_and_masks(draw, values_shape):
    """(sample_weight, mask) that fit values of this shape; either may be None."""
    rng = np.random.default_rng(draw(strategies.seeds()))
    weight, mask = None, None
    if draw(st.booleans()):
        shape = draw(st.sampled_from([values_shape, (*values_shape, 1)]))
        if len(values_shape) > 1 and draw(st.booleans()):
            shape = (values_shape[0], *(1 for _ in values_shape[1:]))
        weight = rng.random(shape) * 3 * (rng.random(shape) > 0.2)
    if draw(st.booleans()):
        mask = rng.random(values_shape) > draw(st.sampled_from([0.2, 0.7, 1.0]))
    return weight, mask


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
    assert_close(total, whole, name="value", k=y_pred.size)
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
            y_true = np.array([0, 1]) if "label" in kind else np.eye(2)
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


def test_reductions():
    for bad in ("avg", "auto"):
        with pytest.raises(ValueError):
            keras.losses.MeanSquaredError(reduction=bad)
    with pytest.raises(ValueError, match="'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="auto")
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        losses.MeanSquaredError(reduction="meen")


ALIASES = ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MSLE"]


def test_get():
    assert losses.get(None) is None
    for name in [n for n in losses.__all__ if n in dir(keras.losses)] + ALIASES:
        if name in ("Loss", "get", "serialize", "deserialize"):
            continue
        ours, theirs = losses.get(name), keras.losses.get(name)
        if isinstance(theirs, keras.losses.Loss):
            assert ours.name == theirs.name
            assert type(ours).__name__ == type(theirs).__name__ == name
        else:
            assert ours.__name__ == theirs.__name__
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    loss = losses.Huber()
    assert losses.get(loss) is loss


@pytest.mark.parametrize(
    "bad", ["mean_square_error", "huber_loss", "logcosh", 5, "Mse"]
)
def test_unknown_names_suggest_the_nearest(bad):
    with pytest.raises(ValueError):
        keras.losses.get(bad)
    with pytest.raises(ValueError, match=r"Could not interpret.*(Did you mean|5)"):
        losses.get(bad)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_configs_equal_keras_and_round_trip(case):
    function, name, _, parameters = case
    options = {"reduction": "sum", "name": "mine", **parameters}
    ours = getattr(losses, name)(**options)
    theirs = getattr(keras.losses, name)(**options)
    assert ours.get_config() == theirs.get_config()
    saved = losses.serialize(ours)
    assert saved == keras.losses.serialize(theirs)
    for config in (saved, {k: saved[k] for k in ("class_name", "config")}):
        twin = losses.get(config)
        assert type(twin) is type(ours)
        assert twin.get_config() == ours.get_config()
    # functions, as Keras writes them
    assert losses.deserialize(losses.serialize(getattr(losses, function))) is getattr(
        losses, function
    )
    written = keras.losses.serialize(getattr(keras.losses, function))
    assert losses.get(written) is getattr(losses, function)


def test_function_wrapper_round_trip():
    loss = losses.LossFunctionWrapper(losses.huber, name="mine", delta=2.0)
    config = loss.get_config()
    assert config["delta"] == 2.0
    theirs = keras.src.losses.losses.LossFunctionWrapper(
        keras.losses.huber, name="mine", delta=2.0
    )
    for written in (config, theirs.get_config()):
        twin = losses.LossFunctionWrapper.from_config(written)
        assert twin.fn is losses.huber
        assert twin([[0.0]], [[3.0]]) == loss([[0.0]], [[3.0]]) == 4
    assert losses.get(losses.serialize(loss)).get_config() == config
    assert losses.get(keras.losses.serialize(theirs)).get_config() == config


def test_names():
    minikeras.utils.clear_session()

    class MyLoss(losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    assert [MyLoss().name, MyLoss().name] == ["my_loss", "my_loss_1"]
    assert losses.Huber().name == keras.losses.Huber().name == "huber_loss"
    assert minikeras.Loss is losses.Loss


class Cubed(losses.Loss):
    """The example of the docstring of `Loss`."""

    def values(self, y_true, y_pred):
        error = y_pred - y_true
        return (abs(error) ** 3).mean(axis=-1), error

    def values_gradient(self, dvalues, error):
        return dvalues[..., None] * 3 * error * abs(error) / error.shape[-1]


def test_own_loss_class():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, 3, 4))
    loss = Cubed(dtype="float64")
    gradcheck(loss, y_true, y_pred).raise_if_failed()
    gradcheck(
        loss, y_true, y_pred, call_kwargs={"sample_weight": np.array([1.0, 2.0, 0.5])}
    ).raise_if_failed()
    assert_close(loss(y_true, y_pred), (abs(y_pred - y_true) ** 3).mean(), k=12)
    assert_close(loss.call(y_true, y_pred), (abs(y_pred - y_true) ** 3).mean(axis=-1))


def test_own_loss_with_call_alone_evaluates_but_does_not_train():
    class Evaluates(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_pred - y_true).mean(axis=-1)

    loss = Evaluates()
    value, residuals = loss.forward([[0.0]], [[2.0]])
    assert value == 2
    with pytest.raises(NotImplementedError, match="values_gradient"):
        loss.backward(1.0, residuals)
    with pytest.raises(NotImplementedError, match="must define"):
        losses.Loss()([[0.0]], [[2.0]])


def test_own_loss_function():
    @differentiable
    def cubed(y_true, y_pred):
        error = y_pred - y_true
        return (np.abs(error) ** 3).mean(axis=-1), error

    @cubed.gradient
    def _(dvalues, error):
        slope = 3 * error * np.abs(error)
        return dvalues[..., None] * slope / error.shape[-1]

    assert losses.get(cubed) is cubed
    loss = losses.LossFunctionWrapper(cubed, dtype="float64")
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, 3, 4))
    gradcheck(loss, y_true, y_pred).raise_if_failed()
    assert_close(loss(y_true, y_pred), Cubed(dtype="float64")(y_true, y_pred), k=12)


def test_plain_function_evaluates_but_does_not_train():
    def distance(y_true, y_pred):
        return np.abs(y_true - y_pred).sum(axis=-1)

    loss = losses.LossFunctionWrapper(losses.get(distance))
    value, residuals = loss.forward([[0.0, 1.0]], [[2.0, 2.0]])
    assert value == 3
    with pytest.raises(NotImplementedError, match="'distance' is a plain function"):
        loss.backward(1.0, residuals)


def test_saturated_predictions_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logits = np.array([[1e4, -1e4]], "float32")
        for name in ("CategoricalCrossentropy", "BinaryCrossentropy"):
            loss = getattr(losses, name)(from_logits=True)
            assert loss([[0.0, 1.0]], logits) == 1e4 * (2 if "Cat" in name else 1)
        assert losses.log_cosh([[0.0]], [[1e4]]) > 9e3
        assert np.isfinite(losses.cosine_similarity([[1.0, 0.0]], [[0.0, 0.0]]))
