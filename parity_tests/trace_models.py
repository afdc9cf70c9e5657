"""Models whose traces are looked at, made here and in Keras: `CASES[name](k)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(5)


class Case(NamedTuple):
    """A model and a batch for it."""

    make: Callable[[Any], Any]
    x: Any
    y: Any
    sample_weight: Any = None


def xor(k: Any) -> Any:
    """Dense 2-4-1, whose sigmoid and crossentropy are one."""
    model = k.Sequential(
        [
            k.Input((2,)),
            k.layers.Dense(4, activation="tanh", name="hidden"),
            k.layers.Dense(1, activation="sigmoid", name="out"),
        ],
        name="xor",
    )
    model.compile(k.optimizers.Adam(0.01), "binary_crossentropy")
    return model


def lstm(k: Any) -> Any:
    """Masked sequences, dropout, softmax."""
    model = k.Sequential(
        [
            k.Input((5, 2)),
            k.layers.Masking(name="masking"),
            k.layers.LSTM(3, name="lstm"),
            k.layers.Dropout(0.5, seed=3, name="dropout"),
            k.layers.Dense(3, activation="softmax", name="out"),
        ]
    )
    model.compile(k.optimizers.RMSprop(0.01), "sparse_categorical_crossentropy")
    return model


def conv(k: Any) -> Any:
    """A convolution, batch statistics, pooling."""
    model = k.Sequential(
        [
            k.Input((6, 6, 1)),
            k.layers.Conv2D(2, 3, activation="relu", name="conv"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.MaxPooling2D(name="pool"),
            k.layers.Flatten(name="flatten"),
            k.layers.Dense(2, name="out"),
        ]
    )
    model.compile(k.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def branches(k: Any) -> Any:
    """Two inputs and outputs in dicts, a layer called twice, a model inside."""
    encoder = k.Sequential(
        [
            k.Input((3,)),
            k.layers.Dense(2, activation="elu", name="first"),
            k.layers.Dense(2, name="second"),
        ],
        name="encoder",
    )
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    shared = k.layers.Dense(2, kernel_regularizer="l2", name="shared")
    joined = k.layers.Add(name="add")([shared(a), shared(b), encoder(a)])
    p = k.layers.Dense(1, activation="sigmoid", name="p")(joined)
    q = k.layers.Dense(2, name="q", trainable=False)(joined)
    model = k.Model({"a": a, "b": b}, {"p": p, "q": q})
    losses = {"p": "binary_crossentropy", "q": "mse"}
    weights = {"p": 1.0, "q": 0.5}
    model.compile(k.optimizers.Adam(0.01), losses, loss_weights=weights)
    return model


def _sequences() -> np.ndarray:
    x = RNG.standard_normal((4, 5, 2))
    x[0, 3:] = 0  # masked
    return x


CASES = {
    "xor": Case(
        xor,
        np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]),
        np.array([[0.0], [1], [1], [0]]),
    ),
    "lstm": Case(lstm, _sequences(), np.array([0, 1, 2, 0])),
    "conv": Case(
        conv,
        RNG.standard_normal((3, 6, 6, 1)),
        RNG.standard_normal((3, 2)),
        np.array([1.0, 0.5, 2.0]),
    ),
    "branches": Case(
        branches,
        {"a": RNG.standard_normal((4, 3)), "b": RNG.standard_normal((4, 3))},
        {"p": np.array([[1.0], [0], [1], [0]]), "q": RNG.standard_normal((4, 2))},
        np.array([1.0, 2.0, 0.0, 1.0]),
    ),
}
