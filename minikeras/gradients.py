"""Gradients: where a backward pass puts what it finds, keyed by Variable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from minikeras.variables import Variable


class Gradients:
    """A dictionary from Variable to the sum of the gradients added for it.

    A variable that is used twice gets two `add`s, and the sum is its gradient: the
    multivariate chain rule, visible.

    Args:
        variables: collect for these only. Without it, for every variable whose
            `trainable` is True.

    Attributes:
        wanted: the ids of these, or None.

    >>> w = Variable(np.ones(2, "float32"))
    >>> grads = Gradients()
    >>> grads.add(w, np.array([1, 2], "float32"))
    >>> grads.add(w, np.array([1, 2], "float32"))
    >>> grads[w]
    array([2., 4.], dtype=float32)
    """

    def __init__(self, variables: Iterable[Variable] | None = None):
        self.wanted = None
        if variables is not None:
            self.wanted = frozenset([id(v) for v in variables])
        self._sums: dict[int, tuple[Variable, np.ndarray]] = {}
        self._owned: set[int] = set()  # those whose array nobody else holds

    def wants(self, variable: Variable | None) -> bool:
        """Whether a gradient of `variable` would be kept; if not, skip the work."""
        if variable is None:
            return False
        if self.wanted is None:
            return variable.trainable
        return id(variable) in self.wanted

    def add(self, variable: Variable, gradient: np.ndarray) -> None:
        """Adds `gradient` (shape and dtype of `variable`) to the variable's sum."""
        if not self.wants(variable):
            return
        if gradient.shape != variable.shape:
            raise ValueError(
                f"The gradient of variable '{variable.path}' must have its shape "
                f"{variable.shape}. Received: shape {gradient.shape}. Check the "
                "backward method of the layer that owns it."
            )
        if gradient.dtype != variable.value.dtype:
            gradient = gradient.astype(variable.value.dtype)
        entry = self._sums.get(id(variable))
        # Out of place: the same array may have been added for several variables.
        total = gradient if entry is None else entry[1] + gradient
        self._sums[id(variable)] = (variable, total)

    def add_all(self, other: Gradients) -> None:
        """Adds every sum of `other`, in place where this object made the array."""
        for variable, gradient in other._sums.values():
            key = id(variable)
            entry = self._sums.get(key)
            if entry is None:
                self._sums[key] = (variable, gradient)
            elif key in self._owned and isinstance(gradient, np.ndarray):
                np.add(entry[1], gradient, out=entry[1])
            else:
                total = entry[1] + gradient
                self._sums[key] = (variable, total)
                if isinstance(total, np.ndarray):  # not the rows of an embedding
                    self._owned.add(key)

    def empty_copy(self) -> Gradients:
        """Collects for the same variables, has none yet."""
        copy = Gradients()
        copy.wanted = self.wanted
        return copy

    def get(self, variable: Variable) -> np.ndarray | None:
        """The gradient, or None if nothing was added."""
        entry = self._sums.get(id(variable))
        return None if entry is None else entry[1]

    def __getitem__(self, variable: Variable) -> np.ndarray:
        entry = self._sums.get(id(variable))
        if entry is None:
            raise KeyError(f"No gradient was added for variable '{variable.path}'.")
        return np.asarray(entry[1])  # rows of an embedding become the whole table

    def __contains__(self, variable: Variable) -> bool:
        return id(variable) in self._sums

    def __iter__(self) -> Iterator[Variable]:
        return iter([variable for variable, _ in self._sums.values()])

    def __len__(self) -> int:
        return len(self._sums)

    def items(self) -> list[tuple[Variable, np.ndarray]]:
        """(variable, gradient) pairs in the order they first appeared."""
        return [(variable, np.asarray(g)) for variable, g in self._sums.values()]
