"""`keras.constraints`: projections of a weight after each update.

The norm of a unit's incoming weights is taken along `axis`: 0 for the kernel
(inputs, units) of a Dense layer, [0, 1, 2] for the kernel (height, width, inputs,
filters) of a Conv2D layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import config, identifiers
from minikeras.messages import Checked
from minikeras.variables import Variable


class Constraint(Checked):
    """Base class: leaves the weight as it is. Subclasses define `__call__`.

    >>> class Integers(Constraint):
    ...     def __call__(self, w):
    ...         return np.round(w)
    >>> Integers()(np.array([0.2, 1.7]))
    array([0., 2.])
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """The projected weight: a new array of the same shape and dtype."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A new constraint with these arguments."""
        return cls(**config)


class MaxNorm(Constraint):
    """Scales down what is longer than `max_value`.

    **Formula** `w * clip(|w|, 0, max_value) / (epsilon + |w|)`

    Args:
        max_value: number.
        axis: integer or integers, along which a norm is taken.

    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(3)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    def __init__(self, max_value: float = 2, axis: Any = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        w, norms = _with_norms(w, self.axis)
        desired = _clip(norms, 0, self.max_value)
        return w * (desired / (norms.dtype.type(config.epsilon()) + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets negative weights to 0.

    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: np.ndarray) -> np.ndarray:
        w = _array(w)
        return np.maximum(w, w.dtype.type(0))


class UnitNorm(Constraint):
    """Scales to length 1.

    **Formula** `w / (epsilon + |w|)`

    Args:
        axis: integer or integers, along which a norm is taken.

    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(3).ravel()
    array([0.6, 0.8])
    """

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        w, norms = _with_norms(w, self.axis)
        return w / (norms.dtype.type(config.epsilon()) + norms)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Brings the length between two bounds, all the way or in part.

    **Formula** `w * d / (epsilon + |w|)` with
    `d = rate * clip(|w|, min_value, max_value) + (1 - rate) * |w|`

    Args:
        min_value, max_value: numbers.
        rate: how much of the way to go in each step, in [0, 1].
        axis: integer or integers, along which a norm is taken.

    >>> MinMaxNorm(0.0, 1.0, rate=0.5)(np.array([[3.0], [4.0]])).round(3).ravel()
    array([1.8, 2.4])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Any = 0,
    ):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: np.ndarray) -> np.ndarray:
        w, norms = _with_norms(w, self.axis)
        number = norms.dtype.type
        clipped = _clip(norms, self.min_value, self.max_value)
        desired = number(self.rate) * clipped + number(1 - self.rate) * norms
        return w * (desired / (number(config.epsilon()) + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


def _array(w: Any) -> np.ndarray:
    return w.value if isinstance(w, Variable) else np.asarray(w)


def _with_norms(w: Any, axis: Any) -> tuple[np.ndarray, np.ndarray]:
    """The weight as floats, and its norms with the summed axes kept as 1."""
    w = _array(w)
    if w.dtype.kind != "f":
        w = w.astype(config.floatx())
    if isinstance(axis, list):
        axis = tuple(axis)
    return w, np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))


def _clip(norms: np.ndarray, low: float, high: float) -> np.ndarray:
    number = norms.dtype.type
    return np.clip(norms, number(low), number(high))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_MODULE = "keras.constraints"
_NAMES = identifiers.table(_MODULE, Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)


def get(identifier: Any) -> Any:
    """The constraint that a `..._constraint=` argument means.

    Args:
        identifier: None, a name, a config dict, a class, an instance or any callable.

    >>> get("max_norm").max_value
    2
    """
    return identifiers.get(identifier, "constraint", _MODULE, _NAMES)


def serialize(constraint: Any) -> Any:
    """The config dict of a constraint."""
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint of a config dict.

    >>> deserialize(serialize(MaxNorm(3))).max_value
    3
    """
    return identifiers.deserialize(config, custom_objects, _MODULE, _NAMES)
