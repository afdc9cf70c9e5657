"""Fashion-MNIST, from Keras's cached files. H. Xiao, K. Rasul, R. Vollgraf; MIT."""

from __future__ import annotations

import gzip

import numpy as np

from minikeras.datasets.cached import Arrays, find_file

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 60_000),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 10_000),
}


def load_data() -> Arrays:
    """60,000 and 10,000 images of clothes, uint8 (N, 28, 28), labels uint8 (N,).

    Raises:
        FileNotFoundError: if a file is not in `~/.keras/datasets/fashion-mnist`.
            Nothing is downloaded.
    """
    return _part("train"), _part("test")


def _part(which: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels, count = _FILES[which]
    pixels = _read(images, 16, count * 784).reshape(count, 28, 28)
    return pixels, _read(labels, 8, count)


def _read(name: str, header: int, size: int) -> np.ndarray:
    """The bytes after the header of an IDX file, no more than `size` of them."""
    file = find_file(f"fashion-mnist/{name}", _ORIGIN + name)
    try:
        with gzip.open(file, "rb") as stream:
            data = stream.read(header + size + 1)
    except (OSError, EOFError) as error:
        raise ValueError(f"'{file}' is not a gzip file: {error}") from error
    if len(data) != header + size:
        raise ValueError(
            f"'{file}' should hold {header + size:,} bytes. Received: {len(data):,}"
        )
    return np.frombuffer(data, "uint8", offset=header)
