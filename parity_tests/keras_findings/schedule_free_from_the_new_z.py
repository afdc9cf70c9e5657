"""ScheduleFreeAdamW recovers its average from the wrong z, on TensorFlow.

The variable is y = (1 - beta_1) z + beta_1 x, and x, the average, is computed back from
the old y and the old z. `update_step` stores `momentum.value` before it changes z; on
TensorFlow that is the variable itself, not its value, so what is read later is the new
z. From the second step on the weights differ from those of the paper, and from those of
Keras on other backends.
Seen with Keras 3.15.1 on TensorFlow 2.21 (keras/src/optimizers/schedule_free_adamw.py).

minikeras does the same, since models are trained with it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

COPIED = True
RATE, BETA_1, BETA_2 = 0.5, 0.5, 0.5
GRADIENTS = (1.0, -1.0)


def _trained(library: Any) -> np.ndarray:
    """One weight, from 1, after two steps; 4 digits."""
    optimizer = library.optimizers.ScheduleFreeAdamW(RATE, BETA_1, BETA_2)
    w = library.Variable(np.ones(1), dtype="float64")
    for gradient in GRADIENTS:
        optimizer.apply([np.full(1, gradient)], [w])
    return np.array(w.numpy()).round(4)


def reproduce(keras: Any) -> tuple[np.ndarray, np.ndarray]:
    """(received, expected): Keras's, and the paper's algorithm 1."""
    z = x = y = 1.0
    velocity = 0.0
    for step, gradient in enumerate(GRADIENTS, 1):
        velocity = BETA_2 * velocity + (1 - BETA_2) * gradient**2
        z -= RATE * gradient / np.sqrt(velocity / (1 - BETA_2**step))
        x += (z - x) / step
        y = (1 - BETA_1) * z + BETA_1 * x
    return _trained(keras), np.array([y]).round(4)


def ours(minikeras: Any) -> np.ndarray:
    """The same from minikeras."""
    return _trained(minikeras)


if __name__ == "__main__":
    from parity_tests.keras_findings import show

    show(sys.modules[__name__])
