"""RowGradient: the gradient of a table of which only some rows were used."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.ops.embedding import RowGroups, embedding_grad, row_groups
from minikeras.threads import together


class RowGradient:
    """Rows and their numbers, not yet added up; TensorFlow's `IndexedSlices`.

    NB: Keras on TensorFlow hands the gradient of an embedding to the optimizer as a
    list of rows, in which an id looked up twice stands twice. Sums do not mind. But
    squares do: Adam and RMSprop then average `g1**2 + g2**2`, not `(g1 + g2)**2`, and
    `clipnorm` measures the rows before they are added. To train like Keras the rows
    have to stay apart until the optimizer has seen them. A regularizer on the table
    adds a dense gradient, which makes the sum dense, in Keras as here.

    Args:
        ids: integers, any shape: the row each gradient belongs to.
        rows: array of shape `ids.shape + (D,)`, the gradients.
        count: V, how many rows the table has.

    >>> g = RowGradient(np.array([1, 1]), np.array([[1.0], [3.0]]), count=2)
    >>> g.dense().ravel(), g.squares().ravel()
    (array([0., 4.]), array([ 0., 10.]))
    """

    __array_ufunc__ = None  # array + RowGradient calls __radd__

    def __init__(self, ids: np.ndarray, rows: np.ndarray, count: int):
        width = rows.shape[-1]
        self.ids = ids.reshape(-1)
        self.rows = rows.reshape(-1, width)  # ids.shape + (D,) -> (n, D)
        self.shape = (count, width)
        self._groups: RowGroups | None = None

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows."""
        return self.rows.dtype

    def map_rows(self, function: Callable[[np.ndarray], np.ndarray]) -> RowGradient:
        """The same ids with `function(rows)`."""
        return RowGradient(self.ids, function(self.rows), self.shape[0])

    def astype(self, dtype: Any, copy: bool = True) -> RowGradient:
        """The same rows in another dtype."""
        if self.rows.dtype == dtype and not copy:
            return self
        return self.map_rows(lambda rows: rows.astype(dtype))

    def dense(self) -> np.ndarray:
        """The sum per row, (V, D): what the calculus calls the gradient."""
        return embedding_grad(self.rows, self.ids, self.shape[0], self._row_groups())

    def squares(self, square: Callable[..., np.ndarray] = np.square) -> np.ndarray:
        """The sum per row of the squares, or of `square(rows)`; (V, D)."""
        squares = square(self.rows)
        return embedding_grad(squares, self.ids, self.shape[0], self._row_groups())

    def _row_groups(self) -> RowGroups:
        """Which ids are the same; found out once, for both sums."""
        if self._groups is None:
            self._groups = row_groups(self.ids)
        return self._groups

    def __add__(self, other: Any) -> Any:
        if isinstance(other, RowGradient):
            ids = np.concatenate([self.ids, other.ids])
            return RowGradient(
                ids, np.concatenate([self.rows, other.rows]), *self.shape[:1]
            )
        return self.dense() + other

    def __radd__(self, other: Any) -> Any:
        return other + self.dense()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.dense(), dtype)

    def __repr__(self) -> str:
        return (
            f"<RowGradient of {len(self.ids)} rows for a table of shape {self.shape}>"
        )


def parts(
    gradient: np.ndarray | RowGradient, square: Callable[..., np.ndarray] = np.square
) -> tuple[np.ndarray, np.ndarray | None]:
    """(dense gradient, sum of squares); the latter None where it is just the square."""
    if isinstance(gradient, RowGradient):
        gradient._row_groups()  # both sums need them
        # Not products, but a number of the table takes as long as some 100 operations.
        operations = 2 * 100 * math.prod(gradient.shape)
        dense, squares = together(
            gradient.dense, lambda: gradient.squares(square), operations=operations
        )
        return dense, squares
    return gradient, None
