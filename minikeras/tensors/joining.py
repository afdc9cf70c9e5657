"""`keras.ops`: tensors joined, cut, and looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.stable import as_array
from minikeras.tensors.base import (
    NUMPY,
    TensorOperation,
    apply,
    arrays,
    axes_of,
    operation,
)


@operation(NUMPY, axis=0)
class Concatenate(TensorOperation):
    """Tensors one after the other along `axis`; dy is cut at the same places."""

    axis: int

    def __init__(self, axis: int = 0, *, name: str | None = None):
        super().__init__(axis, name=name)
        if axis is None:
            raise ValueError("`axis` cannot be None for `concatenate`.")

    def forward(self, xs: Any) -> tuple[np.ndarray, Any]:
        """(y, where one ends and the next begins)."""
        xs = arrays(xs)
        return np.concatenate(xs, self.axis), np.cumsum(
            [x.shape[self.axis] for x in xs][:-1]
        )

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[Any]:
        """One piece for each."""
        return (np.split(dy, residuals, self.axis),)


@operation(NUMPY, axis=0)
class Stack(TensorOperation):
    """Tensors of one shape along a new axis; each gets its slice of dy."""

    axis: int

    def forward(self, xs: Any) -> tuple[np.ndarray, int]:
        """(y, how many)."""
        xs = arrays(xs)
        return np.stack(xs, self.axis), len(xs)

    def gradients(self, dy: np.ndarray, residuals: int) -> tuple[Any]:
        """One slice for each."""
        return ([np.take(dy, i, self.axis) for i in range(residuals)],)


@operation(NUMPY, indices_or_sections=None, axis=0)
class Split(TensorOperation):
    """Cut along `axis`, into equal pieces or at places; dx joins the pieces' dy."""

    indices_or_sections: Any
    axis: int

    def forward(self, x: Any) -> tuple[list[np.ndarray], Any]:
        """(pieces, their shapes)."""
        pieces = np.split(as_array(x), self.indices_or_sections, self.axis)
        return pieces, [(piece.shape, piece.dtype) for piece in pieces]

    def gradients(self, dy: Any, residuals: Any) -> tuple[np.ndarray]:
        """Zeros for pieces that nobody used."""
        pairs = zip(dy, residuals, strict=True)
        pieces = [np.zeros(*like) if d is None else d for d, like in pairs]
        return (np.concatenate(pieces, self.axis),)


@operation(NUMPY, axis=None)
class Take(TensorOperation):
    """The slices of x with these numbers; dx adds up what each slice gets."""

    axis: Any

    def forward(self, x: Any, indices: Any) -> tuple[np.ndarray, Any]:
        """(y, (shape of x, indices))."""
        x, indices = as_array(x), np.asarray(indices).astype(np.int64)
        return np.take(x, indices, self.axis), (x.shape, indices)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray, None]:
        """(n, ...) rows of dy to (N, ...) rows of dx."""
        shape, indices = residuals
        if self.axis is None:
            dx = np.zeros(int(np.prod(shape)), dy.dtype)
            np.add.at(dx, indices.ravel(), dy.ravel())
            return dx.reshape(shape), None
        axis = axes_of(self.axis, len(shape))[0]
        places = tuple(range(axis, axis + indices.ndim))
        rows = np.moveaxis(dy, places, tuple(range(indices.ndim)))
        dx = np.zeros((shape[axis], *shape[:axis], *shape[axis + 1 :]), dy.dtype)
        np.add.at(dx, indices, rows)
        return np.moveaxis(dx, 0, axis), None


@operation(NUMPY, axis=None)
class TakeAlongAxis(TensorOperation):
    """An element of each row along `axis`, or several; dx adds up what each gets."""

    axis: Any

    def forward(self, x: Any, indices: Any) -> tuple[np.ndarray, Any]:
        """(y, (shape of x, indices))."""
        x, indices = as_array(x), np.asarray(indices).astype(np.int64)
        if self.axis is None:
            return x.reshape(-1)[indices.reshape(-1)], (x.shape, indices)
        axis = self.axis
        both = (_one(x.shape, axis), _one(indices.shape, axis))
        wide, narrow = (list(np.broadcast_shapes(*both)) for _ in range(2))
        wide[axis], narrow[axis] = x.shape[axis], indices.shape[axis]
        wide_x, places = np.broadcast_to(x, wide), np.broadcast_to(indices, narrow)
        return np.take_along_axis(wide_x, places, self.axis), (x.shape, places)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray, None]:
        """Scattered, then added up where x was broadcast."""
        shape, indices = residuals
        if self.axis is None:
            dx = np.zeros(int(np.prod(shape)), dy.dtype)
            np.add.at(dx, indices.reshape(-1), dy)
            return dx.reshape(shape), None
        wide = list(dy.shape)
        wide[self.axis] = shape[self.axis]
        dx = np.zeros(wide, dy.dtype)
        grid = list(np.indices(indices.shape, sparse=True))
        grid[self.axis % dy.ndim] = indices
        np.add.at(dx, tuple(grid), dy)
        return unbroadcast(dx, shape), None


def _one(shape: tuple[int, ...], axis: int) -> list[int]:
    found = list(shape)
    found[axis] = 1
    return found


def concatenate(xs: Any, axis: int = 0) -> Any:
    """Tensors one after the other along `axis`."""
    return apply(Concatenate, list(xs), axis=axis)


def stack(x: Any, axis: int = 0) -> Any:
    """Tensors of one shape along a new axis."""
    return apply(Stack, list(x), axis=axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """`x` cut along `axis`: into so many equal pieces, or at these places."""
    return apply(Split, x, indices_or_sections=indices_or_sections, axis=axis)


def take(x: Any, indices: Any, axis: Any = None) -> Any:
    """The slices of `x` with these numbers along `axis`; None: of all in a row."""
    return apply(Take, x, indices, axis=axis)


def take_along_axis(x: Any, indices: Any, axis: Any = None) -> Any:
    """The elements of each row along `axis` with these numbers."""
    return apply(TakeAlongAxis, x, indices, axis=axis)
