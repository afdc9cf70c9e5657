"""Python floats lose their digits on the way into float64 computations.

On TensorFlow, `ops.cast(0.1, "float64")` makes a float32 tensor of the Python float and
widens that: 0.10000000149011612. Whatever reaches a float64 layer or optimizer this way
has float32 precision: the bounds of uniform initializers, Adam's powers of beta, SGD's
momentum, weight decay. Ten steps of Adam on a small CNN come out 2e-4 away from what
the same constants give in float64. Seen with Keras 3.15.1 on TensorFlow 2.21.

minikeras copies it (`minikeras/casting.py`), or no float64 run would agree with Keras.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = True


def _largest_uniform_value(library: Any) -> np.ndarray:
    """How far a float64 uniform initializer reaches, for equal bounds: the bound."""
    initializer = library.initializers.RandomUniform(0.1, 0.1, seed=1)
    return np.array(initializer((1,), dtype="float64"))


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _largest_uniform_value(keras), np.array([0.1])


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _largest_uniform_value(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
