"""A perceptron with two hidden layers, three classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(1)
    x = np.random.normal(size=(300, 20))  # noqa: NPY002
    y = np.argmax(x[:, :3] + x[:, 3:6] ** 2, axis=1)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(32, activation="tanh", kernel_initializer="he_normal"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    result = run(model, x[:250], y[:250], epochs=20, validation_data=(x[250:], y[250:]))
    result["predictions"] = model.predict(x[:40], verbose=0)
    return result
