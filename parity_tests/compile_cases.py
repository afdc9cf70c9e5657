"""Outputs, targets and weights in the structures that models have."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(0)
SHAPES = ((4, 2), (4, 3), (4, 1))
TRUE, PRED = ([RNG.random(s).astype("float32") for s in SHAPES] for _ in range(2))
WEIGHTS = [RNG.random(4).astype("float32") for _ in SHAPES]

STRUCTURES = {
    "one": lambda a: a[0],
    "list of one": lambda a: [a[0]],
    "list": lambda a: a[:2],
    "tuple": lambda a: tuple(a[:2]),
    "list of three": lambda a: a[:3],
    "dict": lambda a: {"b": a[0], "a": a[1]},
    "nested dict": lambda a: {"a": [a[0], a[1]], "b": a[2]},
    "nested list": lambda a: [a[0], (a[1], a[2])],
}
