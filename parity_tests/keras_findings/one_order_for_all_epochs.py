"""With a seed set, `fit` shuffles every epoch into the same order.

`fit(shuffle=True)` on arrays shuffles the indices with `tf.random.shuffle` in a dataset
that is iterated once per epoch. After `set_random_seed` that operation starts its
random stream again with every iterator, so all epochs (and all later calls of `fit`)
see the batches in one order; without a seed the epochs differ. Seen with Keras 3.15.1
on TensorFlow 2.21.

minikeras copies it: the histories of seeded runs are compared number by number.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = True


def _orders(library: Any) -> np.ndarray:
    """The orders of five examples in two epochs: (2, 5).

    Example i is i, the single weight starts at 0, and the loss of a step tells which
    example it was: (w - 10**i)**2 with a learning rate of 0.
    """
    seen: list[float] = []

    class Note(library.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(float(logs["loss"]))

    library.utils.set_random_seed(3)
    layer = library.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = library.Sequential([library.layers.Input((1,)), layer])
    model.compile(library.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x, y = np.ones((5, 1), "float32"), np.arange(5, dtype="float32")[:, None]
    model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=[Note()])
    # The logs hold the running mean of the epoch: undo it, then the square.
    means = np.array(seen).reshape(2, 5)
    sums = means * np.arange(1, 6)
    losses = np.diff(sums, axis=1, prepend=0.0)
    return np.round(np.sqrt(np.abs(losses))).astype(int)


def reproduce(keras: Any) -> tuple[np.ndarray, str]:
    """(received, expected)."""
    return _orders(keras), "two different rows"


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _orders(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
