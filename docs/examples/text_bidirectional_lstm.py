"""A Bidirectional LSTM that tells praise from complaint, in made-up reviews."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

THINGS = "the film,the plot,this book,the food,the service,the music".split(",")
GOOD = "wonderful,clever,moving,warm,a delight".split(",")
BAD = "dull,cold,a mess,far too long,a disappointment".split(",")
WORDS = sorted({w for text in [*THINGS, *GOOD, *BAD] for w in text.split()})
VOCABULARY = ["", "was", "not", "and", "really", *WORDS]  # 0 is padding


def reviews(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(word numbers, (N, 12); 1 for praise, (N, 1)). "not" turns the meaning."""
    rng = random.Random(seed)
    x, y = np.zeros((count, 12), "int32"), np.zeros((count, 1), "float32")
    for i in range(count):
        praise, turned = rng.random() < 0.5, rng.random() < 0.3
        word = rng.choice(GOOD if praise != turned else BAD)
        middle = ["not"] if turned else rng.choice([[], ["really"]])
        text = f"{rng.choice(THINGS)} and {rng.choice(THINGS)} was".split()
        words = [*text, *middle, *word.split()]
        x[i, : len(words)] = [VOCABULARY.index(w) for w in words]
        y[i] = praise
    return x, y


def train(keras: Any, count: int = 800, epochs: int = 10) -> Any:
    """Returns (model, history)."""
    keras.utils.set_random_seed(2)
    x, y = reviews(count)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(len(VOCABULARY), 16, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(16, return_sequences=True)),
            keras.layers.Bidirectional(keras.layers.LSTM(16)),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


if __name__ == "__main__":
    import minikeras

    model, history = train(minikeras)
    loss, accuracy = model.evaluate(*reviews(200, seed=1), verbose=0)
    print(f"accuracy on 200 new reviews: {accuracy:.1%}")
