"""`keras.random` by itself: numbers from the global generator and from others."""

from __future__ import annotations

from typing import Any

import numpy as np


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(9)
    random, found = keras.random, []
    for seed in (None, 11, random.SeedGenerator(12), random.SeedGenerator()):
        for _ in range(2):  # an integer repeats itself, a generator does not
            found += [
                random.uniform((3, 2), -0.1, 0.3, seed=seed),
                random.normal((5,), 0.1, 0.7, seed=seed),
                random.truncated_normal((9,), stddev=0.3, dtype="float64", seed=seed),
                random.randint((4,), -5, 5, seed=seed),
                random.dropout(np.ones(8, "float32"), 0.3, seed=seed),
                random.shuffle(np.arange(9), seed=seed),
                random.categorical(np.log([[0.2, 0.5, 0.3]]), 5, seed=seed),
            ]
    names = ("GlorotUniform", "HeNormal", "TruncatedNormal", "RandomUniform")
    generator = random.SeedGenerator(13)
    for name in names:
        create = getattr(keras.initializers, name)
        for initializer in (create(), create(seed=14), create(seed=generator)):
            found += [initializer((3, 4)), initializer((3, 4))]
            found.append(initializer.clone()((2, 2)))
    return {"exact": [np.asarray(array) for array in found]}
