"""What a file may make us allocate while the model it describes is built.

A configuration is a few bytes that may say `units: 1000000000`. While a file is read, a
budget made from the size of its weights is in force: every variable is paid for before
its array exists, and every symbolic tensor is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

# A model of 7,000 layers makes about 30,000 symbolic tensors. Only graphs in which
# nested models are repeated inside repeated models come anywhere near this number.
MAX_TENSORS = 40_000
# Bytes of one trial run; four times as many for all of them.
MAX_TRIAL = 2 << 30
_PROBE = 89  # the size symbolic.py tries for an unknown axis


class BudgetExceeded(ValueError):
    """The model is larger than what its file accounts for."""


class Budget:
    """So many bytes of variables and so many symbolic tensors.

    Args:
        nbytes: for all variables together.
        reason: where the number comes from, for the error.
        defer: put off random initialization; `settle` does it for what was not loaded.
    """

    def __init__(self, nbytes: int, reason: str, defer: bool = False):
        self.nbytes = nbytes
        self.reason = reason
        self.defer = defer
        self.spent = 0
        self.tensors = 0
        self.trials = 0
        self.deferred: list[tuple[Any, Any]] = []

    def spend(self, shape: tuple[int, ...], dtype: Any, name: str) -> None:
        """Pays for one array.

        Raises:
            BudgetExceeded: if that is more than there is.
        """
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        if self.spent + needed > self.nbytes:
            raise BudgetExceeded(
                f"Refused to make '{name}' of shape {shape}: {self.spent + needed:,} "
                f"bytes of weights in all, more than the {self.nbytes:,} allowed "
                f"({self.reason})."
            )
        self.spent += needed

    def count_tensor(self) -> None:
        """Counts one symbolic tensor.

        Raises:
            BudgetExceeded: when there are too many.
        """
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            raise BudgetExceeded(
                f"Refused a model whose graph needs more than {MAX_TENSORS:,} steps."
            )

    def settle(self, loaded: set[int]) -> None:
        """Initializes the variables that were put off and are not in `loaded` (ids)."""
        for variable, initializer in self.deferred:
            if id(variable) not in loaded:
                variable.assign(initializer(variable.shape, dtype=variable.dtype))
        self.deferred = []


_budget: ContextVar[Budget | None] = ContextVar("minikeras_budget", default=None)


def current() -> Budget | None:
    """The budget in force, or None."""
    return _budget.get()


@contextmanager
def spending(budget: Budget) -> Iterator[Budget]:
    """Puts a budget into force. Inside another one, both count: the outer stays."""
    outer = _budget.get()
    token = _budget.set(outer or budget)
    try:
        yield outer or budget
    finally:
        _budget.reset(token)


def check_trial(arrays: list[Any]) -> None:
    """Counts the arrays of a trial run (it finds a shape for want of a formula).

    Args:
        arrays: the symbolic inputs. Operators broadcast: no result is larger than the
            largest size on each axis.

    Raises:
        BudgetExceeded: if they are too large, or all trials so far together.
    """
    budget = _budget.get()
    if budget is None or not arrays:
        return
    rank = max(len(a.shape) for a in arrays)
    largest = [1] * rank
    for a in arrays:
        for axis, size in enumerate(a.shape, start=rank - len(a.shape)):
            largest[axis] = max(largest[axis], _PROBE if size is None else size)
    needed = math.prod(largest) * 8
    budget.trials += needed
    if needed > MAX_TRIAL or budget.trials > 4 * MAX_TRIAL:
        raise BudgetExceeded(
            f"Refused to try an operation on shapes {[a.shape for a in arrays]}: that "
            f"takes {needed:,} bytes."
        )
