"""MNIST, from Keras's cached file. Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0."""

from __future__ import annotations

from minikeras.datasets.cached import Arrays, load_npz

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"


def load_data(path: str = "mnist.npz") -> Arrays:
    """60,000 and 10,000 images of digits, uint8 (N, 28, 28), labels uint8 (N,).

    Args:
        path: the npz file, or its name in `~/.keras/datasets`.

    Raises:
        FileNotFoundError: if it is not there. Nothing is downloaded.
    """
    return load_npz(path, _ORIGIN)
