"""Activations: names, configs, functions and layers of your own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minikeras
from minikeras import activations, layers
from minikeras.functions import differentiable
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close


def test_names_are_those_of_keras():
    assert sorted(activations.__all__) == [
        name for name in dir(keras.activations) if not name.startswith("_")
    ]


def test_get():
    assert activations.get(None) is activations.linear
    for name in activations.__all__:
        if name not in ("get", "serialize", "deserialize"):
            assert activations.get(name) is getattr(activations, name)
            theirs = keras.activations.serialize(keras.activations.get(name))
            assert activations.serialize(activations.get(name)) == theirs
            assert activations.deserialize(theirs) is activations.get(name)
    assert activations.swish is activations.silu
    assert activations.hard_swish is activations.hard_silu
    assert activations.get(activations.relu) is activations.relu


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [("rellu", "'relu'"), ("ReLU", "'relu'"), ("soft_max", "'softmax'"), (5, "5")],
)
def test_unknown_names_suggest_the_nearest(identifier, hint):
    with pytest.raises(ValueError):
        keras.activations.get(identifier)
    with pytest.raises(ValueError, match=f"Could not interpret.*{hint}"):
        activations.get(identifier)


def test_a_class_is_not_an_activation():
    with pytest.raises(ValueError, match=r"Did you mean `LeakyReLU\(\)`"):
        activations.get(layers.LeakyReLU)


def test_own_function_with_gradient():
    @differentiable
    def cube(x):
        return x**3, x

    @cube.gradient
    def _(dy, x):
        return dy * 3 * x**2

    assert activations.get(cube) is cube
    minikeras.utils.gradcheck(cube, np.array([0.5, -2.0])).raise_if_failed()
    dense = layers.Dense(2, activation=cube)
    result = minikeras.utils.gradcheck(dense, np.ones((3, 4)))
    result.raise_if_failed()


def test_plain_function_computes_but_cannot_train():
    def cube(x):
        return x**3

    wrapped = activations.get(cube)
    y, residuals = wrapped.forward(np.array([2.0]))
    assert y.tolist() == wrapped(np.array([2.0])).tolist() == [8.0]
    assert activations.get(wrapped) is wrapped
    assert wrapped.__name__ == "cube"
    with pytest.raises(NotImplementedError, match="'cube' is a plain function"):
        wrapped.backward(np.ones(1), residuals)


def test_layer_as_activation():
    leaky = layers.LeakyReLU(negative_slope=0.5)
    dense = layers.Dense(2, activation=leaky)
    x = np.array([[1.0, -2.0]], "float32")
    dense.build(x.shape)
    dense.set_weights([np.eye(2), np.zeros(2)])
    assert dense(x).tolist() == [[1.0, -1.0]]
    minikeras.utils.gradcheck(dense, x).raise_if_failed()
    config_dict = activations.serialize(dense.activation)
    assert config_dict["class_name"] == "LeakyReLU"
    twin = activations.deserialize(config_dict)
    assert twin(x).tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("make", [lambda: layers.PReLU(), lambda: layers.Dropout(0.5)])
def test_layer_with_state_is_refused_as_activation(make):
    dense = layers.Dense(2, activation=make())
    with pytest.raises(ValueError, match="weights or a random state"):
        dense(np.ones((1, 2), "float32"))


def test_custom_functions_round_trip():
    @minikeras.saving.register_keras_serializable("tests")
    @differentiable
    def double(x):
        return 2 * x, None

    @double.gradient
    def _(dy, residuals):
        return 2 * dy

    saved = activations.serialize(double)
    assert activations.get(saved) is double
    assert activations.deserialize(saved) is double
    with pytest.raises(ValueError, match="lambda"):
        activations.serialize(activations.get(lambda x: x))


def test_symbolic_call_records_a_node():
    x = minikeras.Input((4,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = activations.relu(x, max_value=2.0)
    model = minikeras.Model(x, activations.softmax(y, axis=-1))
    out = model.predict(np.array([[-1.0, 1.0, 5.0, 5.0]], "float32"), verbose=0)
    expected = activations.softmax(np.array([[0.0, 1.0, 2.0, 2.0]], "float32"))
    assert_close(out, expected)
