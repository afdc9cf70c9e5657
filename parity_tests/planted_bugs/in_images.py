"""Slips in layers that move, window and pool axes."""

from __future__ import annotations

import numpy as np

from parity_tests.planted_bugs.planting import (
    Specimen,
    input_gradient,
    only,
    outputs,
    plant,
    weight_gradients,
)
from parity_tests.strategies import Values

# --- Shapes ---------------------------------------------------------------------------

PERMUTE = Specimen("Permute", {"dims": (2, 3, 1)}, Values((2, 3, 3, 3), seed=3))

plant(
    "permutation undone by itself, not its inverse",
    PERMUTE,
    "permute: dx",
    backward=lambda self, original, dy, residuals, grads: dy.transpose(0, 2, 3, 1),
)
plant(
    "permutation undone by reshape",
    PERMUTE,
    "permute: dx",
    backward=lambda self, original, dy, residuals, grads: dy.reshape(2, 3, 3, 3),
)
plant(
    "flattened in column order",
    Specimen("Flatten", {}, Values((2, 3, 3), seed=3)),
    "flatten: y",
    forward=outputs(lambda self, y: y.reshape(2, 3, 3).swapaxes(1, 2).reshape(y.shape)),
)

# --- Convolution and pooling ----------------------------------------------------------

CONV = Specimen(
    "Conv2D",
    {"filters": 2, "kernel_size": 3, "padding": "same"},
    Values((2, 4, 4, 2), seed=4),
)


def _shift(x: np.ndarray, by: int) -> np.ndarray:
    """Moves an image along H, with zeros coming in."""
    moved = np.roll(x, by, axis=1)
    moved[:, 0 if by > 0 else -1] = 0
    return moved


def _shifted_backward(self, original, dy, residuals, grads, **options):
    dx = original(dy, residuals, grads, **options)
    return None if dx is None else _shift(dx, -1)


plant(
    "padding off by one",
    CONV,
    "conv2d: y",
    forward=lambda self, original, x, **kwargs: original(_shift(x, 1), **kwargs),
    backward=_shifted_backward,
)
plant(
    "kernel gradient with H and W swapped",
    CONV,
    "d conv2d/kernel",
    backward=weight_gradients(only("kernel", lambda g: g.swapaxes(0, 1))),
)
plant(
    "kernel gradient not flipped",
    CONV,
    "d conv2d/kernel",
    backward=weight_gradients(only("kernel", lambda g: g[::-1, ::-1])),
)
plant(
    "image gradient with H and W swapped",
    CONV,
    "conv2d: dx",
    backward=input_gradient(lambda dx: dx.swapaxes(1, 2)),
)
plant(
    "channels of the kernel gradient swapped",
    CONV,
    "d conv2d/kernel",
    backward=weight_gradients(only("kernel", lambda g: g.swapaxes(2, 3))),
)

POOL = Specimen("MaxPooling2D", {"pool_size": 2}, Values((2, 4, 4, 1), seed=5))

plant(
    "max pooling: H and W swapped on the way back",
    POOL,
    "max_pooling2d: dx",
    backward=input_gradient(lambda dx: dx.swapaxes(1, 2)),
)


def _all_ties(self, original, dy, residuals, grads, **options):
    x = _POOL_TIES.inputs("float64")
    up = np.ones((1, 2, 2, 1))
    best = x.reshape(2, 2, 2, 2, 2, 1).max(axis=(2, 4))
    return np.where(x == np.kron(best, up), np.kron(dy, up), 0.0)


_POOL_TIES = Specimen(
    "MaxPooling2D",
    {"pool_size": 2},
    Values((2, 4, 4, 1), seed=4, specials=("ties",)),  # one maximum is a tie
    {"empty_batch": False, "numeric": False},
)
plant(
    "max pooling: every tie gets the gradient",
    _POOL_TIES,
    "max_pooling2d: dx",
    backward=_all_ties,
)
plant(
    "average pooling counts the padding",
    Specimen(
        "AveragePooling2D",
        {"pool_size": 2, "strides": 1, "padding": "same"},
        Values((2, 3, 3, 1), seed=5),
    ),
    "average_pooling2d: y",
    forward=outputs(lambda self, y: y * np.array([1, 1, 0.5])[None, :, None, None]),
)
