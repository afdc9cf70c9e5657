"""RMSNormalization(axis=1) multiplies by its scale along the last axis.

`build` makes a scale with one number per position of `axis`; `call` multiplies the
normalized input by it as it is, and broadcasting puts it along the last axis (axes). If
the sizes differ that is an error; if they are equal the output is silently wrong, and
so are the gradients. Axes at the end, such as the default, are right.
LayerNormalization reshapes its gamma first. Seen with Keras 3.15.1 on TensorFlow 2.21.

minikeras scales along `axis`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _scaled(library: Any) -> np.ndarray:
    """Numbers of root mean square 1 along axis 1, which is scaled by 10 and 20."""
    layer = library.layers.RMSNormalization(axis=1, epsilon=0.0)
    x = np.ones((1, 2, 2), "float32")
    layer.build(x.shape)
    layer.set_weights([np.array([10.0, 20.0], "float32")])
    return np.array(layer(x))[0]


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _scaled(keras), np.array([[10.0, 10.0], [20.0, 20.0]], "float32")


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _scaled(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
