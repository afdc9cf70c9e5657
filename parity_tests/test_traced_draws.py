"""Random numbers in a traced `call` would be frozen: they are refused."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import layers, random
from parity_tests.tolerance import assert_equal


class Noisy(layers.Layer):
    """Adds noise that it draws in `call`."""

    def __init__(self, seed=None):
        super().__init__()
        self.seed = seed

    def call(self, x):
        return x + random.normal((4,), seed=self.seed)


@pytest.mark.parametrize("seed", [None, "generator"])
def test_a_draw_in_a_traced_call_is_refused(seed):
    layer = Noisy(random.SeedGenerator(3) if seed else None)
    with pytest.raises(NotImplementedError, match="stay the same in every step"):
        minikeras.Sequential([minikeras.Input((4,)), layer])


def test_a_fixed_seed_is_a_constant_and_may_be_traced():
    model = minikeras.Sequential([minikeras.Input((4,)), Noisy(7)])
    x = np.zeros((2, 4), "float32")
    noise = random.normal((4,), seed=7)
    assert_equal(model.predict(x, verbose=0), np.stack([noise, noise]))


def test_weights_of_layers_inside_are_drawn_as_ever():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.dropout = layers.Dense(3), layers.Dropout(0.5)

        def call(self, x):
            return self.dropout(self.dense(x))

    model = minikeras.Sequential([minikeras.Input((4,)), Block()])
    assert np.any(model.get_weights()[0])
