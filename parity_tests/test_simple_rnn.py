"""SimpleRNN: forward, backward, masks, dropout, states and files, as Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.ops.simple_rnn import simple_rnn_step, simple_rnn_step_grad
from parity_tests.harness import check_layer
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import (
    MASK,
    RNN_KEYS,
    check_fast_path,
    one_state_cases,
    same_start,
    sequences,
)
from parity_tests.strategies import dtypes, seeds
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CASES = one_state_cases({})


class TestAgainstKeras:
    @given(case=CASES, dtype=dtypes(), seed=seeds())
    def test_drawn_configurations(self, case, dtype, seed):
        config, x, mask, call_kwargs = case
        options = {"mask": mask, "call_kwargs": call_kwargs, "seed": seed}
        check("SimpleRNN", config, x, dtype=dtype, train_steps=2, **options)

    @DTYPES
    @pytest.mark.filterwarnings("ignore:`activity_regularizer` of layer")
    def test_penalties_and_constraints(self, dtype):
        config = {
            "units": 3,
            "kernel_regularizer": "l2",
            "recurrent_regularizer": "l1",
            "bias_regularizer": "l1l2",
            "activity_regularizer": "l2",  # NB: Keras forgets it
            "kernel_constraint": "max_norm",
            "recurrent_constraint": "unit_norm",
            "bias_constraint": "non_neg",
            "bias_initializer": "ones",
            "return_sequences": True,
        }
        check("SimpleRNN", config, sequences(2, 3, 2), dtype=dtype)

    def test_a_forgotten_penalty_is_said(self):
        with pytest.warns(UserWarning, match="has no effect"):
            layers.SimpleRNN(2, activity_regularizer="l2")

    @DTYPES
    @pytest.mark.parametrize("activation", ["softmax", "gelu", None])
    def test_activations_that_are_no_simple_case(self, dtype, activation):
        config = {"units": 3, "activation": activation, "return_sequences": True}
        check("SimpleRNN", config, sequences(2, 4, 2), dtype=dtype)

    @DTYPES
    @pytest.mark.parametrize("bare", [False, True])
    def test_cell(self, dtype, bare):
        state = sequences(3, 4, seed=1)
        config = {"units": 4, "use_bias": not bare}
        kwargs = {"states": state if bare else [state]}
        check("SimpleRNNCell", config, sequences(3, 2), dtype=dtype, call_kwargs=kwargs)

    @DTYPES
    def test_stacked_cells(self, dtype):
        def make(module: Any) -> Any:
            cells = [module.SimpleRNNCell(2, dropout=0.3, seed=1), module.GRUCell(3)]
            return module.RNN(cells, return_sequences=True, return_state=True)

        check_layer(
            lambda: make(layers),
            lambda: make(keras.layers),
            sequences(3, 4, 2),
            dtype=dtype,
            mask=MASK,
            training=True,
            train_steps=0,
            name="StackedRNNCells",
        )

    @DTYPES
    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_stateful(self, dtype, go_backwards):
        config = {"units": 3, "stateful": True, "return_state": True}
        config["go_backwards"] = go_backwards
        check("SimpleRNN", config, sequences(3, 4, 2), dtype=dtype, mask=MASK)

    def test_the_same_seed_gives_the_same_weights(self):
        same_start(lambda module: module.SimpleRNN(4, dropout=0.1))


class TestDropout:
    @DTYPES
    @pytest.mark.parametrize(
        "rates", [(0.4, 0.0), (0.0, 0.3), (0.4, 0.3), (1.0, 0.0), (0.5, 1.0)]
    )
    def test_equals_keras_in_training(self, dtype, rates):
        config = {
            "units": 3,
            "dropout": rates[0],
            "recurrent_dropout": rates[1],
            "seed": 11,
            "return_sequences": True,
        }
        x = sequences(3, 4, 5)
        check("SimpleRNN", config, x, dtype=dtype, training=True, mask=MASK)

    def test_a_cell_by_itself_draws_in_inference_too(self):
        x, results, states = np.ones((2, 3), "float32"), [], []
        for module in (layers, keras.layers):
            cell = module.SimpleRNNCell(
                4, dropout=0.5, recurrent_dropout=0.3, seed=1, kernel_initializer="ones"
            )
            h = cell.get_initial_state(batch_size=2)
            calls = [np.array(cell(x, h)[0])]
            calls += [np.array(cell(x, h, training=True)[0]) for _ in range(2)]
            assert_equal(calls[1], calls[2])
            cell.reset_dropout_mask()
            calls.append(np.array(cell(x, h, training=True)[0]))
            results.append(calls)
            states.append(cell.seed_generator.state.numpy())
        assert_equal(*states)
        for ours, theirs in zip(*results, strict=True):
            assert_close(ours, theirs)


class TestMaths:
    @given(case=CASES, dtype=dtypes(), rate=st.sampled_from([0.0, 0.4, 1.0]))
    def test_the_sequence_is_the_loop_over_steps(self, case, dtype, rate):
        config, x, mask, call_kwargs = case
        rnn = {key: config.pop(key) for key in RNN_KEYS}
        config |= {"dropout": rate, "recurrent_dropout": rate, "seed": 1}
        check_fast_path(
            lambda: layers.SimpleRNNCell(**config),
            rnn,
            x,
            dtype,
            mask=mask,
            **call_kwargs,
        )

    def test_step_by_hand(self):
        """z + h_prev @ R = artanh(1/2), so h = 1/2 and its slope is 3/4."""
        kernel = np.array([[2.0]])
        z = np.array([[np.arctanh(0.5) - 6.0]])
        kept = simple_rnn_step(z, np.array([[3.0]]), kernel)
        assert_close(kept.y, np.array([[0.5]]), k=8, scale=6.0)
        dz, dh_prev = simple_rnn_step_grad(np.array([[1.0]]), kept, kernel)
        assert_close(dz, np.array([[0.75]]), k=8, scale=6.0)
        assert_close(dh_prev, np.array([[1.5]]), k=8, scale=6.0)


class TestFiles:
    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.filterwarnings("ignore:You are saving")
    def test_models_travel_both_ways(self, tmp_path, suffix):
        x = sequences(3, 4, 3)
        for writer, reader in ((keras, minikeras), (minikeras, keras)):
            make = writer.layers
            cell = make.SimpleRNNCell(3, seed=2)
            model = writer.Sequential(
                [
                    make.Input((4, 3)),
                    make.SimpleRNN(5, return_sequences=True, dropout=0.2),
                    make.RNN(cell),
                ]
            )
            path = tmp_path / f"{writer.__name__}{suffix}"
            model.save(path)
            again = reader.models.load_model(path)
            assert_close(np.asarray(again(x)), np.asarray(model(x)), k=x.size)


class TestErrors:
    def test_arguments(self):
        check_same_error(
            lambda module: module.SimpleRNN(0), ValueError, "positive integer"
        )
        check_same_error(
            lambda module: module.SimpleRNN(2, implementation=1),
            ValueError,
            "Unrecognized keyword arguments passed to SimpleRNN",
        )
        check_same_error(
            lambda module: module.SimpleRNN(2)(sequences(4, 3)),
            ValueError,
            "expected ndim=3, found ndim=2",
        )
