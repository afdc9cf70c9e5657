"""Final softmax and sigmoid, trained from what went into them, wherever they are.

The data are large, so that probabilities round to 0 and 1: a crossentropy of the logits
and one of the clipped probabilities are then far apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import activations
from minikeras.graph_steps import Logits
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    call,
    compare_logs,
    compare_variables,
    compiled,
    pair,
    synchronize,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal

RNG = np.random.default_rng(11)
X = RNG.standard_normal((8, 3)) * 40
SERIES = RNG.standard_normal((8, 5, 3)) * 40
ONE_HOT = np.eye(4)[RNG.integers(0, 4, 8)]
ONE_HOT_SERIES = np.eye(4)[RNG.integers(0, 4, (8, 5))]
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CROSSENTROPY = "categorical_crossentropy"


def check(make: Callable, x: Any, y: Any, dtype: str, eager: bool = True) -> None:
    """`fit` and `evaluate` against Keras."""
    with default_dtype(dtype):
        twins = pair(make)
        for model in twins[:2]:
            model.run_eagerly = eager
        for method, options in (("evaluate", {"return_dict": True}), ("fit", {})):
            found = [call(m, method, x, y, batch_size=4, **options) for m in twins[:2]]
            logs = [getattr(f, "history", f) for f in found]
            compare_logs(*logs, steps=4)
        compare_variables(twins, steps=4)


def trained(k: Any, *args: Any, loss: Any = CROSSENTROPY, **options: Any) -> Any:
    """A functional model, compiled with a small learning rate: the data are large."""
    return compiled(k.Model(*args), k.optimizers.SGD(0.001), loss=loss, **options)


def two_heads(k: Any, name: str = "inner") -> Any:
    x = k.Input((3,))
    heads = [
        k.layers.Dense(4, activation="softmax", name="p")(x),
        k.layers.Dense(4, activation="sigmoid", name="q")(x),
    ]
    return k.Model(x, heads, name=name)


@DTYPES
class TestNested:
    """Models in models."""

    def test_several_outputs(self, dtype):
        def make(k):
            x = k.Input((3,))
            return trained(k, x, two_heads(k)(x), loss=[CROSSENTROPY] * 2)

        check(make, X, [ONE_HOT, ONE_HOT], dtype)

    @pytest.mark.filterwarnings("ignore:Gradients do not exist")
    def test_one_of_several_outputs(self, dtype):
        def make(k):
            x = k.Input((3,))
            return trained(k, x, two_heads(k)(x)[1], loss="binary_crossentropy")

        check(make, X, ONE_HOT, dtype)

    def test_deep_down_and_used_twice(self, dtype):
        def make(k):
            inner = k.Sequential(
                [k.Input((3,)), k.layers.Dense(3), k.layers.Dense(3, "softmax")]
            )
            middle = k.Sequential([k.Input((3,)), inner, k.layers.Identity()])
            x = k.Input((3,))
            return trained(k, x, middle(middle(x)))

        check(make, X, ONE_HOT[:, :3], dtype)

    def test_with_penalties_inside(self, dtype):
        def make(k):
            x = k.Input((3,))
            h = k.layers.Dense(4, activity_regularizer="l2")(x)
            y = k.layers.Dense(4, "softmax", activity_regularizer="l1")(h)
            inner = k.Model(x, [y, h])
            z = k.Input((3,))
            return trained(k, z, inner(z)[0])

        check(make, X / 40, ONE_HOT, dtype)


def block(k: Any, final: str) -> Any:
    class Block(k.layers.Layer):
        """Made of layers; so is its twin."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = k.layers.Dense(4, activation="tanh")
            self.out = k.layers.Dense(4, activation=final)

        def build(self, input_shape):
            self.hidden.build(input_shape)
            self.out.build((*input_shape[:-1], 4))
            self.built = True

        def call(self, x):
            return self.out(self.hidden(x))

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 4)

    return Block()


@DTYPES
@pytest.mark.parametrize("final", ["softmax", "sigmoid"])
class TestComposites:
    """Layers and models with a `call` made of layers."""

    def test_layer_in_a_functional_model(self, final, dtype):
        def make(k):
            x = k.Input((3,))
            return trained(k, x, block(k, final)(x))

        check(make, X, ONE_HOT, dtype)

    def test_layer_in_a_sequential_model(self, final, dtype):
        def make(k):
            model = k.Sequential(
                [k.Input((3,)), block(k, final), k.layers.Dropout(0.4)]
            )
            return compiled(model, k.optimizers.SGD(0.001), loss="binary_crossentropy")

        check(make, X, ONE_HOT, dtype)

    def test_subclassed_model(self, final, dtype):
        def make(k):
            class Own(k.Model):
                def __init__(self):
                    super().__init__()
                    self.block = block(k, final)
                    self.other = k.layers.Dense(2)

                def call(self, x, training=False):
                    y = self.block(x)
                    return {"y": y, "z": self.other(y)}

            model = Own()
            model(np.zeros((1, 3)))
            losses = {"y": CROSSENTROPY, "z": "mse"}
            return compiled(model, k.optimizers.SGD(0.001), loss=losses)

        check(make, X, {"y": ONE_HOT, "z": ONE_HOT[:, :2]}, dtype)


# What comes after the softmax, for inputs of shape (batch, 5, 4). The comment says
# whether Keras hands the same tensor on: in evaluation, in training.
AFTER = {
    "Identity": lambda k: k.layers.Identity(),  # yes, yes
    "Activation linear": lambda k: k.layers.Activation("linear"),  # yes, yes
    "ActivityRegularization": lambda k: k.layers.ActivityRegularization(l2=0.1),
    "Dropout 0": lambda k: k.layers.Dropout(0),  # yes, yes
    "Dropout": lambda k: k.layers.Dropout(0.3),  # yes, no
    "GaussianDropout": lambda k: k.layers.GaussianDropout(0.3),  # yes, no
    "GaussianNoise": lambda k: k.layers.GaussianNoise(0.3),  # yes, no
    "AlphaDropout": lambda k: k.layers.AlphaDropout(0.3),  # yes, no
    "SpatialDropout1D": lambda k: k.layers.SpatialDropout1D(0.3),  # yes, no
    "Reshape": lambda k: k.layers.Reshape((5, 4)),  # the others: no, no
    "Permute": lambda k: k.layers.Permute((1, 2)),
    "ZeroPadding1D": lambda k: k.layers.ZeroPadding1D(0),
    "Cropping1D": lambda k: k.layers.Cropping1D(0),
    "UpSampling1D": lambda k: k.layers.UpSampling1D(1),
    "MaxPooling1D": lambda k: k.layers.MaxPooling1D(1),
    "AveragePooling1D": lambda k: k.layers.AveragePooling1D(1),
    "ReLU": lambda k: k.layers.ReLU(),
    "Masking": lambda k: k.layers.Masking(),
    "Softmax": lambda k: k.layers.Softmax(),  # logits of its own
    "BatchNormalization": lambda k: k.layers.BatchNormalization(),
    "LayerNormalization": lambda k: k.layers.LayerNormalization(),
    "slice": lambda k: lambda x: x[:, :, :],
    "times one": lambda k: lambda x: x * 1.0,
    "negative": lambda k: lambda x: -x,
    "float64": lambda k: k.layers.Identity(dtype="float64"),
    "activations.linear": lambda k: k.activations.linear,
}


def followed_by(name: str) -> Callable:
    def make(k):
        x = k.Input((5, 3))
        y = k.layers.Dense(4, activation="softmax")(x)
        return trained(k, x, AFTER[name](k)(y))

    return make


@pytest.mark.parametrize("name", AFTER)
@DTYPES
def test_layers_that_return_their_input(name, dtype):
    check(followed_by(name), SERIES / 4, ONE_HOT_SERIES, dtype)


@pytest.mark.parametrize("name", ["Identity", "Dropout", "Reshape", "Dropout 0"])
def test_layers_that_return_their_input_compiled(name):
    check(followed_by(name), SERIES / 4, ONE_HOT_SERIES, "float64", eager=False)


def test_flatten_of_a_matrix_keeps_nothing():
    def make(k):
        x = k.Input((3,))
        return trained(k, x, k.layers.Flatten()(k.layers.Dense(4, "softmax")(x)))

    check(make, X, ONE_HOT, "float64")


@DTYPES
class TestSoftmaxLayer:
    """The layer `Softmax`, with axes and masks."""

    @pytest.mark.parametrize("axis", [-1, 1, [-1], [1, 2]])
    def test_axes(self, axis, dtype):
        def make(k):
            x = k.Input((5, 3))
            return trained(k, x, k.layers.Softmax(axis=axis)(k.layers.Dense(4)(x)))

        check(make, SERIES, ONE_HOT_SERIES, dtype)

    def test_a_mask_loses_the_logits(self, dtype):
        def make(k):
            x, mask = k.Input((3,)), k.Input((1,), dtype="bool")
            return trained(
                k, [x, mask], k.layers.Softmax()(k.layers.Dense(4)(x), mask=mask)
            )

        check(make, [X, RNG.random((8, 1)) > 0.4], ONE_HOT, dtype)

    def test_a_mask_stays_with_the_logits_of_others(self, dtype):
        def make(k):
            x = k.Input((5, 3))
            h = k.layers.Dense(4, "softmax")(k.layers.Masking()(x))
            return trained(k, x, k.layers.Activation("linear")(h))

        x = SERIES.copy()
        x[:, 3:] = 0
        check(make, x, ONE_HOT_SERIES, dtype)


@DTYPES
class TestShared:
    """The same probabilities in several places."""

    def test_given_out_twice(self, dtype):
        """To a loss on logits and to one on probabilities."""

        def make(k):
            x = k.Input((3,))
            y = k.layers.Dense(4, "softmax", name="a")(x)
            return trained(k, x, [y, y], loss=[CROSSENTROPY, "mse"])

        check(make, X, [ONE_HOT, ONE_HOT], dtype)

    def test_two_losses_on_one_output(self, dtype):
        """NB: of a model's only output Keras takes just the first."""

        def make(k):
            x = k.Input((3,))
            outputs = {
                "y": k.layers.Dense(4, "softmax", name="y")(x),
                "z": k.layers.Dense(4, name="z")(x),
            }
            losses = {"y": [CROSSENTROPY, "mse"], "z": "mse"}
            return trained(k, x, outputs, loss=losses)

        check(make, X, {"y": ONE_HOT, "z": ONE_HOT}, dtype)

    def test_also_used_inside(self, dtype):
        def make(k):
            x = k.Input((3,))
            y = k.layers.Dense(4, "softmax")(x)
            z = k.layers.Dense(4, "sigmoid", activity_regularizer="l2")(y * 2.0)
            losses = [CROSSENTROPY, "binary_crossentropy"]
            return trained(k, x, [k.layers.Identity()(y), z], loss=losses)

        check(make, X, [ONE_HOT, ONE_HOT], dtype)

    def test_one_layer_called_twice(self, dtype):
        def make(k):
            layer = k.layers.Dense(4, "softmax")
            a, b = k.Input((3,)), k.Input((3,))
            return trained(k, [a, b], [layer(a), layer(b)], loss=[CROSSENTROPY] * 2)

        check(make, [X, X[::-1]], [ONE_HOT, ONE_HOT], dtype)

    def test_activation_functions_in_the_graph(self, dtype):
        def make(k):
            x = k.Input((3,))
            z = k.layers.Dense(4)(x)
            y = [k.activations.softmax(z), k.activations.sigmoid(z)]
            return trained(k, x, y, loss=[CROSSENTROPY, "binary_crossentropy"])

        check(make, X, [ONE_HOT, ONE_HOT], dtype)

    def test_dense_and_conv_in_one_model(self, dtype):
        def make(k):
            x = k.Input((5, 3))
            h = k.layers.Conv1D(4, 1, activation="softmax")(x)
            return trained(k, x, [h, k.layers.Conv1D(2, 2, activation="sigmoid")(h)],
                           loss=[CROSSENTROPY, "mse"])  # fmt: skip

        check(make, SERIES, [ONE_HOT_SERIES, ONE_HOT_SERIES[:, :4, :2]], dtype)


class TestChanges:
    """What the user changes between calls is seen."""

    def test_another_activation(self):
        def make(k):
            x = k.Input((3,))
            return trained(k, x, k.layers.Dense(4, "softmax")(x))

        with default_dtype("float64"):
            twins = pair(make)
            for activation in ("softmax", "sigmoid", "tanh", "linear", "softmax"):
                for k, model in zip((minikeras, keras), twins[:2], strict=True):
                    model.layers[-1].activation = k.activations.get(activation)
                    compiled(model, k.optimizers.SGD(0.001), loss="mse")
                logs = [call(m, "fit", X, ONE_HOT, epochs=1).history for m in twins[:2]]
                compare_logs(*logs)
                synchronize(twins)

    def test_a_layer_with_another_forward_has_no_logits(self):
        """What a user's forward does after the activation nobody knows."""

        class Doubled(minikeras.layers.Dense):
            def forward(self, x):
                y, residuals = super().forward(x)
                return 2 * y, residuals

            def backward(self, dy, residuals, grads):
                return super().backward(2 * dy, residuals, grads)

        x = minikeras.Input((3,))
        model = minikeras.Model(x, Doubled(4, "softmax")(x))
        (y,), residuals = model._graph.forward([X.astype("float32")])
        assert_equal(residuals.output_logits, (None,))
        assert_close(y.sum(axis=-1), np.full(8, 2, "float32"))

    def test_logits_belong_to_the_output(self):
        x = minikeras.Input((3,))
        layer = minikeras.layers.Dense(4, "softmax")
        model = minikeras.Model(x, minikeras.layers.Identity()(layer(x)))
        data = X.astype("float32")
        (y,), residuals = model._graph.forward([data])
        (logits,) = residuals.output_logits
        assert isinstance(logits, Logits) and logits.activation == "softmax"
        assert_equal(logits.z, data @ layer.kernel.value + layer.bias.value)
        assert_equal(y, activations.softmax(logits.z))
