"""Small problems made on the spot, the same for the same seed."""

from __future__ import annotations

import numpy as np

from minikeras import random

Arrays = tuple[np.ndarray, np.ndarray]


def spirals(
    samples: int = 1000, classes: int = 2, noise: float = 0.1, seed: int = 0
) -> Arrays:
    """Points on interleaved spiral arms.

    Args:
        samples: number of points.
        classes: number of arms.
        noise: standard deviation added to the points.
        seed: same seed, same points.

    Returns:
        x float32 (samples, 2); y int64 (samples,), from 0 to classes - 1.

    >>> x, y = spirals(6, classes=3)
    >>> x.shape, y.tolist()
    ((6, 2), [0, 1, 2, 0, 1, 2])
    """
    generator = random.SeedGenerator(seed)
    y = np.arange(samples) % classes
    radius = np.sqrt(random.uniform((samples,), seed=generator))
    angle = 2 * np.pi * (1.25 * radius + y / classes)
    arms = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    scatter = random.normal((samples, 2), stddev=noise, seed=generator)
    return (arms + scatter).astype("float32"), y


def two_moons(samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Arrays:
    """Two half circles that reach into each other.

    Returns:
        x float32 (samples, 2); y int64 (samples,), 0 or 1.
    """
    generator = random.SeedGenerator(seed)
    y = np.arange(samples) % 2
    angle = np.pi * random.uniform((samples,), seed=generator)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 0, x, np.array([1.0, 0.5]) - x)
    scatter = random.normal((samples, 2), stddev=noise, seed=generator)
    return (x + scatter).astype("float32"), y


def adding_problem(samples: int = 1000, steps: int = 50, seed: int = 0) -> Arrays:
    """Sequences of numbers, two of them marked; the target is the sum of those two.

    The classic test of memory (Hochreiter and Schmidhuber 1997, section 5.4).

    Returns:
        x float32 (samples, steps, 2): value and mark; y float32 (samples, 1).
    """
    if steps < 2:
        raise ValueError(f"`steps` must be at least 2. Received: steps={steps}")
    generator = random.SeedGenerator(seed)
    values = random.uniform((samples, steps), seed=generator)
    order = np.argsort(random.uniform((samples, steps), seed=generator), axis=1)
    marks = np.zeros_like(values)
    np.put_along_axis(marks, order[:, :2], 1, axis=1)
    y = (values * marks).sum(axis=1, keepdims=True)
    return np.stack([values, marks], axis=-1).astype("float32"), y.astype("float32")


def parity(samples: int = 1000, steps: int = 8, seed: int = 0) -> Arrays:
    """Sequences of bits; the target is whether the number of ones is odd.

    Returns:
        x float32 (samples, steps, 1); y float32 (samples, 1).
    """
    generator = random.SeedGenerator(seed)
    bits = random.randint((samples, steps), 0, 2, seed=generator)
    y = bits.sum(axis=1, keepdims=True) % 2
    return bits[..., None].astype("float32"), y.astype("float32")


def copy_task(
    samples: int = 1000,
    length: int = 5,
    delay: int = 5,
    symbols: int = 8,
    seed: int = 0,
) -> Arrays:
    """Symbols to be repeated after a pause.

    Returns:
        x int64 (samples, 2 * length + delay): symbols 1..symbols, then 0; y likewise:
        0 until the end, then the symbols again.
    """
    generator = random.SeedGenerator(seed)
    shown = random.randint((samples, length), 1, symbols + 1, seed=generator)
    x = np.zeros((samples, 2 * length + delay), "int64")
    y = np.zeros_like(x)
    x[:, :length] = shown
    y[:, -length:] = shown
    return x, y
