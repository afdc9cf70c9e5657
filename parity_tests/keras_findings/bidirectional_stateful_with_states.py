"""A stateful Bidirectional that returns its states cannot be called with a mask.

`Bidirectional.compute_mask` makes one None per state, for both directions, in round
brackets. They make a generator, not a tuple, and a generator cannot be multiplied by 2:
TypeError. Without `stateful` there are no states and the line is not reached.
Seen with Keras 3.15.1 (keras/src/layers/rnn/bidirectional.py, `compute_mask`).

minikeras gives the outputs and the states, none of which has a mask.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _shapes(library: Any) -> np.ndarray:
    """The shapes of the output and the two states, or the error, in words."""
    layers = library.layers
    layer = layers.Bidirectional(layers.GRU(2, stateful=True, return_state=True))
    mask = np.array([[True, True, False]])
    try:
        outputs = layer(np.ones((1, 3, 2), "float32"), mask=mask)
    except TypeError:
        return np.array("TypeError")
    return np.array(str([tuple(y.shape) for y in outputs]))


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _shapes(keras), np.array("[(1, 4), (1, 2), (1, 2)]")


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _shapes(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
