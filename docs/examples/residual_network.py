"""A small residual network with BatchNormalization that reads handwritten digits."""

from __future__ import annotations

from typing import Any

import numpy as np


def block(keras: Any, x: Any, filters: int, strides: int = 1) -> Any:
    """Two convolutions, added to what went in."""
    layers = keras.layers

    def normalized(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9)(x)

    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, strides=strides, use_bias=False)(x)
    options = {"padding": "same", "use_bias": False}
    x = layers.Conv2D(filters, 3, strides=strides, **options)(x)
    x = layers.ReLU()(normalized(x))
    x = normalized(layers.Conv2D(filters, 3, **options)(x))
    return layers.ReLU()(layers.Add()([x, shortcut]))


def train(keras: Any, images: np.ndarray, labels: np.ndarray, epochs: int = 8) -> Any:
    """Returns (model, history). Images are (N, 8, 8), from 0 to 16."""
    keras.utils.set_random_seed(8)
    inputs = keras.Input((8, 8, 1))
    x = block(keras, inputs, 8)
    x = block(keras, x, 16, strides=2)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    rate = keras.optimizers.schedules.CosineDecay(0.1, 180)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    x = images[..., None].astype("float32") / 16
    return model, model.fit(x, labels, batch_size=64, epochs=epochs, verbose=0)


if __name__ == "__main__":
    import minikeras
    from minikeras.datasets import digits

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    model, history = train(minikeras, x_train, y_train)
    loss, accuracy = model.evaluate(x_test[..., None] / 16, y_test, verbose=0)
    print(f"accuracy on {len(x_test)} new digits: {accuracy:.1%}")
