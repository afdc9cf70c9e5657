"""The arrays of a page: cut to what fits, each one kept once, as base64."""

from __future__ import annotations

import base64
import hashlib
import math
from typing import Any

import numpy as np

# Numbers of one array on a page, and of all arrays together.
MOST, FEWEST, MOST_TOGETHER = 4096, 256, 400_000
_WIDEST = 64


class ArrayStore:
    """Collects the arrays of a page.

    Attributes:
        arrays: plain data of each: `shape`, the `window` that is there (its first so
            many along each axis), `kind` and `data` (base64, little-endian), and of
            the whole array `dtype`, `low`, `mean`, `high`, and `scale`, the largest
            size of a finite number.
    """

    def __init__(self, count: int):
        self.arrays: list[dict[str, Any]] = []
        self._most = min(MOST, max(FEWEST, MOST_TOGETHER // max(count, 1)))
        self._known: dict[Any, int] = {}

    def add(self, array: np.ndarray, shown: tuple[int, int]) -> int:
        """The place of an array in `arrays`; equal ones have the same.

        Args:
            array: of numbers or bools.
            shown: the axes that are rows and columns of its pictures.
        """
        array = np.asarray(array)
        window = windowed(array.shape, shown, self._most)
        part = np.ascontiguousarray(array[tuple(slice(0, n) for n in window)])
        kind, raw = _bytes(part)
        entry = {
            "shape": list(array.shape),
            "window": window,
            "dtype": array.dtype.name,
            "kind": kind,
            **_statistics(array),
            "data": base64.b64encode(raw).decode("ascii"),
        }
        digest = hashlib.sha256(repr(entry).encode()).digest()
        if digest not in self._known:
            self._known[digest] = len(self.arrays)
            self.arrays.append(entry)
        return self._known[digest]


def shown_axes(shape: tuple[int, ...], is_image: bool) -> tuple[int, int]:
    """The axes that are rows and columns: the last two; of images rows and columns.

    >>> shown_axes((32, 28, 28, 1), True), shown_axes((5, 4, 2, 3), False)
    ((1, 2), (2, 3))
    """
    rank = len(shape)
    if rank < 2:
        return (-1, rank - 1)
    return (rank - 3, rank - 2) if is_image and rank >= 4 else (rank - 2, rank - 1)


def windowed(shape: tuple[int, ...], shown: tuple[int, int], most: int) -> list[int]:
    """How many along each axis: what is shown first, then of the other axes.

    >>> windowed((784, 512), (0, 1), 4096), windowed((32, 28, 28, 1), (1, 2), 4096)
    ([64, 64], [5, 28, 28, 1])
    """
    sizes = list(shape)
    if len(shape) > 1:
        widest = _WIDEST if math.prod(shape) > most else _WIDEST + _WIDEST // 2
        for axis in shown:
            sizes[axis] = min(sizes[axis], widest)
    order = [a for a in range(len(shape)) if a not in shown]
    for axis in [*order, *(a for a in shown if a >= 0)]:
        rest = math.prod(sizes) // max(sizes[axis], 1)
        if rest * sizes[axis] > most:
            sizes[axis] = max(1, most // max(rest, 1))
    return sizes


def _bytes(array: np.ndarray) -> tuple[str, bytes]:
    if array.dtype.kind == "b":
        return "u1", array.astype("u1").tobytes()
    if array.dtype == np.float64 or array.dtype.kind in "iu":
        return "f8", array.astype("<f8").tobytes()
    return "f4", array.astype("<f4").tobytes()


def _statistics(array: np.ndarray) -> dict[str, Any]:
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if not finite.size:
        return {"low": None, "mean": None, "high": None, "scale": 0}
    low, high = float(finite.min()), float(finite.max())
    return {
        "low": low,
        "mean": float(finite.mean(dtype="float64")),
        "high": high,
        "scale": max(abs(low), abs(high)),
    }
