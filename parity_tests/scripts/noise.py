"""A model with every layer of dropout and noise; and each of them by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(4)
    layers = keras.layers
    x = np.random.normal(size=(72, 8, 8, 3))  # noqa: NPY002
    y = x.mean(axis=(1, 2)) @ np.array([[1.0], [-2.0], [0.5]])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.GaussianNoise(0.1),
            layers.Conv2D(6, 3, activation="tanh"),
            layers.SpatialDropout2D(0.2),
            layers.Reshape((36, 6)),
            layers.Conv1D(5, 4, strides=2, activation="tanh"),
            layers.SpatialDropout1D(0.3),
            layers.Reshape((17, 1, 1, 5)),
            layers.SpatialDropout3D(0.1),
            layers.Flatten(),
            layers.GaussianDropout(0.15),
            layers.Dense(16, activation="selu", kernel_initializer="lecun_normal"),
            layers.AlphaDropout(0.1),
            layers.Dense(8, activation="tanh"),
            layers.Dropout(0.2, noise_shape=(None, 8)),
            layers.Dropout(0.0),
            layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.02), "mse")
    result = run(model, x, y, batch_size=20, epochs=5)
    result["exact"] = {
        layer.name: [np.asarray(layer(_input(layer), training=True)) for _ in range(2)]
        for layer in model.layers
        if "drop" in layer.name or "noise" in layer.name
    }
    return result


def _input(layer: Any) -> np.ndarray:
    """Small whole numbers, that scaling and rounding treat alike anywhere."""
    shape = (2, *layer.output.shape[1:])
    return np.arange(np.prod(shape)).reshape(shape).astype(layer.compute_dtype) % 7
