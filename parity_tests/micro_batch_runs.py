"""Models and short runs for the tests of micro-batches and threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import minikeras
from minikeras import Input, Model, Sequential, layers, threads
from minikeras.trainers import micro_batches, splitting


@contextmanager
def cut_into(count: int) -> Iterator[list[int]]:
    """Cuts every batch that can be cut; yields the number of parts of each cut."""
    cuts: list[int] = []
    cut_batch = micro_batches.CutBatch.__init__

    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        cut_batch(self, *args, **kwargs)
        cuts.append(len(self.parts))

    def counting(cost: Any, examples: int, training: bool) -> int:
        return max(1, min(count, examples // 2))

    with (
        mock.patch.object(splitting, "count_micro_batches", counting),
        mock.patch.object(micro_batches.CutBatch, "__init__", noting),
    ):
        yield cuts


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    before = threads._num_threads
    threads.set_num_threads(count)
    try:
        yield
    finally:
        threads.set_num_threads(before)


def vectors(examples: int = 12, size: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(examples, size)).astype("float32")


def noisy() -> Model:
    """Everything that draws, one after the other."""
    x = Input((6,))
    h = layers.Dense(8, activation="relu", activity_regularizer="l2")(x)
    h = layers.GaussianNoise(0.1)(layers.Dropout(0.3)(h))
    h = layers.AlphaDropout(0.2)(layers.GaussianDropout(0.2)(h))
    h = layers.SpatialDropout1D(0.3)(layers.Reshape((4, 2))(h))
    h = layers.Dropout(0.5, noise_shape=(None, 1, 2))(h)
    h = layers.Dropout(0.5, noise_shape=(1, 4, 1))(h)
    return Model(x, layers.Dense(2, kernel_regularizer="l1")(layers.Flatten()(h)))


def recurrent() -> Model:
    """Masks that reach the loss, and masks that are drawn."""
    x = Input((None,), dtype="int32")
    h = layers.Embedding(5, 4, mask_zero=True)(x)
    h = layers.LSTM(3, dropout=0.3, recurrent_dropout=0.2, return_sequences=True)(h)
    return Model(x, layers.Dense(2)(h))


def convolutional() -> Model:
    return Sequential(
        [
            Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(2, activation="softmax"),
        ]
    )


class Penalized(Model):
    """A `call` with a loss of its own, a weight of its own, and operators."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = layers.Dense(5, activation="tanh")
        self.outer = layers.Dense(2)
        self.scale = self.add_weight(shape=(5,), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        h = self.inner(x) * self.scale + 1.0
        self.add_loss(0.1 * h[:, :2] ** 2.0)
        return self.outer(abs(h))


def data(kind: Callable[[], Model]) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    if kind is recurrent:
        x = rng.integers(1, 5, (12, 7))
        x[:, 4:] *= rng.integers(0, 2, (12, 3))
        return x.astype("int32"), rng.normal(size=(12, 7, 2)).astype("float32")
    if kind is convolutional:
        x = rng.normal(size=(12, 6, 6, 2)).astype("float32")
        return x, rng.integers(0, 2, 12)
    return vectors(), vectors(size=2, seed=2)


def run(kind: Callable[[], Model], **options: Any) -> dict[str, Any]:
    """The weights, the history and the predictions of a short run."""
    minikeras.utils.set_random_seed(3)
    model = kind()
    loss = "sparse_categorical_crossentropy" if kind is convolutional else "mse"
    model.compile("adam", loss, metrics=["mae"] if loss == "mse" else ["accuracy"])
    x, y = data(kind)
    history = model.fit(x, y, batch_size=7, epochs=2, verbose=0, **options).history
    seeds = [v.numpy() for v in model.variables if v.dtype == "int64"]
    found = {"evaluate": np.array(model.evaluate(x, y, verbose=0))}
    found["seeds"] = np.array(seeds)
    found.update({k: np.array(v) for k, v in history.items()})
    found["predict"] = model.predict(x, verbose=0)
    found.update({f"weight {i}": w for i, w in enumerate(model.get_weights())})
    return found


class Apart(layers.Layer):
    """A user's layer which says that its examples are apart."""

    couples_examples = False

    def forward(self, x: Any) -> tuple[Any, None]:
        return 2 * x, None

    def backward(self, dy: Any, residuals: None, grads: Any) -> Any:
        return 2 * dy

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
