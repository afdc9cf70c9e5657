"""The base class of initializers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.messages import Checked
from minikeras.registry import public
from minikeras.variables import standardize_shape


@public("keras")
class Initializer(Checked):
    """Makes the first value of a weight: `initializer(shape, dtype=None)`.

    To write your own, subclass and define `__call__` and, if it has parameters,
    `get_config`. Draw random numbers from `minikeras.random` so that runs repeat.

    >>> class Halves(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype)
    >>> Halves()((2,), "float32")
    array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        """The value.

        Args:
            shape: tuple of integers.
            dtype: its dtype; None is `config.floatx()`.
        """
        raise NotImplementedError(
            "Initializer subclasses must implement the `__call__()` method. "
            f"{type(self).__name__} does not."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """A new initializer with these arguments."""
        return cls(**config)

    def clone(self) -> Initializer:
        """A new one with the same config. If that has no seed, with another seed."""
        return type(self).from_config(self.get_config())


def complete_shape(shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of sizes that are all known."""
    shape = standardize_shape(shape)
    if None in shape:
        raise ValueError(
            "An initializer needs a shape without unknown sizes. "
            f"Received: shape={shape}"
        )
    return shape
