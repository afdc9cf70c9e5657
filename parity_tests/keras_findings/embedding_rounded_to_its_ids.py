"""SpectralNormalization of an Embedding returns integers: zeros, as a rule.

The wrapper casts the output to the dtype of the inputs. Those of an Embedding are ids,
so its vectors, of numbers below 1, become 0.
Seen with Keras 3.15.1 (keras/src/layers/normalization/spectral_normalization.py).

minikeras returns the vectors.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _vector(library: Any) -> np.ndarray:
    """The vector of id 1, of an Embedding full of 0.5."""
    layers = library.layers
    embedding = layers.Embedding(
        2, 3, embeddings_initializer=library.initializers.Constant(0.5)
    )
    return np.array(layers.SpectralNormalization(embedding)(np.array([[1]]))[0, 0])


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _vector(keras), np.full(3, 0.5, "float32")


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _vector(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
