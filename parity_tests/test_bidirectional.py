"""Bidirectional: every merge mode, states, masks, names and files, as Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers, models
from parity_tests.harness import check_layer, default_dtype
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import MASK, MinimalCell, same_start, sequences
from parity_tests.strategies import dtypes, masks, seeds, sizes, values
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
)
from parity_tests.twins import check_same_error

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
MERGE_MODES = ["concat", "sum", "mul", "ave", None]
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}


def compare(make: Any, x: Any, dtype: str, **options: Any) -> None:
    """`make(module)` in both libraries."""
    check_layer(
        lambda: make(layers), lambda: make(keras.layers), x, dtype=dtype, **options
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    """(inner class, inner config, merge mode, x, mask, call_kwargs)."""
    name = draw(st.sampled_from(sorted(STATES)))
    config = {"units": draw(sizes(1, 4)), "use_bias": draw(st.booleans())}
    for flag in ("return_sequences", "return_state", "unroll"):
        config[flag] = draw(st.booleans())
    shape = (draw(sizes(1, 3)), draw(sizes(1, 4)), draw(sizes(1, 3)))
    mask = draw(masks(*shape[:2])) if draw(st.booleans()) else None
    call_kwargs = {}
    if draw(st.booleans()):
        state = (shape[0], config["units"])
        recipe = values(state, scale=1.0, specials=("ties", "zeros"))
        found = [draw(recipe) for _ in range(2 * STATES[name])]
        call_kwargs["initial_state"] = found
    merge_mode = draw(st.sampled_from(MERGE_MODES))
    # Saturated gates are for the tests of the layers themselves.
    x = values(shape, scale=draw(st.floats(0.01, 3)), specials=("ties", "zeros"))
    return name, config, merge_mode, draw(x), mask, call_kwargs


class TestAgainstKeras:
    @given(case=cases(), dtype=dtypes(), seed=seeds())
    def test_drawn_configurations(self, case, dtype, seed):
        name, config, merge_mode, x, mask, call_kwargs = case
        compare(
            lambda k: k.Bidirectional(getattr(k, name)(**config), merge_mode),
            x,
            dtype,
            mask=mask,
            call_kwargs=call_kwargs,
            seed=seed,
            train_steps=1,
        )

    @DTYPES
    @pytest.mark.parametrize("merge_mode", MERGE_MODES)
    @pytest.mark.parametrize("return_sequences", [False, True])
    def test_merge_modes(self, dtype, merge_mode, return_sequences):
        def make(k: Any) -> Any:
            layer = k.LSTM(3, return_sequences=return_sequences, return_state=True)
            return k.Bidirectional(layer, merge_mode=merge_mode)

        compare(make, sequences(3, 4, 2), dtype, mask=MASK)

    @DTYPES
    def test_a_layer_of_its_own_backwards(self, dtype):
        def make(k: Any) -> Any:
            return k.Bidirectional(
                k.GRU(3, return_sequences=True),
                backward_layer=k.SimpleRNN(
                    3, return_sequences=True, go_backwards=True, activation="relu"
                ),
                merge_mode="sum",
            )

        compare(make, sequences(3, 4, 2), dtype, mask=MASK)

    def test_other_units_backwards(self):
        layer = layers.Bidirectional(
            layers.GRU(3), backward_layer=layers.GRU(2, go_backwards=True)
        )
        x = sequences(2, 3, 4)
        assert_equal(layer(x).shape, (2, 5))
        assert_equal(layer.compute_output_shape((2, 3, 4)), (2, 5))

    @DTYPES
    def test_stacked_cells(self, dtype):
        def make(k: Any) -> Any:
            cells = [k.GRUCell(2), k.LSTMCell(3)]
            layer = k.RNN(cells, return_state=True, return_sequences=True)
            return k.Bidirectional(layer)

        compare(make, sequences(3, 4, 2), dtype, mask=MASK)

    @DTYPES
    @pytest.mark.parametrize("return_sequences", [False, True])
    def test_stateful(self, dtype, return_sequences):
        def make(k: Any) -> Any:
            layer = k.GRU(3, stateful=True, return_sequences=return_sequences)
            return k.Bidirectional(layer)

        compare(make, sequences(3, 4, 2), dtype, mask=MASK)

    @DTYPES
    @pytest.mark.parametrize("rates", [(0.4, 0.0), (0.3, 0.4)])
    def test_dropout(self, dtype, rates):
        def make(k: Any) -> Any:
            inner = k.GRU(3, dropout=rates[0], recurrent_dropout=rates[1], seed=4)
            return k.Bidirectional(inner)

        compare(make, sequences(3, 4, 2), dtype, training=True)

    def test_the_same_seed_gives_the_same_weights(self):
        """Nine draws: three of the layer that is copied, three for each copy."""
        for name in STATES:
            same_start(lambda k, n=name: k.Bidirectional(getattr(k, n)(4, dropout=0.1)))

    def test_names_and_paths(self):
        found = []
        for k, library in ((layers, minikeras), (keras.layers, keras)):
            library.utils.clear_session()
            layer = k.Bidirectional(k.LSTM(2, name="forward_a"))
            other = k.Bidirectional(k.GRU(2, stateful=True))
            other.build((2, 3, 1))
            layer.build((None, 3, 1))
            names = [layer.name, layer.forward_layer.name, layer.backward_layer.name]
            found.append(names + [v.path for v in (*layer.weights, *other.states)])
        assert_equal(*found)


class TestOwn:
    def test_resetting_states(self):
        layer = layers.Bidirectional(layers.LSTM(2, stateful=True))
        x = sequences(2, 3, 1)
        first = layer(x)
        assert (layer(x) != first).all()
        layer.reset_states()
        assert_equal(layer(x), first)
        assert_equal(layer.couples_examples, True)
        check_same_error(
            lambda k: k.Bidirectional(k.LSTM(2)).reset_state(),
            AttributeError,
            "must be stateful",
        )

    def test_a_users_cell_need_not_be_registered(self):
        layer = layers.Bidirectional(layers.RNN(MinimalCell(3)))
        assert_equal(layer(sequences(2, 4, 1)).shape, (2, 6))
        assert_equal(type(layer.backward_layer.cell), MinimalCell)

    def test_weights_have_no_effect_and_say_so(self):
        with pytest.warns(UserWarning, match="has no effect"):
            layers.Bidirectional(layers.GRU(1), weights=[np.ones(1)] * 6)

    @DTYPES
    def test_penalties_of_the_layers_inside(self, dtype):
        """An activity regularizer of the layer counts for both directions."""

        def make(module: Any) -> Any:
            inner = module.layers.GRU(3, activity_regularizer="l2", reset_after=False)
            x = module.layers.Input((4, 2))
            wrapped = module.layers.Bidirectional(inner, merge_mode="mul")
            y = module.layers.Dense(1)(wrapped(x))
            model = module.Model(x, y)
            model.compile(module.optimizers.SGD(0.5), "mse")
            return model

        x, y = sequences(6, 4, 2), sequences(6, 1, seed=1)
        with default_dtype(dtype):
            ours, theirs = make(minikeras), make(keras)
            theirs.set_weights(ours.get_weights())
            options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
            mine = ours.fit(x, y, **options).history["loss"]
            their = theirs.fit(x, y, **options).history["loss"]
        losses = np.array(mine, dtype), np.array(their, dtype)
        assert_trajectory_close(*losses, steps=4, name="loss")
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert_trajectory_close(a, b, steps=4, name="weight")


def reader(module: Any) -> Any:
    """Keras's example of text classification, smaller."""
    make = module.layers
    words = make.Input((5,), dtype="int32")
    x = make.Embedding(7, 3, mask_zero=True)(words)
    x = make.Bidirectional(make.LSTM(4, return_sequences=True))(x)
    x = make.Bidirectional(make.GRU(3, reset_after=False), merge_mode="ave")(x)
    return module.Model(words, make.Dense(1)(x))


class TestModels:
    WORDS = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 5, 6], [0, 0, 0, 0, 0]], "int32")

    @DTYPES
    def test_masks_from_an_embedding(self, dtype):
        check_layer(
            lambda: reader(minikeras),
            lambda: reader(keras),
            self.WORDS,
            dtype=dtype,
            config=False,
            name="Embedding and Bidirectional",
        )

    @pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
    def test_files_travel_both_ways(self, tmp_path, suffix):
        for writer, back in ((keras, minikeras), (minikeras, keras)):
            model = reader(writer)
            path = tmp_path / f"{writer.__name__}{suffix}"
            if suffix == ".weights.h5":
                model.save_weights(path)
                again = reader(back)
                again.load_weights(path)
            else:
                model.save(path)
                again = back.models.load_model(path)
            expected = np.asarray(model(self.WORDS))
            assert_close(np.asarray(again(self.WORDS)), expected, k=16)

    @DTYPES
    def test_fit_from_nothing_but_the_seed(self, dtype):
        """Initial weights, and the masks of every kind of dropout inside."""

        def fit(module: Any) -> dict[str, np.ndarray]:
            module.utils.set_random_seed(8)
            k = module.layers
            both = k.Bidirectional(
                k.GRU(3, return_sequences=True, dropout=0.3, recurrent_dropout=0.2)
            )
            layer = [
                k.Input((4, 2)),
                both,
                k.TimeDistributed(k.Dropout(0.3)),
                k.EinsumDense("abc,cd->abd", (None, 3), activation="tanh"),
                k.Bidirectional(k.SimpleRNN(2, dropout=0.2), merge_mode="sum"),
                k.Dense(1),
            ]
            model = module.Sequential(layer)
            model.compile("adam", "mse")
            options = {"epochs": 2, "batch_size": 8, "verbose": 0}
            x, y = sequences(20, 4, 2), sequences(20, 1, seed=1)
            history = model.fit(x, y, **options).history["loss"]
            found = {f"weight {i}": w for i, w in enumerate(model.get_weights())}
            return found | {"loss": np.array(history, dtype)}

        with default_dtype(dtype):
            ours, theirs = fit(minikeras), fit(keras)
        for name, actual in ours.items():
            assert_trajectory_close(actual, theirs[name], steps=6, name=name)

    def test_states_from_other_layers(self):
        def make(module: Any, make_model: Any) -> Any:
            source, target = module.Input((4, 2)), module.Input((3, 2))
            encoder = module.Bidirectional(module.LSTM(3, return_state=True))
            _, *states = encoder(source)
            decoder = module.Bidirectional(module.LSTM(3, return_sequences=True))
            return make_model([source, target], decoder(target, initial_state=states))

        check_layer(
            lambda: make(layers, models.Model),
            lambda: make(keras.layers, keras.Model),
            [sequences(2, 4, 2), sequences(2, 3, 2, seed=1)],
            dtype="float64",
            config=False,
            empty_batch=False,
        )


class TestErrors:
    @pytest.mark.parametrize(
        "make, match",
        [
            (lambda k: k.Bidirectional("gru"), "Please initialize `Bidirectional`"),
            (lambda k: k.Bidirectional(k.GRU(1), "max"), "Invalid merge mode"),
            (
                lambda k: k.Bidirectional(k.GRU(1), backward_layer="x"),
                "`backward_layer` need to be",
            ),
            (
                lambda k: k.Bidirectional(k.GRU(1), backward_layer=k.GRU(1)),
                "different `go_backwards` value",
            ),
            (
                lambda k: k.Bidirectional(k.GRU(1, go_backwards=True)),
                "different `go_backwards` value",
            ),
            (
                lambda k: k.Bidirectional(
                    k.GRU(1),
                    backward_layer=k.GRU(1, go_backwards=True, return_state=True),
                ),
                'same value for attribute "return_state"',
            ),
            (lambda k: k.Bidirectional(k.GRU(1))(sequences(2, 3)), "expected ndim=3"),
        ],
    )
    def test_as_in_keras(self, make, match):
        check_same_error(make, ValueError, match)

    def test_layers_that_are_not_recurrent(self):
        for k in (layers, keras.layers):
            with pytest.raises(TypeError):
                k.Bidirectional(k.Dense(2))
