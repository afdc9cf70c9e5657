"""Losses of a whole batch: Dice and Tversky over all axes, and the circle loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import losses
from minikeras.utils import gradcheck
from parity_tests import strategies
from parity_tests.functions import check_function, check_loss
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal


@pytest.mark.parametrize("dtype", strategies.DTYPES)
@pytest.mark.parametrize("name", ["Dice", "Tversky"])
@given(
    shape=strategies.shapes(2, 4),
    seed=strategies.seeds(),
    axes=st.sampled_from([None, None, (0,), (1,), (0, 1)]),
    weighted=st.booleans(),
)
def test_overlap(name, dtype, shape, seed, axes, weighted):
    rng = np.random.default_rng(seed)
    y_true = (rng.random(shape) > 0.5).astype(float)
    y_pred = rng.random(shape)
    weight = rng.random(shape[0]) if weighted and axes is None else None
    check_loss(
        lambda: getattr(losses, name)(axis=axes),
        lambda: getattr(keras.losses, name)(axis=axes),
        y_true,
        y_pred,
        dtype=dtype,
        sample_weight=weight,
        numeric=False,
    )


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_one_value_for_all_is_not_split(name):
    y = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert losses.LossFunctionWrapper(getattr(losses, name)).couples(y, y)
    assert losses.Dice().couples(y, y) and not losses.Dice(axis=1).couples(y, y)


def test_axes_from_json_are_a_tuple():
    assert_equal(losses.Dice.from_config({"axis": [1, 2]}).axis, (1, 2))


def embeddings(seed, n, d, dtype="float64"):
    """(labels, vectors of length 1)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) + 0.1
    x = x / np.sqrt((x * x).sum(axis=1, keepdims=True))
    return rng.integers(0, 3, n), x.astype(dtype)


@pytest.mark.parametrize("dtype", strategies.DTYPES)
@given(
    n=st.integers(1, 6),
    seed=strategies.seeds(),
    column=st.booleans(),
    diagonal=st.booleans(),
    options=st.sampled_from([{}, {"gamma": 2.0, "margin": 0.25}]),
)
def test_circle(dtype, n, seed, column, diagonal, options):
    labels, x = embeddings(seed, n, 4)
    labels = labels[:, None] if column else labels
    options = {"remove_diagonal": diagonal, **options}
    check_function(
        losses.circle,
        keras.losses.circle,
        labels,
        x,
        dtype=dtype,
        kind="loss",
        k=80 * 16,
        numeric=False,
        **options,
    )
    check_loss(
        lambda: losses.Circle(**options),
        lambda: keras.losses.Circle(**options),
        labels,
        x,
        dtype=dtype,
        numeric=False,
    )


def test_circle_with_references():
    (labels, x), (other_labels, others) = embeddings(1, 4, 3), embeddings(2, 5, 3)
    theirs = keras.losses.circle(labels, x, other_labels, others)
    ours = losses.circle(labels, x, other_labels, others)
    assert_close(ours, np.array(theirs), k=80 * 16)


def test_circle_gradient_numerically():
    labels, x = embeddings(5, 6, 4)
    loss = losses.Circle(dtype="float64", gamma=4.0)
    gradcheck(loss, labels, x).raise_if_failed()


def test_circle_by_hand():
    # Two of label 0 at the same place, one of label 1 at right angles: d is 0 and 1.
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    values = losses.circle(np.array([0, 0, 1]), x, gamma=2.0, margin=0.5)
    positive = -2 * 0.5 * 0.5  # -gamma * (margin + 0) * (margin - 0)
    negative = 2 * 0.5 * -0.5  # gamma * (1 + margin - 1) * (1 - margin - 1)
    expected = np.log1p(np.exp(positive + negative))
    assert_close(values, np.array([expected, expected, 0.0]))  # no partner: 0


@pytest.mark.parametrize("q", [0, 1, -0.5])
def test_q_out_of_range(q):
    for module in (losses, keras.losses):
        with pytest.raises(ValueError, match="in the interval"):
            module.CategoricalGeneralizedCrossEntropy(q=q)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="a label for each embedding"):
        losses.circle(np.zeros(3), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="integer labels"):
        losses.categorical_generalized_cross_entropy(
            np.zeros((2, 1)), np.zeros((2, 4)), q=0.5
        )


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_focal_crossentropy_of_a_final_activation(activation, from_logits):
    x = np.random.default_rng(0).standard_normal((6, 3)).astype("float32") * 9
    y = (np.random.default_rng(1).random((6, 2)) > 0.5).astype("float32")
    kernel = np.random.default_rng(2).standard_normal((3, 2)).astype("float32") * 3
    found = []
    for library in (minikeras, keras):
        dense = library.layers.Dense(2, activation=activation)
        model = library.Sequential([library.Input((3,)), dense])
        model.set_weights([kernel, np.zeros(2, "float32")])
        loss = library.losses.BinaryFocalCrossentropy(from_logits=from_logits)
        model.compile("sgd", loss)
        history = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history["loss"]
        found.append((np.float32(history), *model.get_weights()))
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, k=256)
