"""Conv1D on time series: sines, squares and saw teeth, told apart in noise."""

from __future__ import annotations

from typing import Any

import numpy as np

LENGTH = 64


def waves(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(series, (N, 64, 1); kinds from 0 to 2, (N,))."""
    rng = np.random.RandomState(seed)
    kinds = np.arange(count) % 3
    phase, speed = rng.random_sample((2, count, 1))
    turns = phase + (1 + 3 * speed) * np.linspace(0, 1, LENGTH)
    sine, saw = np.sin(2 * np.pi * turns), 2 * (turns % 1) - 1
    series = np.choose(kinds[:, None], [sine, np.sign(sine), saw])
    series = series + 0.5 * (rng.random_sample(series.shape) - 0.5)
    return series[..., None].astype("float32"), kinds


def train(keras: Any, count: int = 600, epochs: int = 15) -> Any:
    """Returns (model, history)."""
    keras.utils.set_random_seed(7)
    x, y = waves(count)
    model = keras.Sequential([keras.Input((LENGTH, 1))])
    for _ in range(2):
        model.add(keras.layers.Conv1D(16, 5, padding="same", use_bias=False))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
        model.add(keras.layers.ReLU())
    model.add(keras.layers.GlobalAveragePooling1D())
    model.add(keras.layers.Dense(3, activation="softmax"))
    rate = keras.optimizers.Adam(0.003)
    model.compile(rate, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


if __name__ == "__main__":
    import minikeras

    model, history = train(minikeras)
    loss, accuracy = model.evaluate(*waves(300, seed=1), verbose=0)
    print(f"accuracy on 300 new series: {accuracy:.1%}")
