"""An autoencoder with a transposed convolution that cleans noisy digits."""

from __future__ import annotations

from typing import Any

import numpy as np


def noisy(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Images with four of ten dots changed."""
    rng = np.random.RandomState(seed)
    wrong = rng.random_sample(images.shape) < 0.4
    return np.where(wrong, rng.random_sample(images.shape), images).astype("float32")


def train(keras: Any, images: np.ndarray, epochs: int = 30) -> Any:
    """Returns (model, history). Images are (N, 8, 8), from 0 to 16."""
    keras.utils.set_random_seed(6)
    clean = images[..., None].astype("float32") / 16
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(24, 3, padding="same", activation="relu"),
            keras.layers.Conv2DTranspose(
                16, 4, strides=2, padding="same", activation="relu"
            ),
            keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["mae"])
    history = model.fit(noisy(clean), clean, batch_size=64, epochs=epochs, verbose=0)
    return model, history


if __name__ == "__main__":
    import minikeras
    from minikeras.datasets import digits

    (x_train, _), (x_test, _) = digits.load_data()
    model, history = train(minikeras, x_train)
    clean = x_test[..., None] / 16
    dirty = noisy(clean, seed=1)
    cleaned = model.predict(dirty, verbose=0)
    before, after = (np.abs(x - clean).mean() for x in (dirty, cleaned))
    print(f"mean error of a dot: {before:.3f} with noise, {after:.3f} cleaned")
