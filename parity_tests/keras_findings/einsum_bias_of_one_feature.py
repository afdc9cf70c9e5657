"""An EinsumDense of one feature per head adds its bias along the time, in some sizes.

The slip of `column_added_as_a_row.py` in one more place: a bias of shape (heads, 1) has
a single axis above 1, and `ops.add` takes it for a bias of channels when that size is
the one of axis 1 or of the last axis of the output. With as many time steps as heads
`tf.nn.bias_add` adds it along axis 1: the bias of a head goes to a time step.
MultiHeadAttention with `key_dim=1` is made of this layer.
Seen with Keras 3.15.1 on TensorFlow 2.21, on a CPU.

minikeras adds the bias of a head to that head.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _bias_alone(library: Any) -> np.ndarray:
    """The output for zeros, that is the bias: 3 steps, 3 heads of one feature."""
    layer = library.layers.EinsumDense(
        "abc,cde->abde", (None, 3, 1), bias_axes="de", kernel_initializer="zeros"
    )
    x = np.zeros((1, 3, 4), "float32")
    layer.build(x.shape)
    kernel, _ = layer.get_weights()
    layer.set_weights([kernel, np.array([[10.0], [20.0], [30.0]], "float32")])
    return np.array(layer(x))[0, :, :, 0]  # (1, 3, 3, 1) -> (steps, heads)


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected), each (steps, heads)."""
    expected = np.repeat(np.array([[10.0, 20.0, 30.0]], "float32"), 3, axis=0)
    return _bias_alone(keras), expected


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _bias_alone(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
