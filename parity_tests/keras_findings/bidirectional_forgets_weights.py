"""`Bidirectional(layer, weights=...)` has no effect.

The argument is cut into halves, kept as `initial_weights` of the two layers, and never
read: the layer begins with the weights that its initializers draw, without a word.
Seen with Keras 3.15.1 (keras/src/layers/rnn/bidirectional.py, `__init__`).

minikeras forgets them too, so that a script gives the same, but warns of it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

COPIED = True


def _bias(library: Any) -> np.ndarray:
    """The forward bias of a layer that was given weights of nothing but ones."""
    layers = library.layers
    given = [np.ones(shape) for shape in ((1, 1), (1, 1), (1,))] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        layer = layers.Bidirectional(layers.SimpleRNN(1), weights=given)
    layer.build((None, None, 1))
    return np.array(layer.get_weights()[2])


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _bias(keras), np.ones(1, "float32")


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _bias(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
