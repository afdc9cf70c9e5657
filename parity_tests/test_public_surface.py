"""What a Keras user looks for is there and behaves the same: each use runs in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.model_checks import assert_same
from parity_tests.oracle import keras

LIBRARIES = (minikeras, keras)
Use = Callable[[Any], Any]


def plain(value: Any) -> Any:
    """Results as plain Python values, to be compared exactly."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and all(n is None or isinstance(n, int) for n in value):
        return tuple(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    array = np.asarray(value)
    return {"dtype": str(array.dtype), "values": array.tolist()}


def same(use: Use) -> None:
    """`use(library)` gives the same, or raises the same type of error, in both."""
    found = []
    for k in LIBRARIES:
        k.utils.clear_session()
        k.utils.set_random_seed(0)
        try:
            found.append(plain(use(k)))
        except Exception as error:
            found.append(f"{type(error).__name__}")
    assert_same(*found)


def variable(k: Any, **options: Any) -> Any:
    return k.Variable(np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), **options)


VARIABLES: dict[str, Use] = {
    "shape and dtype": lambda k: [tuple(variable(k).shape), variable(k).dtype],
    "rank": lambda k: variable(k).ndim,
    "name and path": lambda k: [variable(k, name="v").name, variable(k, name="v").path],
    "automatic names": lambda k: [k.Variable(1.0).name, k.Variable(1.0).name],
    "trainable": lambda k: [
        variable(k).trainable,
        variable(k, trainable=False).trainable,
    ],
    "numpy": lambda k: variable(k).numpy(),
    "as an array": lambda k: np.asarray(variable(k)) * 2,
    "assign": lambda k: (v := variable(k), v.assign(np.zeros((2, 2))), v.numpy())[2],
    "assign_add": lambda k: (
        v := variable(k),
        v.assign_add(np.ones((2, 2))),
        v.numpy(),
    )[2],
    "assign_sub": lambda k: (
        v := variable(k),
        v.assign_sub(np.ones((2, 2))),
        v.numpy(),
    )[2],
    "assign a number": lambda k: (v := k.Variable(1.0), v.assign(3), v.numpy())[2],
    "assign a wrong shape": lambda k: variable(k).assign(np.zeros(3)),
    "value": lambda k: variable(k).value,
    "arithmetic": lambda k: [
        variable(k) + 1,
        1 - variable(k),
        variable(k) * variable(k),
        variable(k) / 2,
        2 ** variable(k),
        variable(k) @ variable(k),
        -variable(k),
        abs(variable(k)),
        variable(k) // 2,
        variable(k) % 2,
    ],
    "comparison": lambda k: [variable(k) > 2, variable(k) <= 2],
    "slices": lambda k: [variable(k)[0], variable(k)[:, 1], variable(k)[1, 1]],
    "from an initializer": lambda k: k.Variable(
        lambda shape, dtype: np.ones(shape, dtype), shape=(2,), dtype="float64"
    ),
    "from the name of an initializer": lambda k: k.Variable("ones", shape=(2,)),
    "from an initializer without shape": lambda k: k.Variable("ones"),
    "from a list": lambda k: [k.Variable([1, 2]).dtype, k.Variable([1.0]).dtype],
    "from a number": lambda k: [k.Variable(3).dtype, k.Variable(3.0).dtype],
    "bad name": lambda k: k.Variable(1.0, name="a/b"),
    "unknown dtype": lambda k: k.Variable(1.0, dtype="float12"),
    "regularizer and constraint": lambda k: [
        k.Variable(1.0).regularizer is None,
        k.Variable(1.0).constraint is None,
    ],
    "integers": lambda k: k.Variable(np.arange(3), dtype="int32", trainable=False) + 1,
    "booleans": lambda k: k.Variable([True, False], dtype="bool").dtype,
    "iterations of an optimizer": lambda k: k.optimizers.SGD().iterations,
}


@pytest.mark.parametrize("use", VARIABLES.values(), ids=VARIABLES)
def test_variables(use):
    same(use)


def dense(k: Any, **options: Any) -> Any:
    layer = k.layers.Dense(3, **options)
    layer.build((None, 2))
    return layer


def lists(layer: Any) -> list[int]:
    return [
        len(getattr(layer, name))
        for name in (
            "weights",
            "variables",
            "trainable_weights",
            "trainable_variables",
            "non_trainable_weights",
            "non_trainable_variables",
            "losses",
            "metrics",
            "metrics_variables",
        )
    ]


def after(layer: Any, *shape: int) -> Any:
    """The layer, called on zeros."""
    layer(np.zeros(shape, "float32"))
    return layer


STATELESS = (
    "Activation('relu')",
    "Dropout(0.5)",
    "ReLU()",
    "LeakyReLU()",
    "ELU()",
    "Softmax()",
    "Masking()",
    "Reshape((2,))",
    "Permute((1,))",
    "RepeatVector(2)",
    "MaxPooling2D()",
    "AveragePooling2D()",
    "GlobalMaxPooling2D()",
    "GlobalAveragePooling2D()",
    "Identity()",
    "GaussianNoise(0.1)",
)
WITH_WEIGHTS = (
    "Dense(2)",
    "Conv2D(2, 3)",
    "LSTM(2)",
    "Embedding(3, 2)",
    "BatchNormalization()",
    "LayerNormalization()",
    "PReLU()",
)


def make(k: Any, text: str) -> Any:
    """`"Dense(2)"` as a layer."""
    name, arguments = text[:-1].split("(", 1)
    values = {
        "": (),
        "'relu'": ("relu",),
        "0.5": (0.5,),
        "0.1": (0.1,),
        "(2,)": ((2,),),
        "(1,)": ((1,),),
        "2": (2,),
        "2, 3": (2, 3),
        "3, 2": (3, 2),
    }[arguments]
    return getattr(k.layers, name)(*values)


LAYERS: dict[str, Use] = {
    "built before and after": lambda k: [k.layers.Dense(3).built, dense(k).built],
    "lists": lambda k: lists(dense(k)),
    "lists of a seeded layer": lambda k: lists(after(k.layers.Dropout(0.5), 1, 2)),
    "lists of moving averages": lambda k: lists(
        after(k.layers.BatchNormalization(), 1, 2)
    ),
    "lists with a regularizer": lambda k: lists(dense(k, kernel_regularizer="l2")),
    "names": lambda k: [
        k.layers.Dense(3).name,
        k.layers.Dense(3).name,
        k.layers.MaxPooling2D().name,
        k.layers.LSTM(3).name,
    ],
    "paths": lambda k: [w.path for w in dense(k).weights],
    "path of the layer": lambda k: [k.layers.Dense(3).path, dense(k).path],
    "dtypes": lambda k: [
        k.layers.Dense(3).dtype,
        k.layers.Dense(3).compute_dtype,
        k.layers.Dense(3, dtype="float64").variable_dtype,
        k.layers.Dense(3, dtype="float64").dtype_policy.name,
        k.layers.Dense(3, dtype=k.DTypePolicy("float64")).input_dtype,
    ],
    "input_spec": lambda k: [
        k.layers.Dense(3).input_spec.min_ndim,
        dense(k).input_spec.axes,
    ],
    "compute_output_shape": lambda k: [
        tuple(k.layers.Dense(3).compute_output_shape((None, 5))),
        tuple(k.layers.Dense(3).compute_output_shape((2, 4, 5))),
    ],
    "compute_output_spec": lambda k: [
        k.layers.Dense(3).compute_output_spec(k.KerasTensor((None, 5))).shape,
        k.layers.Dense(3).compute_output_spec(k.KerasTensor((None, 5))).dtype,
    ],
    "masking": lambda k: [
        k.layers.Dense(3).supports_masking,
        k.layers.Flatten().supports_masking,
        k.layers.Embedding(3, 2).supports_masking,
        k.layers.Embedding(3, 2, mask_zero=True).supports_masking,
        k.layers.Embedding(3, 2, mask_zero=True).compute_mask(np.array([[0, 1]])),
        k.layers.Dense(3).compute_mask(np.ones((1, 2)), np.array([True])),
    ],
    "input and output": lambda k: (
        layer := k.layers.Dense(3),
        layer(k.Input((2,), name="x")),
        [layer.input.name, layer.output.shape],
    )[2],
    "output before a call": lambda k: k.layers.Dense(3).output,
    "call": lambda k: np.asarray(
        (d := dense(k), d.set_weights([np.ones((2, 3)), np.zeros(3)]), d)[2].call(
            np.ones((1, 2), "float32")
        )
    ),
    "call on a list": lambda k: k.layers.Dense(3)([[1.0, 2.0]]),
    "call on an integer array": lambda k: np.asarray(
        dense(k, kernel_initializer="ones")(np.array([[1, 2]]))
    ),
    "count_params": lambda k: dense(k).count_params(),
    "trainable": lambda k: (
        d := dense(k),
        setattr(d, "trainable", False),
        lists(d),
        setattr(d, "trainable", True),
        lists(d),
    )[2::2],
    "add_weight": lambda k: (
        layer := k.layers.Layer(name="own"),
        w := layer.add_weight(shape=(2,), initializer="ones", name="w"),
        n := layer.add_weight((3,), "zeros", dtype="int32", trainable=False, name="n"),
        [w.path, w.dtype, n.path, n.dtype, lists(layer)],
    )[3],
    "add_weight of default kind": lambda k: [
        tuple(k.layers.Layer().add_weight().shape),
        k.layers.Layer().add_weight().dtype,
    ],
    "add_weight with the name first": lambda k: k.layers.Layer().add_weight("w", (2,)),
    "get_config": lambda k: k.layers.Dropout(0.5, seed=3, name="d").get_config(),
    "get_build_config": lambda k: list(dense(k).get_build_config()["input_shape"]),
    "from_config": lambda k: k.layers.Dense.from_config(
        {"units": 3, "name": "d"}
    ).get_config()["units"],
    "from_config with an unknown key": lambda k: k.layers.Dense.from_config(
        {"units": 3, "untis": 4}
    ),
    "stateless layers are built": lambda k: [make(k, t).built for t in STATELESS],
    "others are not": lambda k: [make(k, t).built for t in WITH_WEIGHTS],
    "build by shapes": lambda k: (
        layer := k.layers.LSTM(2),
        layer.build((None, 4, 3)),
        [tuple(w.shape) for w in layer.weights],
    )[2],
    "build of a model by call": lambda k: lists(
        after(k.Sequential([k.layers.Dense(2), k.layers.Dropout(0.5)]), 1, 3)
    ),
}


@pytest.mark.filterwarnings("ignore:.*build")
@pytest.mark.parametrize("use", LAYERS.values(), ids=LAYERS)
def test_layers(use):
    same(use)
