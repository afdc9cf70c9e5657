"""The symbolic shape of an EinsumDense whose "..." stands for several axes is wrong.

`EinsumDense("...x,xy->...y", 6)` of an array (2, 3, 4, 5) gives (2, 3, 4, 6); its
`compute_output_shape` says (2, 4, 3, 6). Each elided axis is inserted after the
first axis of the shape, so they stand in the opposite order. In a model the next layer
is built with that shape.
Seen with Keras 3.15.1 (keras/src/layers/core/einsum_dense.py).

minikeras gives the shape of the result.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _shape(library: Any) -> np.ndarray:
    """What `compute_output_shape` says."""
    layer = library.layers.EinsumDense("...x,xy->...y", 6)
    return np.array(layer.compute_output_shape((2, 3, 4, 5)))


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected): Keras's shape, and that of Keras's result."""
    layer = keras.layers.EinsumDense("...x,xy->...y", 6)
    result = layer(np.zeros((2, 3, 4, 5), "float32"))
    return _shape(keras), np.array(tuple(result.shape))


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _shape(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
