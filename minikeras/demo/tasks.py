"""The two tasks of the demonstration: digits and sunspots."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minikeras import Input, Sequential, datasets, layers


class Task(NamedTuple):
    """A model and its data."""

    title: str
    model: Any
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    epochs: int
    batch_size: int


def digits_task() -> Task:
    """A Conv2D classifier of 8x8 images of digits."""
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    # (N, 8, 8) integers 0..16 -> (N, 8, 8, 1) floats 0..1
    x_train = (x_train[..., None] / 16).astype("float32")
    x_test = (x_test[..., None] / 16).astype("float32")
    model = Sequential(
        [
            Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return Task(
        "Handwritten digits: a convolutional classifier",
        model,
        (x_train, y_train.astype("int64")),
        (x_test, y_test.astype("int64")),
        epochs=12,
        batch_size=32,
    )


# Sunspot numbers are divided by this, the largest of the training years being 190.2.
SUNSPOT_SCALE = 200.0


def sunspots_task() -> Task:
    """An LSTM that reads 20 years of sunspot numbers and forecasts the next."""
    (x_train, y_train), (x_test, y_test) = datasets.sunspots.load_data(window=20)
    model = Sequential(
        [Input((20, 1)), layers.LSTM(32), layers.Dense(1)],
        name="sunspots",
    )
    model.compile("adam", "mse")
    return Task(
        "Yearly sunspots: an LSTM forecaster",
        model,
        (x_train / SUNSPOT_SCALE, y_train / SUNSPOT_SCALE),
        (x_test / SUNSPOT_SCALE, y_test / SUNSPOT_SCALE),
        epochs=60,
        batch_size=16,
    )


def forecast_errors(task: Task) -> tuple[float, float]:
    """Root mean squared errors in sunspots: (LSTM, "as many as last year")."""
    x, y = task.test
    forecast = task.model.predict(x, verbose=0)
    last_year = x[:, -1, :]

    def rmse(guess: np.ndarray) -> float:
        return float(np.sqrt(np.mean((guess - y) ** 2)) * SUNSPOT_SCALE)

    return rmse(forecast), rmse(last_year)
