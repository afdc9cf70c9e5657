"""Objects as plain JSON in Keras's form, both ways; custom classes and functions."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers, saving
from parity_tests import test_models
from parity_tests.descriptions import normalized
from parity_tests.model_checks import assert_same
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras
from parity_tests.test_models import without_false
from parity_tests.tolerance import assert_equal

LIBRARIES = (minikeras, keras)
OBJECTS = {
    "number": lambda k: 3,
    "text": lambda k: "text",
    "nothing": lambda k: None,
    "list": lambda k: [1, "a", None, [True]],
    "dict": lambda k: {"a": 1, "b": {"c": [2.5]}},
    "array": lambda k: np.array([[1.5, 2.0]], "float32"),
    "numpy number": lambda k: np.float32(0.5),
    "numpy integer": lambda k: np.int64(5),
    "slice": lambda k: slice(1, None, 2),
    "ellipsis": lambda k: ...,
    "bytes": lambda k: b"bytes",
    "dtype policy": lambda k: k.DTypePolicy("float64"),
    "activation": lambda k: k.activations.tanh,
    "initializer": lambda k: k.initializers.RandomNormal(0.1, 0.2, seed=3),
    "scaling": lambda k: k.initializers.VarianceScaling(2.0, "fan_out", seed=1),
    "regularizer": lambda k: k.regularizers.L1L2(0.1, 0.2),
    "constraint": lambda k: k.constraints.MaxNorm(2, axis=1),
    "loss": lambda k: k.losses.Huber(delta=2.0, name="h"),
    "loss function": lambda k: k.losses.mean_squared_error,
    "metric": lambda k: k.metrics.BinaryAccuracy(threshold=0.3, name="b"),
    "optimizer": lambda k: k.optimizers.Adam(0.25, clipnorm=1.0, name="a"),
    "schedule": lambda k: k.optimizers.schedules.CosineDecay(0.5, 10, alpha=0.25),
    "optimizer with a schedule": lambda k: k.optimizers.SGD(
        k.optimizers.schedules.PiecewiseConstantDecay([2], [0.5, 0.25])
    ),
    "layer": lambda k: k.layers.Dense(3, activation="relu", name="d"),
    "layer of objects": lambda k: k.layers.Conv2D(
        2,
        3,
        kernel_initializer=k.initializers.HeNormal(seed=1),
        kernel_regularizer=k.regularizers.L2(0.5),
        bias_constraint=k.constraints.NonNeg(),
        activation=k.activations.tanh,
        dtype="float64",
        name="c",
    ),
    "cells": lambda k: k.layers.RNN(
        [k.layers.LSTMCell(2, name="x"), k.layers.LSTMCell(3, name="y")], name="r"
    ),
    "model": test_models.random_model,
    "compiled model": lambda k: compiled(
        test_models.by_list(k), "adam", loss="mse", metrics=["mae"]
    ),
}


def serialized(obj: Any, k: Any) -> Any:
    return k.saving.serialize_keras_object(obj)


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
class TestObjects:
    def test_equals_keras(self, make):
        found = []
        for k in LIBRARIES:
            k.utils.clear_session()
            config = normalized(serialized(make(k), k))
            found.append(without_registered(without_false(config)))
        assert_same(*found)

    def test_round_trip(self, make):
        minikeras.utils.clear_session()
        config = serialized(make(minikeras), minikeras)
        text = json.dumps(config)
        again = saving.deserialize_keras_object(json.loads(text))
        assert_same(
            normalized(serialized(again, minikeras)), normalized(json.loads(text))
        )

    def test_reading_leaves_the_config_alone(self, make):
        config = json.loads(json.dumps(serialized(make(minikeras), minikeras)))
        before = copy.deepcopy(config)
        saving.deserialize_keras_object(config)
        assert_same(config, before)

    def test_each_library_reads_the_other(self, make):
        for writer, reader in (LIBRARIES, LIBRARIES[::-1]):
            writer.utils.clear_session()
            config = json.loads(json.dumps(serialized(make(writer), writer)))
            # Keras takes parts out of the config it reads.
            again = reader.saving.deserialize_keras_object(copy.deepcopy(config))
            back = json.loads(json.dumps(serialized(again, reader)))
            assert_same(
                without_registered(without_false(normalized(back))),
                without_registered(without_false(normalized(config))),
            )


def without_registered(config: Any) -> Any:
    """Without the shapes layers were built with, which come as tuples or lists."""
    if isinstance(config, dict):
        return {
            key: without_registered(value)
            for key, value in config.items()
            if key not in ("registered_name", "build_config", "build_input_shape")
        }
    if isinstance(config, list):
        return [without_registered(item) for item in config]
    return config


def make_doubling(k: Any) -> type:
    """A custom layer with a parameter, without a `get_config` of its own."""
    if k is keras:

        class Doubling(keras.layers.Layer):
            def __init__(self, factor: float = 2.0, **kwargs: Any):
                super().__init__(**kwargs)
                self.factor = factor

            def call(self, x):
                return x * self.factor

        return Doubling

    class Doubling(layers.Layer):  # type: ignore[no-redef]
        def __init__(self, factor: float = 2.0, **kwargs: Any):
            super().__init__(**kwargs)
            self.factor = factor

        def forward(self, x):
            return x * x.dtype.type(self.factor), None

        def backward(self, dy, residuals, grads):
            return dy * dy.dtype.type(self.factor)

    return Doubling


class TestCustomObjects:
    def test_in_a_file(self, tmp_path):
        for k in LIBRARIES:
            doubling = make_doubling(k)
            model = k.Sequential([k.Input((3,)), doubling(3.0, name="double")])
            path = tmp_path / f"{k.__name__}.keras"
            model.save(path)
            with pytest.raises((TypeError, ValueError), match="Doubling"):
                k.models.load_model(path)
            objects = {"Doubling": doubling}
            again = [k.models.load_model(path, custom_objects=objects)]
            with k.saving.custom_object_scope(objects):
                again.append(k.models.load_model(path))
            for loaded in again:
                y = np.asarray(loaded(np.ones((1, 3), "float32")))
                assert_equal(y, np.full((1, 3), 3, "float32"))

    def test_across_libraries(self, tmp_path):
        for writer, reader in (LIBRARIES, LIBRARIES[::-1]):
            model = writer.Sequential([writer.Input((3,)), make_doubling(writer)(4.0)])
            path = tmp_path / f"{writer.__name__}.keras"
            model.save(path)
            objects = {"Doubling": make_doubling(reader)}
            loaded = reader.models.load_model(path, custom_objects=objects)
            y = np.asarray(loaded(np.ones((1, 3), "float32")))
            assert_equal(y, np.full((1, 3), 4, "float32"))

    def test_registered(self, tmp_path):
        for k in LIBRARIES:
            register = k.saving.register_keras_serializable
            cls = register(package=f"p_{k.__name__}", name="Twice")(make_doubling(k))
            assert k.saving.get_registered_name(cls) == f"p_{k.__name__}>Twice"
            assert k.saving.get_registered_object(f"p_{k.__name__}>Twice") is cls
            config = serialized(cls(5.0, name="five"), k)
            assert config["registered_name"] == f"p_{k.__name__}>Twice"
            again = k.saving.deserialize_keras_object(config)
            assert type(again) is cls and again.factor == 5.0

    def test_custom_functions(self):
        @minikeras.differentiable
        def cube(x):
            return x**3, x

        @cube.gradient
        def _(dy, x):
            return dy * 3 * x**2

        layer = layers.Dense(2, activation=cube)
        config = json.loads(json.dumps(layer.get_config()))
        with pytest.raises((TypeError, ValueError), match="cube"):
            layers.Dense.from_config(config)
        with saving.custom_object_scope({"cube": cube}):
            assert layers.Dense.from_config(config).activation is cube

    def test_the_scope_ends(self):
        with saving.custom_object_scope({"Mine": dict}):
            assert saving.get_registered_object("Mine") is dict
        assert saving.get_registered_object("Mine") is None


class TestRefused:
    @pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
    @pytest.mark.parametrize(
        ("config", "error"),
        [
            (
                {"module": "keras.layers", "class_name": "Danse", "config": {}},
                (TypeError, ValueError),
            ),
            (
                {
                    "module": "keras.layers",
                    "class_name": "Dense",
                    "config": {"unts": 3},
                },
                (TypeError, ValueError),
            ),
            (
                {"module": "os", "class_name": "system", "config": {}},
                (TypeError, ValueError),
            ),
            (
                {
                    "module": "builtins",
                    "class_name": "__lambda__",
                    "config": {"value": ["4wEAAA==", None, None]},
                },
                ValueError,
            ),
        ],
        ids=["unknown class", "unknown argument", "another module", "lambda"],
    )
    def test_configs(self, config, error, library):
        with pytest.raises(error):
            library.saving.deserialize_keras_object(config)

    def test_lambdas(self):
        with pytest.raises(ValueError, match="lambda"):
            saving.serialize_keras_object(lambda x: x)

    def test_objects_without_a_config(self):
        for k in LIBRARIES:
            with pytest.raises(TypeError, match="serialize"):
                k.saving.serialize_keras_object(object())

    def test_unknown_class_suggests_the_nearest(self):
        config = {"module": "keras.layers", "class_name": "Danse", "config": {}}
        with pytest.raises(TypeError, match="Dense"):
            saving.deserialize_keras_object(config)
