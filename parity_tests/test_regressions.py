"""Scripts as Keras users write them that once went wrong here."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras.utils import gradcheck
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close

BOTH = pytest.mark.parametrize(
    "library", [minikeras, keras], ids=["minikeras", "keras"]
)


def data(dtype="float32"):
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 4)).astype(dtype)
    return x, (x[:, :1] * 2 + 1).astype(dtype)


@BOTH
def test_missing_targets_are_refused(library):
    x, _ = data()
    model = library.Sequential([library.Input((4,)), library.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="None values not supported"):
        model.fit(x, verbose=0)
    with pytest.raises(ValueError, match="None values not supported"):
        model.evaluate(x, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def make_affine(library):
    class Affine(library.layers.Layer):
        """Keras's way: `call`, with weights of its own."""

        def build(self, input_shape):
            size = (input_shape[-1],)
            self.scale = self.add_weight(shape=size, initializer="ones", name="scale")
            self.shift = self.add_weight(shape=size, initializer="zeros", name="shift")

        def call(self, x):
            return self.shift + x / (self.scale * self.scale + 1.0) - (-self.scale)

    return Affine


def test_variables_in_a_call_are_trained():
    x, y = data()
    weights = []
    for library in (minikeras, keras):
        library.utils.set_random_seed(0)
        model = library.Sequential(
            [
                library.Input((4,)),
                library.layers.Dense(3),
                make_affine(library)(),
                library.layers.Dense(1),
            ]
        )
        model.compile(library.optimizers.SGD(0.1), "mse")
        model.fit(x, y, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert not np.array_equal(weights[0][2], np.ones(3))
    for a, b in zip(*weights, strict=True):
        assert_close(a, b, name="weights", k=64)


def test_variables_in_a_call_pass_the_gradient_check():
    assert gradcheck(make_affine(minikeras)(), data("float64")[0][:3]).ok


def test_add_loss_in_a_call_is_added_and_trained():
    x, y = data()
    results = []
    for library in (minikeras, keras):

        class Penalty(library.layers.Layer):
            def call(self, x):
                self.add_loss(0.01 * x * x)
                return x

        library.utils.set_random_seed(0)
        layers = library.layers
        model = library.Sequential(
            [library.Input((4,)), layers.Dense(3), Penalty(), layers.Dense(1)]
        )
        model.compile(library.optimizers.SGD(0.01), "mse")
        loss = model.evaluate(x, y, verbose=0)
        history = model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append([np.float32([loss, *history]), *model.get_weights()])
    for a, b in zip(*results, strict=True):
        assert_close(a, np.asarray(b), name="loss, weights", k=256)


@BOTH
def test_frozen_layers_stay_frozen_in_a_nested_model_from_a_file(library, tmp_path):
    layers = library.layers
    base = library.Sequential([library.Input((4,)), layers.Dense(3), layers.Dense(2)])
    base.layers[0].trainable = False
    inputs = library.Input((4,))
    model = library.Model(inputs, layers.Dense(1)(base(inputs)))
    model.compile("adam", "mse")
    model.fit(*data(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = library.models.load_model(tmp_path / "model.keras")
    assert len(model.trainable_weights) == len(again.trainable_weights) == 4
    copy = library.Model.from_config(model.get_config())
    assert len(copy.trainable_weights) == 4
    ours, theirs = model.optimizer.variables, again.optimizer.variables
    assert [v.shape for v in ours] == [v.shape for v in theirs]


@BOTH
def test_a_saved_subclassed_model_is_loaded(library, tmp_path):
    class Mine(library.Model):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = library.layers.Dense(units)
            self.second = library.layers.Dense(1)

        def call(self, x):
            return self.second(self.first(x))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    x, y = data()
    model = Mine(units=5)
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = library.models.load_model(
        tmp_path / "model.keras", custom_objects={"Mine": Mine}
    )
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), again.predict(x, verbose=0)
    )


@BOTH
def test_a_step_gets_the_parts_there_are(library):
    lengths = []

    class Watching(library.Model):
        def train_step(self, data):
            lengths.append(len(data))
            return {"loss": 0.0}

    inputs = library.Input((4,))
    model = Watching(inputs, library.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = data()
    model.fit(x, y, verbose=0)
    model.fit(x, y, sample_weight=np.ones(len(x)), verbose=0)
    assert lengths == [2, 2, 3, 3]


@BOTH
def test_summary_draws_no_random_number(library):
    import random

    inputs = library.Input((7,))
    ids = library.layers.Embedding(20, 6, mask_zero=True)(inputs)
    outputs = library.layers.LSTM(
        5, return_sequences=True, return_state=True, dropout=0.1
    )(ids)
    model = library.Model(inputs, library.layers.Dense(1)(outputs[0]))
    library.utils.set_random_seed(1)
    model.summary(print_fn=lambda text: None)
    drawn = random.random()
    library.utils.set_random_seed(1)
    assert random.random() == drawn
