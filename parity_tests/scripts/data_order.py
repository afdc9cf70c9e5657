"""In which order `fit` sees the examples: arrays, inside batches, and a PyDataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run


def main(keras: Any, shuffle_seed: int = 5) -> dict[str, Any]:
    keras.utils.set_random_seed(5)
    x = np.random.normal(size=(110, 6))  # noqa: NPY002
    y = np.sin(x.sum(axis=1, keepdims=True))
    weights = np.random.random(110)  # noqa: NPY002
    results = {}

    def train(name: str, *args: Any, **kwargs: Any) -> None:
        # The layers have seeds of their own: the order alone depends on the seed. The
        # dropout makes places in a batch matter.
        dense = keras.layers.Dense
        model = keras.Sequential(
            [
                keras.Input((6,)),
                dense(16, "relu", kernel_initializer=keras.initializers.HeNormal(1)),
                keras.layers.Dropout(0.2, seed=3),
                dense(1, kernel_initializer=keras.initializers.GlorotNormal(2)),
            ]
        )
        model.compile("adam", "mse", metrics=["mae"])
        keras.utils.set_random_seed(shuffle_seed)
        results[name] = run(model, *args, epochs=4, **kwargs)

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            rows = slice(22 * index, 22 * index + 22)
            return x[rows], y[rows]

    train("split", x, y, validation_split=0.25, sample_weight=weights)
    train("batch", x, y, shuffle="batch", batch_size=16)
    train("kept", x, y, shuffle=False, batch_size=50)
    train("steps", x, y, batch_size=10, steps_per_epoch=7)
    train("dataset", Batches())
    train("dataset, kept", Batches(), shuffle=False)
    return results
