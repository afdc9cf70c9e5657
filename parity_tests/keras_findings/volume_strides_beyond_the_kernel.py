"""A float64 Conv3D with padding "same" is wrong where a stride exceeds the kernel.

Then no padding is needed, and the windows start at 0, s, 2s, ... TensorFlow's float64
`Conv3D` on CPU computes a negative padding in that case and starts elsewhere. float32
(another implementation) is right, and so are one and two dimensions. Conv3DTranspose
has it too, in the gradient of its input, which is a convolution. Seen with Keras 3.15.1
on TensorFlow 2.21.

minikeras starts at 0 in every dtype.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _every_third(library: Any) -> np.ndarray:
    """A kernel of one voxel that is 1, and a stride of 3: x[0], x[3], x[6]."""
    layer = library.layers.Conv3D(
        1,
        1,
        strides=(1, 3, 1),
        padding="same",
        kernel_initializer="ones",
        dtype="float64",
    )
    x = np.arange(9.0).reshape(1, 1, 9, 1, 1)
    return np.array(layer(x)).ravel()


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _every_third(keras), np.array([0.0, 3.0, 6.0])


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _every_third(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
