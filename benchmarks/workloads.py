"""The models that are timed, each written once for both libraries.

`build(keras, ...)` gets the module `minikeras` or `keras`: the script is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]


class Workload(NamedTuple):
    """A model, its data, and how it is timed.

    Attributes:
        text: what it is, for the tables.
        layers: `layers(keras, rate)`: the list of layers, `rate` that of Dropout.
        loss: for `compile`.
        data: `data(generator, n)`: n examples.
        batch: examples per step.
        steps: steps per timed `fit`, or calls per timed round of `predict`.
        method: "fit" or "predict".
    """

    text: str
    layers: Callable[[Any, float], list[Any]]
    loss: str
    data: Callable[[np.random.Generator, int], Arrays]
    batch: int
    steps: int
    method: str = "fit"


def classes(shape: tuple[int, ...], count: int) -> Callable[..., Arrays]:
    """Random inputs in [0, 1) with labels from 0 to count - 1."""

    def data(generator: np.random.Generator, n: int) -> Arrays:
        x = generator.random((n, *shape), dtype=np.float32)
        return x, generator.integers(0, count, n)

    return data


def quadrants(generator: np.random.Generator, n: int) -> Arrays:
    """Points in the plane, and whether their coordinates have the same sign."""
    x = generator.standard_normal((n, 2), dtype=np.float32)
    return x, (x[:, :1] * x[:, 1:] > 0).astype(np.float32)


def tokens(steps: int) -> Callable[..., Arrays]:
    """Sequences of ids below 10000 with labels 0 or 1."""

    def data(generator: np.random.Generator, n: int) -> Arrays:
        x = generator.integers(0, 10000, (n, steps)).astype(np.int32)
        return x, generator.integers(0, 2, (n, 1)).astype(np.float32)

    return data


def series(generator: np.random.Generator, n: int) -> Arrays:
    """50 steps of 8 features, and one number to forecast."""
    x = generator.standard_normal((n, 50, 8), dtype=np.float32)
    return x, x[:, :, 0].sum(axis=1, keepdims=True) / 8


def tiny(keras: Any, rate: float) -> list[Any]:
    """Two Dense layers with 17 weights."""
    return [
        keras.Input((2,)),
        keras.layers.Dense(4, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]


def mlp(keras: Any, rate: float) -> list[Any]:
    """A perceptron with two hidden layers."""
    return [
        keras.Input((784,)),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]


def cnn(keras: Any, rate: float) -> list[Any]:
    """The ConvNet of Keras's first example, for MNIST."""
    return [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dropout(rate),
        keras.layers.Dense(10, activation="softmax"),
    ]


def vgg(keras: Any, rate: float) -> list[Any]:
    """Blocks of two convolutions and a pooling, for CIFAR-10."""
    layers = [keras.Input((32, 32, 3))]
    for filters in (32, 64):
        for _ in range(2):
            conv = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")
            layers.append(conv)
        layers.append(keras.layers.MaxPooling2D(2))
    return [
        *layers,
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]


def lstm(keras: Any, rate: float) -> list[Any]:
    """A classifier of texts."""
    return [
        keras.Input((None,), dtype="int32"),
        keras.layers.Embedding(10000, 128),
        keras.layers.LSTM(128),
        keras.layers.Dense(1, activation="sigmoid"),
    ]


def lstm_ts(keras: Any, rate: float) -> list[Any]:
    """A forecaster of a time series: two LSTMs, one on the other."""
    return [
        keras.Input((50, 8)),
        keras.layers.LSTM(64, return_sequences=True),
        keras.layers.LSTM(64),
        keras.layers.Dense(1),
    ]


def one_hidden(keras: Any, rate: float, units: int = 128) -> list[Any]:
    """The model whose `predict` is timed, one sample at a time."""
    return [
        keras.Input((784,)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]


SPARSE = "sparse_categorical_crossentropy"
BINARY = "binary_crossentropy"
DIGITS = classes((784,), 10)
WORKLOADS: dict[str, Workload] = {
    "tiny": Workload("Dense 2-4-1, batch 32", tiny, BINARY, quadrants, 32, 400),
    "mlp": Workload("Dense 784-512-512-10, batch 128", mlp, SPARSE, DIGITS, 128, 100),
    "cnn": Workload(
        "28x28x1: Conv2D 32, pool, Conv2D 64, pool, dropout, Dense 10; batch 128",
        cnn,
        SPARSE,
        classes((28, 28, 1), 10),
        batch=128,
        steps=20,
    ),
    "vgg": Workload(
        "32x32x3: 2 x Conv2D 32, pool, 2 x Conv2D 64, pool, Dense 128-10; batch 64",
        vgg,
        SPARSE,
        classes((32, 32, 3), 10),
        batch=64,
        steps=8,
    ),
    "lstm": Workload(
        "Embedding 10000x128, 100 steps, LSTM 128, Dense 1; batch 32",
        lstm,
        BINARY,
        tokens(100),
        batch=32,
        steps=20,
    ),
    "lstm_ts": Workload(
        "50 steps of 8 features, LSTM 64, LSTM 64, Dense 1; batch 64",
        lstm_ts,
        "mse",
        series,
        batch=64,
        steps=30,
    ),
    "predict": Workload(
        "`model.predict` of one sample, Dense 784-128-10",
        one_hidden,
        SPARSE,
        DIGITS,
        batch=1,
        steps=40,
        method="predict",
    ),
}
# Of the sweep over units only: with one hidden layer its cost is linear in them.
ONE_HIDDEN = Workload(
    "Dense 784-units-10", one_hidden, SPARSE, DIGITS, batch=128, steps=20
)
PROCESS = "process"  # the eighth: a whole process, see `walk.py`
PROCESS_TEXT = (
    "whole process: import, Dense 2-4-1, 100 epochs of 100 samples, weights before "
    "and after"
)


def build(keras: Any, workload: Workload, rate: float = 0.5) -> Any:
    """The compiled model, with the same weights in every library and on any backend."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(workload.layers(keras, rate))
    model.compile(optimizer="adam", loss=workload.loss)
    generator = np.random.default_rng(2)
    model.set_weights([initial(generator, w.shape) for w in model.get_weights()])
    return model


def initial(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers of the size that Glorot asks for; biases of zero."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    fans = math.prod(shape[:-2]) * (shape[-2] + shape[-1])
    numbers = generator.random(shape, dtype=np.float32) * 2 - 1
    return numbers * np.float32(math.sqrt(6 / fans))


class Work(NamedTuple):
    """What cannot be avoided in one step.

    Attributes:
        operations: multiplications and additions of the matrix products.
        update_bytes: what Adam reads and writes: weight, gradient and two moments are
            read, weight and moments written; nothing in `predict`.
    """

    operations: int
    update_bytes: int


def work(model: Any, workload: Workload) -> Work:
    """Counts the work of one step; `model` is one of minikeras.

    A product `y = x @ kernel` has two gradients of the same cost, dkernel and dx; the
    latter is not needed where only data come before.
    """
    x, _ = workload.data(np.random.default_rng(0), 1)
    products, trained_before = 0, False
    for layer in model.layers:
        if hasattr(layer, "cell"):  # one product per time step
            kernels = [layer.cell.kernel, layer.cell.recurrent_kernel]
            positions = x.shape[1]
        elif hasattr(layer, "kernel"):
            kernels = [layer.kernel]
            positions = math.prod(layer.output.shape[1:-1])  # of the sliding window
        else:
            trained_before = trained_before or bool(layer.trainable_weights)
            continue
        for number, kernel in enumerate(kernels):
            passes = 1
            if workload.method == "fit":
                passes = 3 if trained_before or number else 2
            products += passes * positions * math.prod(kernel.shape)
        trained_before = True
    weights = sum(math.prod(w.shape) for w in model.get_weights())
    updates = 7 * 4 * weights if workload.method == "fit" else 0
    return Work(2 * products * workload.batch, updates)
