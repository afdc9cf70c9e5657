"""A channels_first convolution adds its bias along the width, in some sizes.

`BaseConv.call` reshapes the bias to (1, filters, 1, 1) and adds it with `ops.add`. That
has the slip of `column_added_as_a_row.py`: on TensorFlow it squeezes the bias and calls
`tf.nn.bias_add` along the last axis whenever that has `filters` elements, so the bias
goes along the width. Outputs and gradients are wrong, silently, in just these sizes.
Seen with Keras 3.15.1 on TensorFlow 2.21, on a CPU; other backends add along the
channels.

minikeras adds along the channels: nobody can want the other.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _bias_alone(library: Any) -> np.ndarray:
    """The output for zeros, that is the bias; 3 filters, height 1, width 3."""
    layer = library.layers.Conv2D(
        3, 1, data_format="channels_first", kernel_initializer="zeros"
    )
    x = np.zeros((1, 2, 1, 3), "float32")
    layer.build(x.shape)
    kernel, _ = layer.get_weights()
    layer.set_weights([kernel, np.array([10.0, 20.0, 30.0], "float32")])
    return np.array(layer(x))[0, :, 0]  # (1, 3, 1, 3) -> (channels, width)


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected), each (channels, width)."""
    expected = np.repeat(np.array([[10.0], [20.0], [30.0]], "float32"), 3, axis=1)
    return _bias_alone(keras), expected


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _bias_alone(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
