"""LSTM: forward, backpropagation through time, masks, dropout and states, as Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers, naming, random
from minikeras.gradients import Gradients
from parity_tests import oracle, runner
from parity_tests.harness import default_dtype
from parity_tests.oracle import keras
from parity_tests.strategies import dtypes, masks, recurrences, seeds, values
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_same_error

GATE_ACTIVATIONS = ["sigmoid", "sigmoid", "hard_sigmoid", "tanh"]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
MASK = np.array([[1, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


@st.composite
def lstm_cases(draw: st.DrawFn) -> tuple:
    """(config, inputs, mask, call_kwargs)."""
    config, shape = draw(recurrences())
    config["recurrent_activation"] = draw(st.sampled_from(GATE_ACTIVATIONS))
    config["unit_forget_bias"] = draw(st.booleans())
    config["zero_output_for_mask"] = draw(st.booleans())
    config["unroll"] = draw(st.booleans())
    mask = draw(masks(*shape[:2])) if draw(st.booleans()) else None
    call_kwargs = {}
    if draw(st.booleans()):
        state = (shape[0], config["units"])
        scale = draw(st.sampled_from([1.0, 0.01, 3.0]))
        call_kwargs["initial_state"] = [
            draw(values(state, scale=scale)) for _ in ("h", "c")
        ]
    # Where nothing bounds the states, large inputs make training overflow.
    bounded = config["activation"] in ("tanh", "softsign")
    x = draw(values(shape, scale=None if bounded else draw(st.floats(0.01, 2))))
    return config, x, mask, call_kwargs


def sequences(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def seed_state(layer: Any) -> np.ndarray:
    return layer.cell.seed_generator.state.numpy()


class TestAgainstKeras:
    @given(case=lstm_cases(), dtype=dtypes(), seed=seeds())
    def test_drawn_configurations(self, case, dtype, seed):
        config, x, mask, call_kwargs = case
        options = {"mask": mask, "call_kwargs": call_kwargs, "seed": seed}
        check("LSTM", config, x, dtype=dtype, train_steps=2, **options)

    @DTYPES
    def test_penalties_and_constraints(self, dtype):
        config = {
            "units": 3,
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
        check("LSTM", config, sequences(2, 3, 2), dtype=dtype)

    @DTYPES
    @pytest.mark.parametrize("activation", ["softmax", "gelu", "elu", None])
    def test_activations_that_are_no_simple_case(self, dtype, activation):
        config = {"units": 3, "activation": activation, "return_sequences": True}
        config["recurrent_activation"] = activation and "softplus"
        check("LSTM", config, sequences(2, 4, 2), dtype=dtype)

    @DTYPES
    @pytest.mark.parametrize("unroll", [False, True])
    @pytest.mark.parametrize("return_sequences", [False, True])
    def test_zeros_for_a_mask_read_backwards(self, dtype, unroll, return_sequences):
        """NB: Keras's unrolled loop forgets to turn the mask around."""
        config = {
            "units": 2,
            "unroll": unroll,
            "go_backwards": True,
            "zero_output_for_mask": True,
            "return_sequences": return_sequences,
        }
        state = [sequences(3, 2, seed=i) for i in (1, 2)]
        x, options = sequences(3, 4, 2), {"call_kwargs": {"initial_state": state}}
        check("LSTM", config, x, dtype=dtype, mask=MASK, **options)

    @DTYPES
    def test_long_sequence(self, dtype):
        config = {"units": 8, "return_sequences": True}
        x = sequences(2, 60, 3)
        check("LSTM", config, x, dtype=dtype, numeric=False, train_steps=1)

    @DTYPES
    def test_saturated_gates(self, dtype):
        x = 100 * sequences(2, 3, 2)
        check("LSTM", {"units": 3, "return_sequences": True}, x, dtype=dtype)

    def test_the_same_seed_gives_the_same_weights(self):
        found = []
        for module, utils in ((layers, random), (keras.layers, keras.utils)):
            utils.set_random_seed(5)
            layer = module.LSTM(4, dropout=0.1)
            after = module.Dense(3)  # three draws in the constructor before it
            layer.build((None, 3, 2))
            after.build((None, 4))
            found.append([*layer.get_weights(), *after.get_weights()])
            found[-1].append(seed_state(layer))
        for i, (ours, theirs) in enumerate(zip(*found, strict=True)):
            # The orthogonal kernel goes through a QR decomposition.
            same = assert_close if i == 1 else assert_equal
            same(ours, theirs, name=f"array {i}")


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
        # Numeric derivatives are those of a fixed mask: the seed is put back each time.
        check("LSTM", config, x, dtype=dtype, training=True, mask=MASK)

    def test_a_mask_per_gate(self):
        config = {"units": 3, "dropout": 0.5, "implementation": 1, "seed": 2}
        # NB: with use_cudnn="auto" Keras on TensorFlow fails on this configuration.
        config["use_cudnn"] = False
        check("LSTM", config, sequences(2, 3, 4), dtype="float64", training=True)

    def test_inference_moves_the_seed_on_and_drops_nothing(self):
        x = sequences(2, 3, 4)
        states = []
        for module in (layers, keras.layers):
            layer = module.LSTM(2, dropout=0.5, recurrent_dropout=0.5, seed=3)
            first, second = np.array(layer(x)), np.array(layer(x, training=False))
            assert_equal(first, second)
            states.append(seed_state(layer))
        assert_equal(*states)
        assert_equal(states[0], np.array([3, 16]))  # 4 gates, 2 kinds, 2 calls

    def test_the_mask_is_one_for_all_steps(self):
        layer = layers.LSTM(1, dropout=0.5, seed=0)
        x = np.ones((1, 6, 8), "float32")
        layer(x)
        _, residuals = layer.forward(x, training=True)
        mask = residuals.cell.masks.inputs
        assert_equal(mask.shape, (1, 1, 8))
        assert_equal(np.unique(mask), np.array([0, 2], "float32"))

    def test_rates_are_clipped_as_in_keras(self):
        for module in (layers, keras.layers):
            assert_equal(module.LSTM(2, dropout=1.5).dropout, 1.0)
            assert_equal(module.LSTM(2, recurrent_dropout=-1).recurrent_dropout, 0.0)

    def test_a_cell_by_itself_keeps_its_masks_until_reset(self):
        x = np.ones((2, 3), "float32")
        results = []
        for module in (layers, keras.layers):
            cell = module.LSTMCell(4, dropout=0.5, seed=1, kernel_initializer="ones")
            states = cell.get_initial_state(batch_size=2)
            calls = [np.array(cell(x, states, training=True)[0]) for _ in range(2)]
            cell.reset_dropout_mask()
            calls.append(np.array(cell(x, states, training=True)[0]))
            assert_equal(calls[0], calls[1])
            results.append(calls)
        for ours, theirs in zip(*results, strict=True):
            assert_close(ours, theirs)
        ours = layers.LSTMCell(4, dropout=0.5)
        ours(x, [np.zeros((2, 4))] * 2, training=True)
        with pytest.raises(ValueError, match="reset_dropout_mask"):
            ours(x[:1], [np.zeros((1, 4))] * 2, training=True)


class TestStates:
    @DTYPES
    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_stateful_equals_keras(self, dtype, go_backwards):
        config = {"units": 3, "stateful": True, "return_state": True}
        config["go_backwards"] = go_backwards
        check("LSTM", config, sequences(3, 4, 2), dtype=dtype, mask=MASK)

    def test_a_sequence_in_pieces_is_the_whole_sequence(self):
        naming.clear_session()
        x = sequences(2, 6, 3, dtype="float64")
        whole = layers.LSTM(4, return_sequences=True, dtype="float64")
        pieces = layers.LSTM(4, return_sequences=True, stateful=True, dtype="float64")
        expected = whole(x)
        pieces.build((2, None, 3))
        pieces.set_weights(whole.get_weights())
        for _ in range(2):
            y = np.concatenate([pieces(x[:, :2]), pieces(x[:, 2:])], axis=1)
            assert_close(y, expected)
            pieces.reset_state()
        assert_equal(pieces.couples_examples, True)
        assert_equal(len(pieces.variables), 4)  # the states are not among them
        assert_equal(pieces.states[0].path, "lstm_1/rnn_state")

    def test_stateful_calls_in_a_row(self):
        x = [sequences(2, 3, 2, seed=i) for i in range(3)]
        naming.clear_session()
        oracle.clear_session()
        ours = layers.LSTM(3, stateful=True)
        theirs = keras.layers.LSTM(3, stateful=True)
        ours.build((2, 3, 2))
        theirs.build((2, 3, 2))
        theirs.set_weights(ours.get_weights())
        for training, part in zip((False, True, False), x, strict=True):
            y = oracle.arrays(theirs(part, training=training))
            assert_close(ours(part, training=training), y)
        for a, b in zip(ours.states, theirs.states, strict=True):
            assert_close(a.numpy(), b.numpy())
            assert_equal(a.path, b.path)
        given_state = [np.ones((2, 3), "float32")] * 2
        expected = oracle.arrays(theirs(x[0], initial_state=given_state))
        assert_close(ours(x[0], initial_state=given_state), expected)

    def test_building_again_resets(self):
        layer = layers.LSTM(2, stateful=True)
        layer(sequences(2, 3, 1))
        layer.build((2, 3, 1))
        assert_equal(layer.states[0].numpy(), np.zeros((2, 2), "float32"))
        layers.LSTM(2).reset_states()  # nothing to reset, no error


class TestFastPath:
    """`forward_sequence` against the loop over `forward`, step by step."""

    @given(case=lstm_cases(), dtype=dtypes(), rates=st.sampled_from([0.0, 0.4]))
    def test_equals_the_plain_loop(self, case, dtype, rates):
        config, x, mask, call_kwargs = case
        call_kwargs = runner.cast(call_kwargs, dtype)
        x = runner.cast(x, dtype)
        layer_keys = ("return_sequences", "return_state", "go_backwards", "unroll")
        rnn = {key: config.pop(key) for key in (*layer_keys, "zero_output_for_mask")}
        cell = {**config, "dropout": rates, "recurrent_dropout": rates, "seed": 1}
        with default_dtype(dtype):
            fast = layers.RNN(layers.LSTMCell(**cell), **rnn)
            plain = layers.RNN(StepByStep(layers.LSTMCell(**cell)), **rnn)
            fast.build(x.shape)
            plain.cell.cell.build((x.shape[0], x.shape[2]))
        plain.cell.cell.set_weights(fast.get_weights())
        results = []
        for layer in (fast, plain):
            options = {"mask": mask, "training": True, **call_kwargs}
            y, residuals = layer.forward(x, **options)
            dy = runner.random_like(y, np.random.default_rng(0))
            grads = Gradients()
            dx = layer.backward(dy, residuals, grads)
            found = runner.by_name("y", y) | runner.by_name("dx", dx)
            found |= {v.name: g for v, g in grads.items()}
            results.append(found)
        for name, expected in results[1].items():
            assert_close(results[0][name], expected, name=name, k=x.size)


class StepByStep:
    """A cell without its fast path."""

    def __init__(self, cell: layers.LSTMCell):
        self.cell = cell
        self.state_size = cell.state_size
        self.forward, self.backward = cell.forward, cell.backward
        self.draw_masks = cell.draw_masks
        self.compute_dtype = cell.compute_dtype


class TestErrors:
    def test_units(self):
        for units in (0, -3):
            check_same_error(
                lambda module, n=units: module.LSTM(n), ValueError, "positive integer"
            )
        with pytest.raises(ValueError, match="expected a positive integer"):
            layers.LSTM(2.5)

    def test_names(self):
        check_same_error(
            lambda module: module.LSTM(2, activation="tahn"),
            ValueError,
            "Could not interpret activation",
        )
        check_same_error(
            lambda module: module.LSTM(2, time_major=True),
            ValueError,
            "Unrecognized keyword arguments passed to LSTM",
        )

    def test_cudnn(self):
        check_same_error(
            lambda module: module.LSTM(2, use_cudnn="yes"), ValueError, "use_cudnn"
        )
        check_same_error(
            lambda module: module.LSTM(2, use_cudnn=True)(sequences(1, 2, 3)),
            ValueError,
            "use_cudnn=True was specified",
        )

    def test_rank(self):
        check_same_error(
            lambda module: module.LSTM(2)(sequences(4, 3)),
            ValueError,
            "expected ndim=3, found ndim=2",
        )
        with pytest.raises(ValueError, match="ndim=3 or more"):
            layers.RNN(layers.LSTMCell(2))(sequences(4, 3))

    def test_no_steps(self):
        with pytest.raises(ValueError, match="at least one time step"):
            layers.LSTM(2)(sequences(4, 0, 3))

    @pytest.mark.parametrize(
        "shapes", [[(3, 2)], [(3, 2)] * 3, [(3, 2), (3, 1)], [(2, 2), (2, 2)]]
    )
    def test_initial_states_that_do_not_fit(self, shapes):
        layer = layers.LSTM(2, name="memory")
        states = [np.zeros(shape, "float32") for shape in shapes]
        with pytest.raises(ValueError, match=r"'memory' must be a list of 2 arrays"):
            layer(sequences(3, 4, 1), initial_state=states)

    def test_masks_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"\(batch, timesteps\) = \(3, 4\)"):
            layers.LSTM(2)(sequences(3, 4, 1), mask=MASK[:, :3])

    def test_stateful_batches(self):
        layer = layers.LSTM(2, stateful=True)
        layer(sequences(3, 4, 1))
        before = layer.states[0].numpy()
        with pytest.raises(ValueError, match="Expected batch size: 3"):
            layer(sequences(2, 4, 1))
        assert_equal(layer.states[0].numpy(), before)
        check_same_error(
            lambda module: module.LSTM(2, stateful=True).build((None, 4, 1)),
            ValueError,
            "batch size must be static",
        )
