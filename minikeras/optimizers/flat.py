"""Updating many small variables as one.

A ufunc on a hundred numbers takes as long as one on none: half a microsecond, most of
it to find out what is to be done. Adam uses twelve for each variable, and a model has
two variables in each layer. So the values of all small variables are copied into one
flat array, their gradients into another, the state lies in flat arrays to begin with,
and the update rule runs once. docs/speed.md says what that is worth.

Large variables gain nothing by that, and are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.row_gradient import RowGradient
from minikeras.variables import Variable

# Elements: from about here on the arithmetic takes longer than the calls.
SMALL = 16384


class FlatGroup:
    """Variables of one dtype and the state that goes with them, as flat arrays.

    Args:
        variables: the model's.
        slots: for each kind of state a list with one Variable for each of `variables`,
            or Nones. They stay what they are, but their storage moves into one array.
    """

    def __init__(self, variables: list[Variable], slots: Sequence[list[Any]]):
        self.variables = variables
        self.dtype = variables[0].value.dtype
        ends = np.cumsum([v.size for v in variables]).tolist()
        starts = [0, *ends[:-1]]
        self._pieces = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
        self._value = np.empty(ends[-1], self.dtype)
        self._gradient = np.empty(ends[-1], self.dtype)
        self._parts = self._views(self._value)
        self._slots = [self._flatten(slot) for slot in slots]

    def _views(self, flat: np.ndarray) -> list[np.ndarray]:
        """The part of `flat` that belongs to each variable, in the variable's shape."""
        pairs = zip(self._pieces, self.variables, strict=True)
        return [flat[piece].reshape(v.shape) for piece, v in pairs]

    def _flatten(self, slot: list[Any]) -> np.ndarray | None:
        if slot[0] is None:
            return None
        flat = np.empty(self._value.shape, self.dtype)
        for variable, view in zip(slot, self._views(flat), strict=True):
            view[...] = variable.value
            variable._set_array(view)
        return flat

    def update(
        self,
        step: Callable[..., None],
        gradients: list[Any],
        scalars: dict[str, Any],
        square: Callable[..., np.ndarray] = np.square,
    ) -> None:
        """One step for all, equal to one for each.

        Args:
            step: the elementwise rule, see `Optimizer`.
            gradients: one for each variable.
            scalars: for the rule.
            square: what the rule does with gradients before it adds them up.
        """
        np.concatenate([v._array.reshape(-1) for v in self.variables], out=self._value)
        dense = [np.asarray(g).reshape(-1) for g in gradients]
        np.concatenate(dense, out=self._gradient)
        squares = self._squares(gradients, square)
        step(self._value, self._gradient, squares, *self._slots, **scalars)
        for variable, part in zip(self.variables, self._parts, strict=True):
            np.copyto(variable._array, part)

    def _squares(
        self, gradients: list[Any], square: Callable[..., np.ndarray]
    ) -> np.ndarray | None:
        """The squares of the gradients where they are not just that, or None."""
        if not any(isinstance(g, RowGradient) for g in gradients):
            return None
        squares = square(self._gradient)
        for piece, gradient in zip(self._pieces, gradients, strict=True):
            if isinstance(gradient, RowGradient):
                squares[piece] = gradient.squares(square).reshape(-1)
        return squares


class FlatGroups:
    """The groups of an optimizer, made for the first list of variables it updates.

    A copy of it is empty: a copied optimizer has variables of its own, whose storage is
    in no flat array until it makes its groups.
    """

    def __init__(self) -> None:
        self._variables: list[Variable] | None = None
        self._groups: list[tuple[FlatGroup, list[int]]] = []
        self._others: list[int] = []

    def __reduce__(self) -> Any:
        return FlatGroups, ()

    def of(
        self,
        variables: list[Variable],
        indices: dict[int, int],
        slots: Sequence[list[Any]],
    ) -> tuple[list[tuple[FlatGroup, list[int]]], list[int]]:
        """The groups, each with the positions of its variables, and what is in none.

        Args:
            variables: those to update.
            indices: where each is in the lists of `slots`, by its id.
            slots: see `FlatGroup`.
        """
        if self._variables is None:
            self._make(variables, indices, slots)
        if variables != self._variables:  # some of them, or in another order
            return [], list(range(len(variables)))
        return self._groups, self._others

    def _make(
        self,
        variables: list[Variable],
        indices: dict[int, int],
        slots: Sequence[list[Any]],
    ) -> None:
        self._variables = list(variables)
        by_dtype: dict[Any, list[int]] = {}
        for i, variable in enumerate(variables):
            if 0 < variable.size <= SMALL and not variable.overwrite_with_gradient:
                by_dtype.setdefault(variable.value.dtype, []).append(i)
        for positions in by_dtype.values():
            if len(positions) > 1:
                members = [variables[i] for i in positions]
                states = [[slot[indices[id(v)]] for v in members] for slot in slots]
                self._groups.append((FlatGroup(members, states), positions))
        grouped = {i for _, positions in self._groups for i in positions}
        self._others = [i for i in range(len(variables)) if i not in grouped]
