"""`keras.ops`: arithmetic and comparisons of two tensors, broadcast, and `where`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import comparisons, operations
from minikeras.operations import Binary
from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.stable import as_array, gate
from minikeras.registry import public
from minikeras.symbolic import any_symbolic, is_keras_tensor
from minikeras.tensors.base import NUMPY, TensorOperation, apply, operation
from minikeras.variables import Variable, tracing


def _binary(cls: type[Binary], x1: Any, x2: Any) -> Any:
    if tracing() or any_symbolic((x1, x2)):
        if not any(isinstance(x, Variable) or is_keras_tensor(x) for x in (x1, x2)):
            return _eager(cls, x1, x2)
        return cls()(x1, x2)
    return _eager(cls, x1, x2)


def _eager(cls: type[Binary], x1: Any, x2: Any) -> np.ndarray:
    x1, x2 = (x.value if isinstance(x, Variable) else x for x in (x1, x2))
    numbers = [isinstance(x, int | float) for x in (x1, x2)]
    if numbers == [False, True]:
        x1 = as_array(x1)
        x2 = _number_like(x2, x1)
    elif numbers == [True, False]:
        x2 = as_array(x2)
        x1 = _number_like(x1, x2)
    return cls(name="eager").forward(as_array(x1), as_array(x2))[0]


def _number_like(number: Any, array: np.ndarray) -> np.ndarray:
    """A Python number in the dtype of its partner; a float beside integers floats."""
    if isinstance(number, float) and array.dtype.kind != "f":
        return np.asarray(number, "float32")
    return np.asarray(number, None if array.dtype.kind == "b" else array.dtype)


@public(NUMPY)
class Maximum(Binary):
    """y = max(a, b); dy goes to the larger, to a where they are equal."""

    function = staticmethod(np.maximum)

    def gradients(self, dy: np.ndarray, r: Any) -> tuple[np.ndarray, np.ndarray]:
        """TensorFlow's choice at ties is a."""
        first = np.broadcast_to(r.a >= r.b, dy.shape)
        return gate(first, dy), gate(~first, dy)


@public(NUMPY)
class Minimum(Binary):
    """y = min(a, b); dy goes to the smaller, to a where they are equal."""

    function = staticmethod(np.minimum)

    def gradients(self, dy: np.ndarray, r: Any) -> tuple[np.ndarray, np.ndarray]:
        """TensorFlow's choice at ties is a."""
        first = np.broadcast_to(r.a <= r.b, dy.shape)
        return gate(first, dy), gate(~first, dy)


@public(NUMPY)
class Mod(Binary):
    """y = a - floor(a / b) b; da = dy, db = -dy floor(a / b)."""

    function = staticmethod(np.mod)

    def gradients(self, dy: np.ndarray, r: Any) -> tuple[np.ndarray, np.ndarray]:
        """The quotient is constant between its jumps."""
        return dy, -dy * np.floor_divide(r.a, r.b)


@public(NUMPY)
class FloorDivide(comparisons.Comparison):
    """y = floor(a / b), without a gradient."""

    @staticmethod
    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """NB: infinity by 2 is infinity, as in Keras; NumPy says NaN."""
        return np.floor_divide(a, b) if a.dtype.kind != "f" else np.floor(a / b)


def add(x1: Any, x2: Any) -> Any:
    """`x1 + x2`."""
    return _binary(operations.Add, x1, x2)


def subtract(x1: Any, x2: Any) -> Any:
    """`x1 - x2`."""
    return _binary(operations.Subtract, x1, x2)


def multiply(x1: Any, x2: Any) -> Any:
    """`x1 * x2`."""
    return _binary(operations.Multiply, x1, x2)


def divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`."""
    return _binary(operations.TrueDivide, x1, x2)


true_divide = divide


def power(x1: Any, x2: Any) -> Any:
    """`x1 ** x2`."""
    return _binary(operations.Power, x1, x2)


def maximum(x1: Any, x2: Any) -> Any:
    """The larger of two, element by element."""
    return _binary(Maximum, x1, x2)


def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of two, element by element."""
    return _binary(Minimum, x1, x2)


def mod(x1: Any, x2: Any) -> Any:
    """The rest of a division, with the sign of `x2`."""
    return _binary(Mod, x1, x2)


def floor_divide(x1: Any, x2: Any) -> Any:
    """`floor(x1 / x2)`; it has no gradient."""
    return _binary(FloorDivide, x1, x2)


def negative(x: Any) -> Any:
    """`-x`."""
    return _unary(operations.Negative, x)


def absolute(x: Any) -> Any:
    """`|x|`; its gradient is 0 at 0."""
    return _unary(operations.Absolute, x)


abs = absolute


def _unary(cls: type, x: Any) -> Any:
    if isinstance(x, Variable):
        x = operations.read(x) if tracing() else x.value
    if is_keras_tensor(x):
        return cls()(x)
    return cls(name="eager").forward(as_array(x))[0]


def _comparison(cls: type[Binary], name: str) -> Callable[[Any, Any], Any]:
    def call(x1: Any, x2: Any) -> Any:
        return _binary(cls, x1, x2)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{(cls.__doc__ or '').rstrip('.')}, element by element."
    return call


equal = _comparison(comparisons.Equal, "equal")
not_equal = _comparison(comparisons.NotEqual, "not_equal")
less = _comparison(comparisons.Less, "less")
less_equal = _comparison(comparisons.LessEqual, "less_equal")
greater = _comparison(comparisons.Greater, "greater")
greater_equal = _comparison(comparisons.GreaterEqual, "greater_equal")
logical_and = _comparison(comparisons.LogicalAnd, "logical_and")
logical_or = _comparison(comparisons.LogicalOr, "logical_or")


# --- where --------------------------------------------------------------------------


@operation(NUMPY)
class Where(TensorOperation):
    """y = x1 where the condition holds, else x2; dy goes where y came from."""

    def forward(self, condition: Any, x1: Any, x2: Any) -> tuple[np.ndarray, Any]:
        """(y, (condition, shape of x1, shape of x2))."""
        condition = np.asarray(condition).astype(bool)
        if isinstance(x1, int | float) and not isinstance(x2, int | float):
            x1 = _number_like(x1, as_array(x2))
        elif isinstance(x2, int | float):
            x2 = _number_like(x2, as_array(x1))
        a, b = operations._promoted(as_array(x1), as_array(x2))
        return np.where(condition, a, b), (condition, a.shape, b.shape)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[Any, ...]:
        """dx1 = dy where the condition holds, dx2 = dy elsewhere."""
        condition, shape1, shape2 = residuals
        condition = np.broadcast_to(condition, dy.shape)
        dx1, dx2 = gate(condition, dy), gate(~condition, dy)
        return None, unbroadcast(dx1, shape1), unbroadcast(dx2, shape2)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, `x2` elsewhere.

    NB: without `x1` and `x2` Keras gives indices, whose number is not known before the
    graph runs; on arrays they are given here too.
    """
    if x1 is None or x2 is None:
        if any_symbolic(condition) or x1 is not None or x2 is not None:
            raise ValueError(
                "`where` needs `x1` and `x2`, or neither of them and an array as "
                f"condition. Received: x1={x1}, x2={x2}"
            )
        return tuple(i.astype("int32") for i in np.nonzero(np.asarray(condition)))
    return apply(Where, condition, x1, x2)
