"""Words of unequal length: Embedding, and LSTMs with both kinds of dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(3)
    words = np.random.randint(1, 30, size=(90, 12))  # noqa: NPY002
    lengths = np.random.randint(3, 13, size=(90, 1))  # noqa: NPY002
    words[np.arange(12) >= lengths] = 0
    y = (words == 7).any(axis=1).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            keras.layers.Embedding(30, 16, mask_zero=True),
            keras.layers.LSTM(
                12, dropout=0.2, recurrent_dropout=0.3, return_sequences=True
            ),
            keras.layers.LSTM(10, dropout=0.4, return_sequences=True),
            keras.layers.LSTM(8, recurrent_dropout=0.25),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return run(model, words, y, batch_size=30, epochs=6)
