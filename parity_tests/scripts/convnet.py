"""A convolutional network with dropout, as in every introduction."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run


def main(keras: Any, dropout_seed: int = 7) -> dict[str, Any]:
    keras.utils.set_random_seed(2)
    y = np.random.randint(0, 4, size=(120,))  # noqa: NPY002
    x = np.random.random((120, 12, 12, 1))  # noqa: NPY002
    for image, label in zip(x, y, strict=True):  # a bright quarter
        image[6 * (label // 2) :, 6 * (label % 2) :][:6, :6] += 0.5
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Dropout(0.25, seed=dropout_seed),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(24, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.005),
        keras.losses.CategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    return run(model, x, keras.utils.to_categorical(y, 4), batch_size=16, epochs=8)
