"""Stacked cells, single cells, models with recurrent layers; steps by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers, models
from minikeras.gradients import Gradients
from minikeras.ops.lstm import lstm_gates, lstm_gates_grad
from parity_tests import oracle
from parity_tests.harness import check_layer, default_dtype
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import (
    MASK,
    KerasMinimalCell,
    MinimalCell,
    rnn_cases,
    sequences,
)
from parity_tests.strategies import dtypes
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
)
from parity_tests.twins import check

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


class TestStackedCells:
    @given(case=rnn_cases(), dtype=dtypes(), rate=st.sampled_from([0.0, 0.3]))
    def test_equals_keras(self, case, dtype, rate):
        config, shape, mask, seed = case

        def make(module: Any) -> Any:
            first = module.LSTMCell(2, dropout=rate, seed=1)
            second = module.LSTMCell(3, recurrent_dropout=rate, dropout=rate, seed=2)
            return module.RNN([first, second], **config)

        check_layer(
            lambda: make(layers),
            lambda: make(keras.layers),
            sequences(*shape),
            dtype=dtype,
            training=rate > 0,
            mask=mask,
            seed=seed,
            train_steps=0,
            numeric=False,
            name="StackedRNNCells",
        )

    @DTYPES
    def test_with_user_cells_and_states(self, dtype):
        states = [
            [sequences(3, 2, seed=1), sequences(3, 2, seed=2)],
            [sequences(3, 4, seed=3)],
        ]
        check_layer(
            lambda: layers.RNN([layers.LSTMCell(2), MinimalCell(4)], return_state=True),
            lambda: keras.layers.RNN(
                [keras.layers.LSTMCell(2), KerasMinimalCell(4)], return_state=True
            ),
            sequences(3, 4, 2),
            dtype=dtype,
            mask=MASK,
            call_kwargs={"initial_state": states},
            config=False,
        )

    def test_layers_on_top_of_each_other_are_the_same(self):
        x = sequences(2, 4, 3, dtype="float64")
        options = {"dtype": "float64"}
        cells = [layers.LSTMCell(n, **options) for n in (2, 3)]
        stacked = layers.RNN(layers.StackedRNNCells(cells, **options), **options)
        below = layers.LSTM(2, return_sequences=True, **options)
        above = layers.LSTM(3, **options)
        y = stacked(x)
        below.build(x.shape)
        above.build((2, 4, 2))
        below.set_weights(cells[0].get_weights())
        above.set_weights(cells[1].get_weights())
        assert_close(y, above(below(x)))

    def test_one_cell_and_a_stateful_stack(self):
        x = sequences(2, 3, 2)
        layer = layers.RNN([layers.LSTMCell(3)], return_state=True, stateful=True)
        _, (h, _) = layer(x)
        assert_equal(layer.states[0][0].numpy(), h)
        layer.reset_state()
        assert_equal(layer.states[0][0].numpy(), np.zeros((2, 3), "float32"))
        assert_equal(layer.compute_output_shape((2, 3, 2)), ((2, 3), [(2, 3), (2, 3)]))

    def test_config_round_trip(self):
        config = {"cells": [layers.LSTMCell(2), layers.LSTMCell(3)], "name": "stack"}
        layer = layers.StackedRNNCells(**config)
        again = layers.StackedRNNCells.from_config(layer.get_config())
        assert_equal(again.get_config(), layer.get_config())


class TestCells:
    @DTYPES
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_lstm_cell(self, dtype, activation):
        states = [sequences(3, 4, seed=1), sequences(3, 4, seed=2)]
        config = {"units": 4, "activation": activation}
        kwargs = {"states": states}
        x = sequences(3, 2)
        check("LSTMCell", config, x, dtype=dtype, call_kwargs=kwargs)

    def test_step_by_hand(self):
        """One unit; sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4, tanh(z_g) = 1/2."""
        log3 = np.log(3.0)
        z = np.array([[log3, 0.0, np.arctanh(0.5), -log3]])
        (h, c), kept = lstm_gates(z, np.array([[2.0]]))
        # i, f, g, o = 3/4, 1/2, 1/2, 1/4; c = 1/2 * 2 + 3/4 * 1/2; h = 1/4 tanh(c)
        assert_close(kept.gates, np.array([[0.75, 0.5, 0.5, 0.25]]))
        assert_close(c, np.array([[1.375]]))
        tanh_c = np.tanh(1.375)  # 0.8798...
        assert_close(h, np.array([[0.25 * tanh_c]]))
        dz, dc_prev = lstm_gates_grad(np.array([[1.0]]), np.array([[0.0]]), kept)
        dc = 0.25 * (1 - tanh_c**2)  # 0.0565: what one unit of h says of c
        expected = [
            dc * 0.5 * 0.75 * 0.25,  # through i: g * sigmoid'
            dc * 2.0 * 0.5 * 0.5,  # through f: c_prev * sigmoid'
            dc * 0.75 * 0.75,  # through g: i * (1 - g^2)
            tanh_c * 0.25 * 0.75,  # through o: tanh(c) * sigmoid'
        ]
        assert_close(dz, np.array([expected]))
        assert_close(dc_prev, np.array([[dc * 0.5]]))

    def test_masked_steps_by_hand(self):
        """The state passes through; the output does too, but starts at zero, not h0."""
        x, state = np.ones((1, 3, 1), "float32"), [np.full((1, 1), 5.0, "float32")] * 2
        mask = np.array([[False, True, False]])
        found = {}
        for zero in (False, True):
            layer = layers.LSTM(
                1,
                return_sequences=True,
                return_state=True,
                zero_output_for_mask=zero,
                kernel_initializer="ones",
                recurrent_initializer="zeros",
            )
            y, h, _ = layer(x, initial_state=state, mask=mask)
            found[zero] = y[0, :, 0].tolist(), h[0, 0]
        h = found[False][1]
        assert_equal(found, {False: ([0.0, h, h], h), True: ([0.0, h, 0.0], h)})


# --- In models ------------------------------------------------------------------------


def translator(module: Any, make_model: Any) -> Any:
    """An encoder whose states start a decoder; the source is masked."""
    source, target = module.Input((4, 2)), module.Input((3, 2))
    _, h, c = module.LSTM(3, return_state=True)(module.Masking()(source))
    decoded = module.LSTM(3, return_sequences=True)(target, initial_state=[h, c])
    return make_model([source, target], module.Dense(2)(decoded))


def reader(module: Any, make_model: Any) -> Any:
    """Words to a number: the mask of the padding goes through two LSTMs."""
    words = module.Input((5,), dtype="int32")
    x = module.Embedding(7, 3, mask_zero=True)(words)
    x = module.LSTM(4, return_sequences=True, go_backwards=True)(x)
    return make_model(words, module.Dense(1)(module.LSTM(2)(x)))


def fit_reader(module: Any) -> dict[str, np.ndarray]:
    """What two epochs lead to."""
    module.utils.set_random_seed(3)
    make = module.layers
    model = module.Sequential(
        [
            make.Input((6,), dtype="int32"),
            make.Embedding(20, 5, mask_zero=True),
            make.LSTM(4, return_sequences=True, dropout=0.2),
            make.LSTM(3, recurrent_dropout=0.3),
            make.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    x = np.random.default_rng(0).integers(0, 20, (50, 6))
    y = (x.sum(axis=1) > 60).astype("float32")
    options = {"epochs": 2, "batch_size": 16, "validation_split": 0.2, "verbose": 0}
    history = model.fit(x, y, **options).history
    weights = model.get_weights()
    found = {f"weight {i}": w for i, w in enumerate(weights)}
    for key, numbers in history.items():  # Python floats
        found[key] = np.array(numbers, weights[0].dtype)
    return found


class TestModels:
    @DTYPES
    def test_states_from_another_layer(self, dtype):
        source = sequences(3, 4, 2)
        source[~MASK] = 0  # what Masking skips
        check_layer(
            lambda: translator(layers, models.Model),
            lambda: translator(keras.layers, keras.Model),
            [source, sequences(3, 3, 2)],
            dtype=dtype,
            config=False,
            empty_batch=False,
            name="LSTM encoder and decoder",
        )

    @DTYPES
    def test_masks_from_an_embedding(self, dtype):
        words = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 5, 6], [0, 0, 0, 0, 0]], "int32")
        check_layer(
            lambda: reader(layers, models.Model),
            lambda: reader(keras.layers, keras.Model),
            words,
            dtype=dtype,
            config=False,
            name="Embedding and LSTM",
        )

    def test_a_mask_is_dropped_where_states_are_tensors(self):
        """NB: Keras passes a mask on only if the call has a single tensor argument."""
        x = sequences(3, 4, 2)
        x[~MASK] = 0

        def make(module: Any, make_model: Any) -> Any:
            a, h, c = module.Input((4, 2)), module.Input((2,)), module.Input((2,))
            y = module.LSTM(2)(module.Masking()(a), initial_state=[h, c])
            return make_model([a, h, c], y)

        states = [sequences(3, 2, seed=1), sequences(3, 2, seed=2)]
        check_layer(
            lambda: make(layers, models.Model),
            lambda: make(keras.layers, keras.Model),
            [x, *states],
            dtype="float64",
            config=False,
            empty_batch=False,
        )

    @DTYPES
    def test_fit_from_nothing_but_the_seed(self, dtype):
        """Weights, order, masks, dropout in training and its draws in validation."""
        with default_dtype(dtype):
            ours, theirs = fit_reader(minikeras), fit_reader(keras)
        for name, actual in ours.items():
            assert_trajectory_close(actual, theirs[name], steps=6, name=name)

    def test_frozen_layers_still_pass_gradients(self):
        x = sequences(2, 3, 2)
        layer = layers.LSTM(2, trainable=False)
        layer.build(x.shape)
        y, residuals = layer.forward(x)
        grads = Gradients(layer.trainable_weights)
        dx = layer.backward(sequences(*y.shape, seed=1), residuals, grads)
        assert_equal(len(grads), 0)
        assert dx.any()

    def test_constant_states_beside_symbolic_sequences(self):
        """Arrays as initial_state: gradients for them go nowhere."""
        states = [sequences(2, 3, seed=i) for i in (1, 2)]

        def make(module: Any, make_model: Any) -> Any:
            x = module.Input((4, 2))
            return make_model(x, module.LSTM(3)(x, initial_state=states))

        ours = make(layers, models.Model)
        theirs = make(keras.layers, keras.Model)
        theirs.set_weights(ours.get_weights())
        x, dy = sequences(2, 4, 2), sequences(2, 3, seed=3)
        reference = oracle.run_layer(theirs, x, dy=dy)
        y, residuals = ours.forward(x)
        grads = Gradients()
        assert_close(y, reference.y)
        assert_close(ours.backward(dy, residuals, grads), reference.dx)
        for variable, expected in zip(ours.weights, reference.dweights, strict=True):
            assert_close(grads[variable], expected, k=8)
