"""Keras's downloadable datasets, read from Keras's own cache if they are there.

minikeras never uses the network. `keras.datasets.mnist.load_data()` (run once, with
Keras) or a download by hand puts the file in place.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def find_file(path: str, origin: str) -> Path:
    """The file at `path`, or of that name in Keras's cache.

    Raises:
        FileNotFoundError: saying where the file may be put and where it comes from.
    """
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    candidates = [Path(path).expanduser(), home / "datasets" / path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " or ".join(f"'{c}'" for c in dict.fromkeys(candidates))
    raise FileNotFoundError(
        f"There is no file '{path}', and minikeras downloads nothing. Put the file at "
        f"{places}. It comes from {origin}; Keras puts it there when its own "
        "`load_data()` runs once. Without any file: `minikeras.datasets.digits`."
    )


def load_npz(path: str, origin: str) -> Arrays:
    """The four arrays of a Keras dataset file, without unpickling anything."""
    file = find_file(path, origin)
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(file, allow_pickle=False) as data:
            x_train, y_train, x_test, y_test = (data[name] for name in names)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"'{file}' is not an npz file with the arrays {names}: {error}"
        ) from error
    return (x_train, y_train), (x_test, y_test)
