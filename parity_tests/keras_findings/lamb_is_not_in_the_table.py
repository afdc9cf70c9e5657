"""`optimizers.deserialize` of a Lamb returns the string "Lamb".

The table of optimizers that `deserialize` looks in lacks it. What `serialize` wrote
for a Lamb becomes its class name, and a compiled model that was saved with one cannot
be trained on after loading.
Seen with Keras 3.15.1 (keras/src/optimizers/__init__.py, ALL_OBJECTS).

minikeras makes the optimizer again.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = False


def _is_optimizer(library: Any) -> np.ndarray:
    """Whether a Lamb survives `serialize` and `deserialize`."""
    written = library.optimizers.serialize(library.optimizers.Lamb())
    again = library.optimizers.deserialize(written)
    return np.array(isinstance(again, library.optimizers.Lamb))


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected)."""
    return _is_optimizer(keras), np.array(True)


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _is_optimizer(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
