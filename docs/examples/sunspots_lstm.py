"""An LSTM that forecasts next year's sunspots from the last twenty years."""

from __future__ import annotations

from typing import Any

import numpy as np


def train(
    keras: Any, windows: np.ndarray, targets: np.ndarray, epochs: int = 40
) -> Any:
    """Returns (model, history). Windows are (N, 20, 1), targets (N, 1), in sunspots."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((windows.shape[1], 1))
    x = keras.layers.LSTM(32)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), "mse", metrics=["mae"])
    history = model.fit(
        windows / 100, targets / 100, batch_size=32, epochs=epochs, verbose=0
    )
    return model, history


if __name__ == "__main__":
    import minikeras
    from minikeras.datasets import sunspots

    (x_train, y_train), (x_test, y_test) = sunspots.load_data()
    model, history = train(minikeras, x_train, y_train)
    forecast = 100 * model.predict(x_test / 100, verbose=0)
    error = np.sqrt(np.mean((forecast - y_test) ** 2))
    same = np.sqrt(np.mean((x_test[:, -1] - y_test) ** 2))
    print(f"root mean square error: {error:.1f}; 'as many as last year': {same:.1f}")
