"""Cells as a user may write them, each with the same cell for Keras, and drawn RNNs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from minikeras import layers, random
from minikeras.gradients import Gradients
from parity_tests import runner
from parity_tests.oracle import keras
from parity_tests.strategies import masks, recurrences, seeds, sizes, values
from parity_tests.tolerance import assert_close, assert_equal

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


class StepByStep:
    """A cell without its fast path."""

    def __init__(self, cell: Any):
        self.cell = cell
        self.state_size = cell.state_size
        self.forward, self.backward = cell.forward, cell.backward
        self.draw_masks = cell.draw_masks
        self.compute_dtype = cell.compute_dtype


def check_fast_path(
    make_cell: Any, rnn: dict[str, Any], x: Any, dtype: str, **call: Any
) -> None:
    """`forward_sequence` gives what a loop over `forward` gives, and so backwards."""
    call, x = runner.cast(call, dtype), runner.cast(x, dtype)
    with runner.default_dtype(dtype):
        fast = layers.RNN(make_cell(), **rnn)
        plain = layers.RNN(StepByStep(make_cell()), **rnn)
        fast.build(x.shape)
        plain.cell.cell.build((x.shape[0], x.shape[2]))
    plain.cell.cell.set_weights(fast.get_weights())
    results = []
    for layer in (fast, plain):
        y, residuals = layer.forward(x, training=True, **call)
        dy = runner.random_like(y, np.random.default_rng(0))
        grads = Gradients()
        dx = layer.backward(dy, residuals, grads)
        found = runner.by_name("y", y) | runner.by_name("dx", dx)
        results.append(found | {v.name: g for v, g in grads.items()})
    for name, expected in results[1].items():
        assert_close(results[0][name], expected, name=name, k=x.size)


RNN_KEYS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "unroll",
    "zero_output_for_mask",
)


@st.composite
def one_state_cases(draw: st.DrawFn, cell: dict[str, Any]) -> tuple:
    """(config, inputs, mask, call_kwargs) of a GRU or SimpleRNN.

    Args:
        cell: strategies for the arguments that only this cell has.
    """
    config, shape = draw(recurrences())
    config |= {name: draw(strategy) for name, strategy in cell.items()}
    config["zero_output_for_mask"] = draw(st.booleans())
    config["unroll"] = draw(st.booleans())
    mask = draw(masks(*shape[:2])) if draw(st.booleans()) else None
    call_kwargs = {}
    if draw(st.booleans()):
        scale = draw(st.sampled_from([1.0, 0.01, 3.0]))
        recipe = values(
            (shape[0], config["units"]), scale=scale, specials=("ties", "zeros")
        )
        state = draw(recipe)
        call_kwargs["initial_state"] = draw(st.sampled_from([state, [state]]))
    # Where nothing bounds the state, large inputs make training overflow, and what is
    # left of it after a cancellation is rounding.
    options: dict[str, Any] = {}
    if config["activation"] not in ("tanh", "softsign"):
        options = {"specials": ("ties", "zeros", "equal_rows")}
        options["scale"] = draw(st.floats(0.01, 2))
    x = draw(values(shape, **options))
    return config, x, mask, call_kwargs


def same_start(make: Any) -> None:
    """`make(module)` builds a layer: weights are those of Keras, and the seed."""
    found = []
    for module, utils in ((layers, random), (keras.layers, keras.utils)):
        utils.set_random_seed(5)
        layer = make(module)
        after = module.Dense(3)  # draws after all that the layer drew
        layer.build((None, 3, 2))
        after.build((None, 4))
        found.append([*layer.get_weights(), *after.get_weights()])
        found[-1] += [v.numpy() for v in layer.variables if v.dtype == "int64"]
    names = [v.path for v in layer.weights]
    for i, (ours, theirs) in enumerate(zip(*found, strict=True)):
        # The orthogonal kernels go through a QR decomposition.
        orthogonal = i < len(names) and "recurrent_kernel" in names[i]
        same = assert_close if orthogonal else assert_equal
        same(ours, theirs, name=f"array {i}")
