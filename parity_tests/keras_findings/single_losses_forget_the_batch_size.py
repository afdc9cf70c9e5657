"""The losses of single outputs are averaged as if all batches were equally large.

With several outputs, `fit` reports `a_loss`, `b_loss` beside `loss`. Their means over
an epoch are weighted with `y_pred.shape[0]`, which inside the compiled step is None:
every batch counts the same, also the smaller last one. With `run_eagerly=True` the size
is known and the very same run reports other numbers; `loss` itself is right in both.
Seen with Keras 3.15.1 on TensorFlow 2.21 (keras/src/trainers/compile_utils.py).

minikeras copies it, compiled or eager as `run_eagerly` says: histories are compared.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = True


def _single_loss(library: Any, eager: bool) -> np.ndarray:
    """The epoch's `a_loss` for batches of 2 and 1, whose losses are 0, 0 and 9."""
    x = library.layers.Input((1,))
    outputs = [
        library.layers.Dense(1, kernel_initializer="ones", name=name)(x)
        for name in ("a", "b")
    ]
    model = library.Model(x, outputs)
    model.compile(library.optimizers.SGD(0.0), ["mse", "mse"], run_eagerly=eager)
    data = np.array([[0.0], [0.0], [3.0]], "float32")
    zeros = np.zeros((3, 1), "float32")
    fitted = model.fit(data, [zeros, zeros], batch_size=2, shuffle=False, verbose=0)
    return np.array(fitted.history["a_loss"])


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected): compiled, and eager, the mean over the examples."""
    return _single_loss(keras, eager=False), _single_loss(keras, eager=True)


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _single_loss(minikeras, eager=False)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
