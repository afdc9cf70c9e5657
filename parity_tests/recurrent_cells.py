"""Cells as a user may write them, each with the same cell for Keras, and drawn RNNs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minikeras import layers
from parity_tests.oracle import keras
from parity_tests.strategies import masks, seeds, sizes

MASK = np.array([[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


def sequences(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class MinimalCell(layers.Layer):
    """h = x @ kernel + h_prev @ recurrent_kernel. One state; no `training`."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        n = self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], n), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(n, n), name="recurrent_kernel")

    def forward(self, x, states):
        (h,) = states
        h_new = x @ self.kernel.value + h @ self.recurrent_kernel.value
        return (h_new, [h_new]), (x, h)

    def backward(self, dy, residuals, grads):
        d_output, (dh_new,) = dy
        x, h = residuals
        d = d_output + dh_new
        grads.add(self.kernel, x.T @ d)
        grads.add(self.recurrent_kernel, h.T @ d)
        return d @ self.kernel.value.T, [d @ self.recurrent_kernel.value.T]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class KerasMinimalCell(keras.layers.Layer):
    """The same for Keras."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        n = self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], n), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(n, n), name="recurrent_kernel")
        self.built = True

    def call(self, x, states):
        h = keras.ops.matmul(x, self.kernel)
        h = h + keras.ops.matmul(states[0], self.recurrent_kernel)
        return h, [h]


class SumCell(layers.Layer):
    """Output (N, 1) unlike its states (N, units), (N, units); no weights.

    s = s_prev + x, p = p_prev * x, output = sum(s * p).
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [units, units], 1

    def get_initial_state(self, batch_size=None):
        shape = (batch_size, self.state_size[0])
        return [np.zeros(shape, self.compute_dtype), np.ones(shape, self.compute_dtype)]

    def forward(self, x, states, *, training=False):
        s, p = states[0] + x, states[1] * x
        return ((s * p).sum(1, keepdims=True), [s, p]), (x, states[1], s, p)

    def backward(self, dy, residuals, grads):
        d_output, (ds, dp) = dy
        x, p_prev, s, p = residuals
        ds, dp = ds + d_output * p, dp + d_output * s
        return ds + dp * p_prev, [ds, dp * x]


class KerasSumCell(keras.layers.Layer):
    """The same for Keras."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [units, units], 1

    def get_initial_state(self, batch_size=None):
        shape = (batch_size, self.state_size[0])
        zeros = keras.ops.zeros(shape, self.compute_dtype)
        return [zeros, keras.ops.ones(shape, self.compute_dtype)]

    def call(self, x, states, training=False):
        s, p = states[0] + x, states[1] * x
        return keras.ops.sum(s * p, axis=1, keepdims=True), [s, p]


for ours, theirs in ((MinimalCell, KerasMinimalCell), (SumCell, KerasSumCell)):
    theirs.__name__ = ours.__name__  # names of layers come from it


def layered_cell(module: Any, **kwargs: Any) -> Any:
    """A cell that is only made of layers: the same code in both libraries."""

    class LayeredCell(module.Layer):
        def __init__(self):
            super().__init__()
            self.state_size = 3
            self.inner = module.Dense(3, activation="tanh")
            self.across = module.Dense(3, use_bias=False)
            self.drop = module.Dropout(0.4, seed=5)

        def build(self, input_shape):
            self.inner.build(input_shape)
            self.across.build((None, 3))
            self.built = True

        def call(self, inputs, states, training=False):
            h = self.drop(self.inner(inputs), training=training)
            h = h + self.across(states[0])
            return h, [h]

    return LayeredCell()


@st.composite
def rnn_cases(draw: st.DrawFn) -> tuple:
    """(config, (batch, time, units), mask, seed) for `RNN`."""
    names = (
        "return_sequences",
        "return_state",
        "go_backwards",
        "unroll",
        "zero_output_for_mask",
    )
    config = {name: draw(st.booleans()) for name in names}
    shape = (draw(sizes(1, 3)), draw(sizes(1, 4)), draw(sizes(1, 3)))
    mask = draw(masks(*shape[:2])) if draw(st.booleans()) else None
    return config, shape, mask, draw(seeds())
