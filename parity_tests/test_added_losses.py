"""`model.losses`: penalties on weights and activities, and what `add_loss` adds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_twins import check_fit, compare_numbers, compiled, pair
from parity_tests.oracle import keras

RNG = np.random.default_rng(9)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))


def penalized(k: Any) -> Any:
    """Penalties of every kind, in a nested model too."""
    inner = k.Sequential(
        [
            k.Input((3,)),
            k.layers.Dense(3, bias_regularizer="l1", activity_regularizer="l2"),
        ]
    )
    x = k.Input((4,))
    first = k.layers.Dense(3, kernel_regularizer="l2", activity_regularizer="l1")
    h = k.layers.ActivityRegularization(0.1)(inner(first(x)))
    return k.Model(x, k.layers.Dense(2, kernel_regularizer="l1")(h))


def losses(model: Any) -> list[np.ndarray]:
    return [np.asarray(value) for value in model.losses]


def test_before_and_after_calls():
    with default_dtype("float64"):
        twins = pair(penalized)
        compare_numbers(losses(twins.ours), losses(twins.theirs))
        for data in (X, X * 2, X[:1]):
            twins.ours(data)
            twins.theirs(data)
            compare_numbers(losses(twins.ours), losses(twins.theirs))


def test_one_layer():
    with default_dtype("float64"):
        twins = pair(lambda k: k.layers.Dense(3, activity_regularizer="l2"))
        for data in (X, X * 2):
            twins.ours(data)
            twins.theirs(data)
            twins.theirs.set_weights(twins.ours.get_weights())
            twins.theirs(data)
            compare_numbers(losses(twins.ours), losses(twins.theirs))


def test_frozen_weights_are_not_penalized():
    for k in (minikeras, keras):
        model = penalized(k)
        model.trainable = False
        assert model.losses == []


def test_compute_loss_takes_them_along():
    with default_dtype("float64"):
        twins = pair(lambda k: compiled(penalized(k), loss="mse"))
        found = []
        for model in twins[:2]:
            y_pred = model(X)
            found.append(np.asarray(model.compute_loss(X, Y, y_pred)))
        compare_numbers(*found)


def test_fit():
    check_fit(lambda k: compiled(penalized(k), loss="mse"), X, Y, batch_size=5)


class Adding(minikeras.Layer):
    """Adds a number, for want of anything better."""

    def forward(self, x):
        self.add_loss(np.float32(2.0))
        return x, None

    def backward(self, dy, residuals, grads):
        return dy


def test_a_number_added_on_arrays():
    layer = Adding()
    for _ in range(2):
        layer(X)
        assert layer.losses == [2.0]
    model = minikeras.Sequential([layer])
    for _ in range(2):
        model(X)
        assert model.losses == [2.0]


def test_a_number_cannot_be_trained():
    model = minikeras.Sequential([minikeras.layers.Dense(2), Adding()])
    with pytest.raises(NotImplementedError, match="number without a gradient"):
        compiled(model, loss="mse").fit(X, Y, verbose=0)
