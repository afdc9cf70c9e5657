"""Layers and models made of layers, in places where they once differed from Keras."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close

IDS = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])


def same(make, k=256):
    """`make(library)` gives arrays: the same ones for both libraries."""
    for a, b in zip(make(minikeras), make(keras), strict=True):
        assert_close(np.asarray(a), np.asarray(b), name="array", k=k)


def composites(library):
    layers = library.layers

    class WithoutMask(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.LSTM(3)

        def call(self, x):
            return self.inner(x)

    class WithMask(WithoutMask):
        def call(self, x, mask=None):
            return self.inner(x, mask=mask)

    class PassingOn(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(4)
            self.supports_masking = True

        def call(self, x):
            return self.inner(x)

    return {
        "without mask": [WithoutMask],
        "with mask": [WithMask],
        "passing on": [PassingOn, lambda: layers.LSTM(2)],
    }


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("which", ["without mask", "with mask", "passing on"])
def test_masks_reach_the_layers_inside(which):
    def make(library):
        library.utils.set_random_seed(3)
        inputs = library.Input((4,))
        x = library.layers.Embedding(7, 4, mask_zero=True)(inputs)
        for layer in composites(library)[which]:
            x = layer()(x)
        model = library.Model(inputs, library.layers.Dense(1)(x))
        model.compile("sgd", "mse")
        model.fit(IDS, np.ones((2, 1)), epochs=2, verbose=0)
        return [model.predict(IDS, verbose=0)]

    same(make)


def test_training_reaches_the_layers_inside_an_eager_call():
    def make(library):
        class Dropping(library.layers.Layer):
            def __init__(self):
                super().__init__()
                self.dropout = library.layers.Dropout(0.5, seed=1)

            def call(self, x, training=None):
                return self.dropout(x)

        x = np.ones((2, 8), "float32")
        return [Dropping()(x, training=True), Dropping()(x)]

    same(make)


def test_a_penalty_inside_a_nested_model_is_trained_without_a_loss_there():
    def make(library):
        library.utils.set_random_seed(0)
        layers = library.layers
        inputs = library.Input((3,))
        inner = library.Model(
            inputs, layers.Dense(4, activity_regularizer="l2")(inputs), name="inner"
        )
        inputs = library.Input((3,))
        model = library.Model(inputs, [layers.Dense(2)(inputs), inner(inputs)])
        model.compile(library.optimizers.SGD(0.1), ["mse", None])
        x = np.random.default_rng(0).random((8, 3)).astype("float32")
        model.fit(x, [x[:, :2], x[:, :1]], epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    same(make)


def test_single_losses_over_a_smaller_last_batch():
    def make(library):
        inputs = library.Input((2,))
        outputs = [
            library.layers.Dense(1, name=name, kernel_initializer="ones")(inputs)
            for name in "pq"
        ]
        model = library.Model(inputs, outputs)
        model.compile("sgd", ["mse", "mae"])
        x = np.arange(80, dtype="float32").reshape(40, 2) / 80
        results = model.evaluate(x, [x[:, :1], x[:, :1]], verbose=0)
        return [np.float32(value) for value in results]

    same(make)


def test_a_call_without_training_runs_as_in_inference():
    def make(library):
        class Plain(library.Model):
            def __init__(self):
                super().__init__()
                self.norm = library.layers.BatchNormalization()
                self.out = library.layers.Dense(1)

            def call(self, x):
                return self.out(self.norm(x))

        library.utils.set_random_seed(0)
        model = Plain()
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).random((8, 3)).astype("float32")
        model.fit(x, x[:, :1], epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    same(make)


@pytest.mark.parametrize("library", [minikeras, keras], ids=["minikeras", "keras"])
def test_compile_takes_notice_of_changed_attributes(library):
    class Scaled(library.Model):
        factor = 2.0

        def call(self, x):
            return x * self.factor

    model = Scaled()
    model.compile("sgd", "mse")
    x = np.ones((2, 1), "float32")
    assert model.predict(x, verbose=0)[0, 0] == 2
    model.factor = 5.0
    model.compile("sgd", "mse")
    assert model.predict(x, verbose=0)[0, 0] == 5


def test_the_gradient_of_an_embedding_is_an_array_of_the_table():
    layer = minikeras.layers.Embedding(5, 2)
    layer.build()
    _, residuals = layer.forward(np.array([[1, 1, 3]]))
    grads = minikeras.Gradients()
    layer.backward(np.ones((1, 3, 2), "float32"), residuals, grads)
    assert grads[layer.embeddings].tolist() == [[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]]
    assert (grads[layer.embeddings] * 2).sum() == 12
