"""A transformer block that tells praise from complaint, in made-up reviews."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from text_bidirectional_lstm import VOCABULARY, reviews

WIDTH, HEADS, LENGTH = 16, 2, 12


def transformer_block(keras: Any, x: Any) -> Any:
    """Attention and a small network, each added to what it got, then normalized."""
    heads = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, use_bias=False)
    attention = heads(x, x)
    attention = keras.layers.Dropout(0.1)(attention)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x + attention)
    hidden = keras.layers.Dense(2 * WIDTH, activation="relu")(x)
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(WIDTH)(hidden))
    return keras.layers.LayerNormalization(epsilon=1e-6)(x + hidden)


def train(keras: Any, count: int = 800, epochs: int = 8) -> Any:
    """Returns (model, history)."""
    keras.utils.set_random_seed(5)
    x, y = reviews(count)
    places = np.broadcast_to(np.arange(LENGTH, dtype="int32"), x.shape).copy()
    words = keras.Input((LENGTH,), dtype="int32", name="words")
    where = keras.Input((LENGTH,), dtype="int32", name="places")
    h = keras.layers.Embedding(len(VOCABULARY), WIDTH)(words)
    h = h + keras.layers.Embedding(LENGTH, WIDTH)(where)
    h = transformer_block(keras, h)
    h = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling1D()(h))
    outputs = keras.layers.Dense(1, activation="sigmoid")(h)
    model = keras.Model([words, where], outputs)
    rate = keras.optimizers.Adam(0.003)
    model.compile(rate, "binary_crossentropy", metrics=["accuracy"])
    history = model.fit([x, places], y, batch_size=32, epochs=epochs, verbose=0)
    return model, history


if __name__ == "__main__":
    import minikeras

    model, history = train(minikeras)
    x, y = reviews(200, seed=1)
    places = np.broadcast_to(np.arange(LENGTH), x.shape)
    loss, accuracy = model.evaluate([x, places], y, verbose=0)
    print(f"accuracy on 200 new reviews: {accuracy:.1%}")
