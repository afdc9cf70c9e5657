"""A sequence-to-sequence model that learns to add: "12+7" -> "19"."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

CHARACTERS = "0123456789+ "
DIGITS = 2
QUESTION, ANSWER = 2 * DIGITS + 1, DIGITS + 1  # how many characters they have


def encode(text: str, length: int) -> np.ndarray:
    """One-hot rows, (length, 12), filled up with blanks."""
    rows = np.zeros((length, len(CHARACTERS)), "float32")
    for row, character in zip(rows, text.ljust(length), strict=True):
        row[CHARACTERS.index(character)] = 1
    return rows


def decode(rows: np.ndarray) -> str:
    """The most likely character of each row."""
    return "".join(CHARACTERS[i] for i in rows.argmax(axis=-1)).strip()


def sums(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(questions, (N, 5, 12); answers, (N, 3, 12)). Questions are read backwards."""
    rng = random.Random(seed)
    x, y = [], []
    for _ in range(count):
        a, b = (rng.randrange(10**DIGITS) for _ in range(2))
        x.append(encode(f"{a}+{b}".ljust(QUESTION)[::-1], QUESTION))
        y.append(encode(str(a + b), ANSWER))
    return np.stack(x), np.stack(y)


def train(keras: Any, count: int = 5000, epochs: int = 30) -> Any:
    """Returns (model, history)."""
    keras.utils.set_random_seed(4)
    x, y = sums(count)
    model = keras.Sequential(
        [
            keras.Input((QUESTION, len(CHARACTERS))),
            keras.layers.LSTM(64),
            keras.layers.RepeatVector(ANSWER),
            keras.layers.LSTM(64, return_sequences=True),
            keras.layers.TimeDistributed(
                keras.layers.Dense(len(CHARACTERS), activation="softmax")
            ),
        ]
    )
    rate = keras.optimizers.Adam(0.005)
    model.compile(rate, "categorical_crossentropy", metrics=["accuracy"])
    return model, model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)


if __name__ == "__main__":
    import minikeras

    model, history = train(minikeras)
    x, y = sums(8, seed=1)
    for question, right, answer in zip(x, y, model.predict(x, verbose=0), strict=True):
        text = decode(question)[::-1]
        print(f"{text} = {decode(answer)}, right is {decode(right)}")
