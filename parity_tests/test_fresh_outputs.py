"""What a call returns is the caller's own: changing it changes no input."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import layers


class Same(layers.Layer):
    def forward(self, x):
        return x, None


class Through(layers.Layer):
    def call(self, x):
        return x


LAYERS = {
    "flatten": lambda: layers.Flatten(),
    "reshape": lambda: layers.Reshape((3, 2)),
    "permute": lambda: layers.Permute((2, 1)),
    "identity": lambda: layers.Identity(),
    "dropout": lambda: layers.Dropout(0.5),
    "linear": lambda: layers.Activation("linear"),
    "own": Same,
    "composite": Through,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_no_output_is_a_view_of_the_input(make, dtype):
    x = np.arange(12, dtype=dtype).reshape(2, 2, 3)
    before = x.copy()
    model = minikeras.Sequential(
        [minikeras.Input((2, 3), dtype=dtype), make()], name="m"
    )
    several = minikeras.Model(model.inputs, [model.inputs[0], model.inputs[0][:, :1]])
    outputs = [
        make()(x),
        model(x),
        model.predict(x, verbose=0),
        model.predict_on_batch(x),
        *several(x),
        *several.predict(x, verbose=0),
        *several.predict_on_batch(x),
    ]
    for y in outputs:
        assert not np.shares_memory(x, y)
        y[...] = -1
    np.testing.assert_array_equal(x, before)
