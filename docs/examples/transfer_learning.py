"""Layers trained on the digits 0 to 4, frozen, and used for 5 to 9."""

from __future__ import annotations

from typing import Any

import numpy as np


def train(keras: Any, images: np.ndarray, labels: np.ndarray, epochs: int = 8) -> Any:
    """Returns (model for 5 to 9, its history). Images are (N, 8, 8), from 0 to 16."""
    keras.utils.set_random_seed(9)
    x = images[..., None].astype("float32") / 16
    low = labels < 5
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
        ],
        name="base",
    )
    first = keras.Sequential([base, keras.layers.Dense(5, activation="softmax")])
    first.compile("adam", "sparse_categorical_crossentropy")
    first.fit(x[low], labels[low], batch_size=64, epochs=epochs, verbose=0)

    base.trainable = False  # before compile: from there on it counts
    inputs = keras.Input((8, 8, 1))
    h = keras.layers.Dropout(0.2)(base(inputs, training=False))
    second = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(h))
    second.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = second.fit(
        x[~low], labels[~low] - 5, batch_size=64, epochs=epochs, verbose=0
    )
    return second, history


if __name__ == "__main__":
    import minikeras
    from minikeras.datasets import digits

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    model, history = train(minikeras, x_train, y_train)
    high = y_test >= 5
    x, y = x_test[high][..., None] / 16, y_test[high] - 5
    loss, accuracy = model.evaluate(x, y, verbose=0)
    trained = sum(w.size for w in model.trainable_weights)
    print(f"accuracy on 5 to 9 with {trained} trained weights: {accuracy:.1%}")
