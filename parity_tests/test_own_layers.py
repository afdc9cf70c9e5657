"""Layers of the user's own, with forward and backward written by hand."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import layers
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal, assert_trajectory_close

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")


class Halves(layers.Layer):
    """Cuts the features in two; its backward does arithmetic with every dy."""

    def forward(self, x, *, training=False, mask=None):
        return [x[:, :2] * 3, x[:, 2:] * 5], None

    def backward(self, dy, residuals, grads):
        first, second = dy
        return np.concatenate([first * 3, second * 5], axis=1)


class TheirHalves(keras.layers.Layer):
    def call(self, x):
        return [x[:, :2] * 3, x[:, 2:] * 5]


def model(k, halves, used, nested=False):
    k.utils.set_random_seed(0)
    inputs = k.Input((4,))
    both = halves(k.layers.Dense(4)(inputs))
    if nested:
        inner = k.Model(inputs, both)
        inputs = k.Input((4,))
        both = inner(inputs)
    result = k.Model(inputs, k.layers.Dense(2)(both[used]))
    result.compile(k.optimizers.SGD(0.1), "mse")
    return result


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("used", [0, 1])
def test_an_unused_output_has_a_gradient_of_zeros(used, nested):
    ours = model(minikeras, Halves(), used, nested)
    theirs = model(keras, TheirHalves(), used, nested)
    ours.fit(X, Y, epochs=3, verbose=0)
    theirs.fit(X, Y, epochs=3, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_trajectory_close(a, b, steps=3, name="weight")


def test_an_output_without_a_loss():
    class Own(minikeras.Model):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def forward(self, x, *, training=False, mask=None):
            return [x * self.scale.value, x + self.scale.value], x

        def backward(self, dy, residuals, grads):
            product, total = dy
            grads.add(self.scale, (product * residuals + total).sum())
            return product * self.scale.value + total

    own = Own()
    own.compile(minikeras.optimizers.SGD(1.0), loss=["mse", None])
    own.fit(np.full((1, 1), 2.0, "float32"), [np.zeros((1, 1)), None], verbose=0)
    # loss = (2 s)**2, so that dloss/ds = 8 at s = 1
    assert_equal(np.asarray(own.scale), np.float32(-7.0))


def test_layers_of_the_package_still_see_that_nobody_used_an_output():
    """None saves work: an LSTM need not walk back through a state nobody read."""
    assert not layers.LSTM._wants_zeros
    assert Halves._wants_zeros
