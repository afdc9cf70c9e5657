"""In max pooling of volumes what is nearly the maximum gets its gradient, too.

TensorFlow's gradient of `max_pool3d` asks whether an element differs from the maximum
by less than 1e-5, whatever the size of the values, and gives dy to each that does not
differ by more: the sum of dx is then larger than that of dy. Activations below 1e-5 all
win. In one and two dimensions the first of the truly equal elements wins alone.
Seen with Keras 3.15.1 on TensorFlow 2.21, on a CPU.

minikeras gives dy to each of the elements that are equal to the maximum, and to no
other.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False
# Far apart, as numbers of this size go: the second is twice the first.
X = np.array([1e-6, 2e-6], "float32").reshape(1, 1, 1, 2, 1)


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected): the gradient of the two elements."""
    from parity_tests.oracle import run_layer

    layer = keras.layers.MaxPooling3D((1, 1, 2))
    dx = run_layer(layer, X, dy=np.ones_like).dx
    return dx.ravel(), np.array([0, 1], "float32")


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    layer = minikeras.layers.MaxPooling3D((1, 1, 2))
    y, residuals = layer.forward(X)
    return layer.backward(np.ones_like(y), residuals, None).ravel()


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
