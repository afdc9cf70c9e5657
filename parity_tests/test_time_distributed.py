"""TimeDistributed over all kinds of layers, and Wrapper, as Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers
from minikeras.layers.rnn.time_distributed import steps_are_examples
from parity_tests.harness import check_layer, default_dtype
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import MASK, same_start, sequences
from parity_tests.strategies import dtypes, masks, seeds, sizes, values
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
)
from parity_tests.twins import check_same_error

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
# (layer, rank of one example, whether it runs on all steps at once in training)
INNER = {
    "Dense": (lambda k: k.Dense(3, activation="tanh"), 1, True),
    "LayerNormalization": (lambda k: k.LayerNormalization(), 1, True),
    "BatchNormalization": (lambda k: k.BatchNormalization(), 1, False),
    "Dropout": (lambda k: k.Dropout(0.4, seed=3), 1, False),
    "Conv1D": (lambda k: k.Conv1D(2, 2, padding="same"), 2, True),
    "GRU": (lambda k: k.GRU(2, return_sequences=True), 2, False),
    "MaxPooling2D": (lambda k: k.MaxPooling2D(2, padding="same"), 3, True),
    "Flatten": (lambda k: k.Flatten(), 2, True),
    "TimeDistributed": (lambda k: k.TimeDistributed(k.Dense(2)), 2, True),
}


def compare(make: Any, x: Any, dtype: str, **options: Any) -> None:
    """`make(module)` in both libraries."""
    check_layer(
        lambda: make(layers), lambda: make(keras.layers), x, dtype=dtype, **options
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    """(name in INNER, x, mask)."""
    name = draw(st.sampled_from(sorted(INNER)))
    space = tuple(draw(sizes(1, 3)) for _ in range(INNER[name][1]))
    shape = (draw(sizes(1, 3)), draw(sizes(1, 3)), *space)
    # The mask of BatchNormalization is by example, as the others' would be by step.
    takes_mask = name in ("Dense", "BatchNormalization", "Conv1D")
    mask = draw(masks(*shape[:2])) if takes_mask and draw(st.booleans()) else None
    return name, draw(values(shape, scale=1.0)), mask


class TestAgainstKeras:
    @given(case=cases(), dtype=dtypes(), training=st.booleans(), seed=seeds())
    def test_drawn_layers(self, case, dtype, training, seed):
        name, x, mask = case
        if name == "BatchNormalization" and mask is not None:
            mask[:, :] = mask | (np.arange(len(mask)) == 0)[:, None]  # a mean exists
        compare(
            lambda k: k.TimeDistributed(INNER[name][0](k)),
            x,
            dtype,
            training=training,
            mask=mask,
            seed=seed,
            train_steps=1,
        )

    @DTYPES
    @pytest.mark.parametrize("name", sorted(INNER))
    @pytest.mark.parametrize("training", [False, True])
    def test_every_kind_of_layer(self, dtype, name, training):
        make, rank, at_once = INNER[name]
        x = sequences(3, 4, *[2, 3, 2][:rank])
        compare(lambda k: k.TimeDistributed(make(k)), x, dtype, training=training)
        if training:
            assert_equal(steps_are_examples(make(layers), True), at_once)

    @DTYPES
    def test_masks_reach_the_layer(self, dtype):
        mask = np.random.default_rng(0).random((2, 3, 4)) < 0.6
        x = sequences(2, 3, 4, 2)
        make = lambda k: k.TimeDistributed(k.LSTM(3))  # noqa: E731
        compare(make, x, dtype, mask=mask)

    @DTYPES
    def test_penalties(self, dtype):
        """NB: in Keras only those of weights and of the TimeDistributed itself."""

        def make(k: Any) -> Any:
            inner = k.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
            return k.TimeDistributed(inner, activity_regularizer="l2")

        compare(make, sequences(2, 3, 4), dtype)

    @DTYPES
    def test_a_model_inside(self, dtype):
        def make(module: Any) -> Any:
            k = module.layers
            inner = module.Sequential(
                [
                    k.Input((4, 4, 1)),
                    k.Conv2D(2, 3, activation="relu"),
                    k.BatchNormalization(),
                    k.Flatten(),
                    k.Dense(3, activity_regularizer="l2"),
                ]
            )
            frames = k.Input((3, 4, 4, 1))
            y = k.LSTM(2)(k.TimeDistributed(inner)(frames))
            model = module.Model(frames, y)
            model.compile(module.optimizers.SGD(0.1), "mse")
            return model

        x, y = sequences(6, 3, 4, 4, 1), sequences(6, 2, seed=1)
        with default_dtype(dtype):
            ours, theirs = make(minikeras), make(keras)
            theirs.set_weights(ours.get_weights())
            options = {"batch_size": 3, "epochs": 2, "shuffle": False, "verbose": 0}
            mine = ours.fit(x, y, **options).history["loss"]
            their = theirs.fit(x, y, **options).history["loss"]
        losses = np.array(mine, dtype), np.array(their, dtype)
        assert_trajectory_close(*losses, steps=4, name="loss")
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert_trajectory_close(a, b, steps=4, name="weight")

    def test_the_same_seed_gives_the_same_weights(self):
        same_start(lambda k: k.TimeDistributed(k.Dense(4)))

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.filterwarnings("ignore:You are saving")
    def test_files_travel_both_ways(self, tmp_path, suffix):
        x = sequences(2, 3, 4, 1)
        for writer, reader in ((keras, minikeras), (minikeras, keras)):
            k = writer.layers
            model = writer.Sequential(
                [
                    k.Input((3, 4, 1)),
                    k.TimeDistributed(k.Conv1D(2, 3)),
                    k.TimeDistributed(k.Flatten()),
                    k.Bidirectional(k.LSTM(2, return_sequences=True)),
                    k.TimeDistributed(k.Dense(2, activation="softmax")),
                ]
            )
            path = tmp_path / f"{writer.__name__}{suffix}"
            model.save(path)
            again = reader.models.load_model(path)
            assert_close(np.asarray(again(x)), np.asarray(model(x)), k=16)


class TestOwn:
    @DTYPES
    @pytest.mark.parametrize("name", [n for n, v in INNER.items() if v[2]])
    def test_at_once_is_step_by_step(self, dtype, name, monkeypatch):
        make, rank, _ = INNER[name]
        with default_dtype(dtype):
            layer = layers.TimeDistributed(make(layers))
        x = sequences(2, 3, *[2, 3, 2][:rank], dtype=dtype)
        at_once = layer(x)
        module = "minikeras.layers.rnn.time_distributed.steps_are_examples"
        monkeypatch.setattr(module, lambda *_: False)
        assert_close(layer(x), at_once, k=8)

    def test_users_layers_run_step_by_step_unless_they_say(self):
        class Centered(layers.Layer):
            def forward(self, x):
                return x - x.mean(axis=0), None

            def backward(self, dy, residuals, grads):
                return dy - dy.mean(axis=0)

        class Doubled(layers.Layer):
            couples_examples = False

            def forward(self, x):
                return 2 * x, None

            def backward(self, dy, residuals, grads):
                return 2 * dy

        x = sequences(2, 3, 4)
        centered = layers.TimeDistributed(Centered())
        assert_close(centered(x), x - x.mean(axis=0))
        assert_equal(steps_are_examples(Centered(), False), False)
        assert_equal(steps_are_examples(Doubled(), True), True)
        assert_close(layers.TimeDistributed(Doubled())(x), 2 * x)

    def test_wrapper(self):
        for k in (layers, keras.layers):
            wrapper = k.Wrapper(k.Dense(2, name="inner"), name="outer")
            wrapper.build((None, 3))
            again = k.Wrapper.from_config(wrapper.get_config())
            assert_equal(again.layer.units, 2)
            assert_equal(wrapper.weights[0].path, "outer/inner/kernel")


class TestErrors:
    @pytest.mark.parametrize(
        "make, match",
        [
            (lambda k: k.TimeDistributed(3), "Please initialize `TimeDistributed`"),
            (lambda k: k.Wrapper(3), "supplied to Wrapper isn't"),
            (
                lambda k: k.TimeDistributed(k.Dense(1))(sequences(2, 3)),
                "at least 3 dimensions",
            ),
            (
                lambda k: k.TimeDistributed(k.Dense(1))(
                    sequences(3, 4, 1), mask=MASK[0]
                ),
                "must be at least 2D",
            ),
            (
                lambda k: k.TimeDistributed(k.Dense(1))(
                    sequences(3, 4, 1), mask=MASK[:, :3]
                ),
                "is incompatible with the input shape",
            ),
        ],
    )
    def test_as_in_keras(self, make, match):
        check_same_error(make, ValueError, match)
