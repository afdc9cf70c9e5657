"""A column added to a square matrix is added as a row.

`ops.add(x, c)` with x of shape (3, 3) and c of shape (3, 1) must broadcast c over the
columns. On TensorFlow, `add` takes any second operand with a single axis above 1 for a
bias when that size equals the last axis of the first, squeezes it and calls
`tf.nn.bias_add`: c goes along the rows. With x of shape (3, 4) the same call is right.
`Input + Input`, `layers.Add` and `Model.predict` are wrong in the same way, silently,
when the batch is as large as the number of features. Seen with Keras 3.15.1 on
TensorFlow 2.21 (keras/src/backend/tensorflow/numpy.py, `add`).

minikeras broadcasts as NumPy does: nobody can want the other.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _sum(library: Any) -> np.ndarray:
    """Zeros and a column, added by a model of two inputs."""
    a, b = library.layers.Input((3,)), library.layers.Input((1,))
    model = library.Model([a, b], a + b)
    column = np.array([[10.0], [20.0], [30.0]], "float32")
    return np.array(model.predict([np.zeros((3, 3), "float32"), column], verbose=0))


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    column = np.array([[10.0], [20.0], [30.0]], "float32")
    return _sum(keras), np.repeat(column, 3, axis=1)


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _sum(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
