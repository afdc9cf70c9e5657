"""RNN over cells that a user writes, against the same cells in Keras."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.layers.rnn.loop import draws_in_steps
from minikeras.saving import custom_object_scope
from parity_tests.harness import check_layer
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import (
    MASK,
    KerasMinimalCell,
    KerasSumCell,
    MinimalCell,
    SumCell,
    layered_cell,
    rnn_cases,
    sequences,
)
from parity_tests.strategies import dtypes
from parity_tests.tolerance import assert_equal

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


class TestUserCells:
    @given(case=rnn_cases(), dtype=dtypes(), with_state=st.booleans())
    def test_minimal_cell(self, case, dtype, with_state):
        config, shape, mask, seed = case
        state = [sequences(shape[0], 2, seed=1)]
        check_layer(
            lambda: layers.RNN(MinimalCell(2), **config),
            lambda: keras.layers.RNN(KerasMinimalCell(2), **config),
            sequences(*shape),
            dtype=dtype,
            mask=mask,
            call_kwargs={"initial_state": state} if with_state else {},
            seed=seed,
            config=False,
            train_steps=1,
        )

    @given(case=rnn_cases(), dtype=dtypes())
    def test_output_unlike_the_states(self, case, dtype):
        config, shape, mask, seed = case
        check_layer(
            lambda: layers.RNN(SumCell(shape[2]), **config),
            lambda: keras.layers.RNN(KerasSumCell(shape[2]), **config),
            sequences(*shape),
            dtype=dtype,
            mask=mask,
            seed=seed,
            config=False,
        )

    @DTYPES
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("unroll", [False, True])
    def test_cell_made_of_layers(self, dtype, training, unroll):
        """With a Dropout that draws at each step, as often as in Keras."""
        check_layer(
            lambda: layers.RNN(layered_cell(layers), unroll=unroll),
            lambda: keras.layers.RNN(layered_cell(keras.layers), unroll=unroll),
            sequences(3, 4, 2),
            dtype=dtype,
            training=training,
            mask=MASK,
            config=False,
        )

    def test_one_state_need_not_be_in_a_list(self):
        class Bare(MinimalCell):
            def forward(self, x, states):
                (h, _), residuals = super().forward(x, states)
                return (h, h), residuals

            def backward(self, dy, residuals, grads):
                dx, (dh,) = super().backward((dy[0], [dy[1]]), residuals, grads)
                return dx, dh

        x, h0 = sequences(2, 3, 2), sequences(2, 2, seed=1)
        plain, bare = layers.RNN(MinimalCell(2)), layers.RNN(Bare(2))
        y, residuals = [], []
        for layer in (plain, bare):
            layer.build(x.shape)
            layer.set_weights(plain.get_weights())
            y_layer, kept = layer.forward(x, initial_state=h0)
            y.append(y_layer)
            residuals.append(layer.backward(x[:, 0], kept, Gradients()))
        assert_equal(*y)
        assert_equal(residuals[0][0], residuals[1][0])
        assert_equal(residuals[0][1], residuals[1][1])
        assert_equal(residuals[0][1].shape, h0.shape)

    def test_config_round_trip(self):
        layer = layers.RNN(MinimalCell(2), return_sequences=True)
        with custom_object_scope({"MinimalCell": MinimalCell}):
            again = layers.RNN.from_config(layer.get_config())
        assert_equal(again.get_config(), layer.get_config())
        assert isinstance(again.cell, MinimalCell)

    def test_what_is_no_cell_is_refused(self):
        for cell in (3, layers.Dense(2)):
            with pytest.raises(ValueError, match="`state_size`"):
                layers.RNN(cell)
            with pytest.raises(ValueError, match="All cells should have"):
                layers.RNN([layers.LSTMCell(2), cell])
        cell = MinimalCell(2)
        cell.state_size = "two"
        with pytest.raises(ValueError, match="state_size must be an integer"):
            layers.RNN(cell)

    def test_who_draws_in_steps(self):
        """Such a cell runs the first step twice in training, as in Keras."""
        lstm = layers.LSTMCell(2, dropout=0.5)
        user = layered_cell(layers)
        user.build((None, 2))
        assert_equal(draws_in_steps(lstm), False)
        assert_equal(draws_in_steps(user), True)
        assert_equal(draws_in_steps(layers.StackedRNNCells([lstm, user])), True)
        assert_equal(draws_in_steps(MinimalCell(2)), False)
