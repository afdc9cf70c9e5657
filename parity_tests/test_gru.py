"""GRU: both places of the reset gate, masks, dropout, states and files, as Keras."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.ops.gru import GRUWeights, gru_step, gru_step_grad
from minikeras.saving.keras2 import modernize
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
RESET_AFTER = pytest.mark.parametrize("reset_after", [True, False])
CASES = one_state_cases(
    {
        "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid", "tanh"]),
        "reset_after": st.booleans(),
    }
)


class TestAgainstKeras:
    @given(case=CASES, dtype=dtypes(), seed=seeds())
    def test_drawn_configurations(self, case, dtype, seed):
        config, x, mask, call_kwargs = case
        options = {"mask": mask, "call_kwargs": call_kwargs, "seed": seed}
        check("GRU", config, x, dtype=dtype, train_steps=2, **options)

    @DTYPES
    @RESET_AFTER
    def test_penalties_and_constraints(self, dtype, reset_after):
        config = {
            "units": 3,
            "reset_after": reset_after,
            "kernel_regularizer": "l2",
            "recurrent_regularizer": "l1",
            "bias_regularizer": "l1l2",
            "activity_regularizer": "l2",
            "kernel_constraint": "max_norm",
            "recurrent_constraint": "unit_norm",
            "bias_constraint": "non_neg",
            "bias_initializer": "ones",
            "return_sequences": True,
        }
        check("GRU", config, sequences(2, 3, 2), dtype=dtype)

    @DTYPES
    @RESET_AFTER
    @pytest.mark.parametrize("activation", ["softmax", "gelu", None])
    def test_activations_that_are_no_simple_case(self, dtype, reset_after, activation):
        config = {"units": 3, "activation": activation, "return_sequences": True}
        config["recurrent_activation"] = activation and "softplus"
        config["reset_after"] = reset_after
        check("GRU", config, sequences(2, 4, 2), dtype=dtype)

    @DTYPES
    @RESET_AFTER
    def test_long_sequence_with_large_inputs(self, dtype, reset_after):
        config = {"units": 8, "return_sequences": True, "reset_after": reset_after}
        x = sequences(2, 60, 3)
        x[:, ::7] *= 100  # saturates the gates
        check("GRU", config, x, dtype=dtype, numeric=False, train_steps=1)

    @DTYPES
    @RESET_AFTER
    @pytest.mark.parametrize("bare", [False, True])
    def test_cell(self, dtype, reset_after, bare):
        state = sequences(3, 4, seed=1)
        config = {"units": 4, "reset_after": reset_after, "use_bias": not bare}
        kwargs = {"states": state if bare else [state]}
        check("GRUCell", config, sequences(3, 2), dtype=dtype, call_kwargs=kwargs)

    @DTYPES
    def test_stacked_cells(self, dtype):
        def make(module: Any) -> Any:
            cells = [module.GRUCell(2), module.GRUCell(3, reset_after=False)]
            cells = [*cells, module.LSTMCell(2)]
            return module.RNN(cells, return_sequences=True, return_state=True)

        check_layer(
            lambda: make(layers),
            lambda: make(keras.layers),
            sequences(3, 4, 2),
            dtype=dtype,
            mask=MASK,
            name="StackedRNNCells",
        )

    @DTYPES
    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_stateful(self, dtype, go_backwards):
        config = {"units": 3, "stateful": True, "return_state": True}
        config["go_backwards"] = go_backwards
        check("GRU", config, sequences(3, 4, 2), dtype=dtype, mask=MASK)

    def test_the_same_seed_gives_the_same_weights(self):
        same_start(lambda module: module.GRU(4, dropout=0.1))


class TestDropout:
    @DTYPES
    @RESET_AFTER
    @pytest.mark.parametrize(
        "rates", [(0.4, 0.0), (0.0, 0.3), (0.4, 0.3), (1.0, 0.0), (0.5, 1.0)]
    )
    def test_equals_keras_in_training(self, dtype, reset_after, rates):
        config = {
            "units": 3,
            "dropout": rates[0],
            "recurrent_dropout": rates[1],
            "reset_after": reset_after,
            "seed": 11,
            "return_sequences": True,
        }
        check("GRU", config, sequences(3, 4, 5), dtype=dtype, training=True, mask=MASK)

    def test_a_mask_per_gate(self):
        config = {"units": 3, "dropout": 0.5, "implementation": 1, "seed": 2}
        # NB: with use_cudnn="auto" Keras on TensorFlow fails on this configuration.
        config["use_cudnn"] = False
        check("GRU", config, sequences(2, 3, 4), dtype="float64", training=True)

    def test_inference_moves_the_seed_on_and_drops_nothing(self):
        x = sequences(2, 3, 4)
        states = []
        for module in (layers, keras.layers):
            layer = module.GRU(2, dropout=0.5, recurrent_dropout=0.5, seed=3)
            first, second = np.array(layer(x)), np.array(layer(x, training=False))
            assert_equal(first, second)
            states.append(layer.cell.seed_generator.state.numpy())
        assert_equal(*states)
        assert_equal(states[0], np.array([3, 12]))  # 3 gates, 2 kinds, 2 calls


class TestMaths:
    @given(case=CASES, dtype=dtypes(), rate=st.sampled_from([0.0, 0.4]))
    def test_the_sequence_is_the_loop_over_steps(self, case, dtype, rate):
        config, x, mask, call_kwargs = case
        rnn = {key: config.pop(key) for key in RNN_KEYS}
        config |= {"dropout": rate, "recurrent_dropout": rate, "seed": 1}
        check_fast_path(
            lambda: layers.GRUCell(**config), rnn, x, dtype, mask=mask, **call_kwargs
        )

    @RESET_AFTER
    def test_step_by_hand(self, reset_after):
        """One unit: z = 1/4, r = 3/4, h_prev = 2, R_g = 1/2, so g's share is 3/4."""
        log3 = np.log(3.0)
        share = 0.75
        x = np.array([[-log3, log3, np.arctanh(0.5) - share]])
        weights = GRUWeights(np.array([[0.0, 0.0, 0.5]]), reset_after=reset_after)
        h, kept = gru_step(x, np.array([[2.0]]), weights)
        assert_close(kept.gates, np.array([[0.25, 0.75, 0.5]]))
        assert_close(h, np.array([[0.25 * 2 + 0.75 * 0.5]]))
        d_input, d_recurrent, dh_prev = gru_step_grad(np.array([[1.0]]), kept, weights)
        da_g = 0.75 * (1 - 0.25)  # (1 - z) * (1 - g^2)
        da_z = (2 - 0.5) * 0.25 * 0.75  # (h_prev - g) * z * (1 - z)
        da_r = da_g * (2 * 0.5) * 0.75 * 0.25  # da_g * (h_prev * R_g) * r * (1 - r)
        assert_close(d_input, np.array([[da_z, da_r, da_g]]))
        inner = da_g * 0.75 if reset_after else da_g
        assert_close(d_recurrent, np.array([[da_z, da_r, inner]]))
        # z and R_g are all that h_prev is multiplied with.
        assert_close(dh_prev, np.array([[0.25 + da_g * 0.75 * 0.5]]))


class TestFiles:
    @RESET_AFTER
    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
    @pytest.mark.filterwarnings("ignore:You are saving")
    def test_models_travel_both_ways(self, tmp_path, reset_after, suffix):
        def make(module: Any) -> Any:
            return module.Sequential(
                [
                    module.layers.Input((4, 3)),
                    module.layers.GRU(
                        5, reset_after=reset_after, return_sequences=True
                    ),
                    module.layers.RNN([module.layers.GRUCell(2)]),
                ]
            )

        x = sequences(3, 4, 3)
        for writer, reader in ((keras, minikeras), (minikeras, keras)):
            path = tmp_path / f"{writer.__name__}{suffix}"
            model = make(writer)
            if suffix == ".weights.h5":
                model.save_weights(path)
                again = make(reader)
                again.load_weights(path)
            else:
                model.save(path)
                again = reader.models.load_model(path)
            assert_close(np.asarray(again(x)), np.asarray(model(x)), k=x.size)

    @pytest.mark.parametrize("written", [{}, {"reset_after": False}])
    def test_keras_2_had_no_reset_after_at_first(self, written):
        """Its bias has one row, then and where it says False."""
        inner = {"name": "memory", "units": 2, "implementation": 1, **written}
        layer = {"class_name": "GRU", "config": inner}
        layer["config"]["batch_input_shape"] = [None, 3, 4]
        config = {"class_name": "Sequential", "config": [layer]}
        model = minikeras.models.model_from_json(json.dumps(modernize(config)))
        assert_equal([w.shape for w in model.weights], [(4, 6), (2, 6), (6,)])
        assert_equal(model.layers[0].reset_after, False)


class TestErrors:
    def test_units(self):
        for units in (0, -3):
            check_same_error(
                lambda module, n=units: module.GRU(n), ValueError, "positive integer"
            )

    def test_arguments(self):
        check_same_error(
            lambda module: module.GRU(2, time_major=True),
            ValueError,
            "Unrecognized keyword arguments passed to GRU",
        )
        check_same_error(
            lambda module: module.GRU(2, use_cudnn="yes"), ValueError, "use_cudnn"
        )
        check_same_error(
            lambda module: module.GRU(2, use_cudnn=True)(sequences(1, 2, 3)),
            ValueError,
            "use_cudnn=True was specified",
        )
        check_same_error(
            lambda module: module.GRU(2)(sequences(4, 3)),
            ValueError,
            "expected ndim=3, found ndim=2",
        )

    def test_states(self):
        with pytest.raises(ValueError, match="are h, or the list"):
            layers.GRUCell(2)(sequences(3, 4), [sequences(3, 2), sequences(3, 2)])
        with pytest.raises(ValueError, match="must be a list of 1 arrays"):
            layers.GRU(2)(sequences(3, 4, 1), initial_state=sequences(3, 3))
