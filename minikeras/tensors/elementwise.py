"""`keras.ops`: functions of each element, and of pairs of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.ops.stable import as_array, floats, gate
from minikeras.registry import public
from minikeras.tensors.base import (
    MATH,
    NUMPY,
    Constant,
    TensorOperation,
    apply,
    operation,
)

# --- One argument: y = f(x), dx = dy * f'(x), with f' from x and y -------------------


class Elementwise(TensorOperation):
    """`y = f(x)` element by element; integers become floats."""

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray, np.ndarray], Any]

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, (x, y))."""
        x = floats(as_array(x))
        with np.errstate(all="ignore"):  # log(0) is -inf, as in Keras
            y = type(self).function(x)
        return y, (x, y)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy f'(x)."""
        with np.errstate(all="ignore"):
            return (dy * type(self).derivative(*residuals),)


def _elementwise(
    cls_name: str,
    function: Callable[[np.ndarray], np.ndarray],
    derivative: Callable[[np.ndarray, np.ndarray], Any],
    formula: str,
    module: str = NUMPY,
) -> Callable[[Any], Any]:
    members = {
        "function": staticmethod(function),
        "derivative": staticmethod(derivative),
        "__doc__": formula,
        "__module__": __name__,
    }
    cls = public(module)(type(cls_name, (Elementwise,), members))

    def call(x: Any) -> Any:
        return apply(cls, x)

    call.__name__ = call.__qualname__ = cls_name.lower()
    call.__doc__ = f"`{formula}`, element by element, on arrays or symbolic tensors."
    return call


_ONE_BY_LN2, _ONE_BY_LN10 = 1.4426950408889634, 0.4342944819032518

exp = _elementwise("Exp", np.exp, lambda x, y: y, "y = exp(x); dx = dy y")
expm1 = _elementwise(
    "Expm1", np.expm1, lambda x, y: y + 1, "y = exp(x) - 1; dx = dy exp(x)"
)
log = _elementwise("Log", np.log, lambda x, y: 1 / x, "y = log(x); dx = dy / x")
log1p = _elementwise(
    "Log1p", np.log1p, lambda x, y: 1 / (1 + x), "y = log(1 + x); dx = dy / (1 + x)"
)
log2 = _elementwise(
    "Log2", np.log2, lambda x, y: _ONE_BY_LN2 / x, "y = log2(x); dx = dy / (x log 2)"
)
log10 = _elementwise(
    "Log10",
    np.log10,
    lambda x, y: _ONE_BY_LN10 / x,
    "y = log10(x); dx = dy / (x log 10)",
)
sqrt = _elementwise(
    "Sqrt", np.sqrt, lambda x, y: 0.5 / y, "y = sqrt(x); dx = dy / (2 y)"
)
rsqrt = _elementwise(
    "Rsqrt",
    lambda x: 1 / np.sqrt(x),
    lambda x, y: -0.5 * y * y * y,
    "y = 1 / sqrt(x); dx = -dy y^3 / 2",
    MATH,
)
reciprocal = _elementwise(
    "Reciprocal", np.reciprocal, lambda x, y: -y * y, "y = 1 / x; dx = -dy y^2"
)
sin = _elementwise("Sin", np.sin, lambda x, y: np.cos(x), "y = sin(x); dx = dy cos(x)")
cos = _elementwise(
    "Cos", np.cos, lambda x, y: -np.sin(x), "y = cos(x); dx = -dy sin(x)"
)
tan = _elementwise(
    "Tan", np.tan, lambda x, y: 1 + y * y, "y = tan(x); dx = dy (1 + y^2)"
)
sinh = _elementwise(
    "Sinh", np.sinh, lambda x, y: np.cosh(x), "y = sinh(x); dx = dy cosh(x)"
)
cosh = _elementwise(
    "Cosh", np.cosh, lambda x, y: np.sinh(x), "y = cosh(x); dx = dy sinh(x)"
)
arctan = _elementwise(
    "Arctan",
    np.arctan,
    lambda x, y: 1 / (1 + x * x),
    "y = arctan(x); dx = dy / (1 + x^2)",
)


@operation(NUMPY)
class Square(TensorOperation):
    """y = x^2; dx = 2 dy x."""

    def forward(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Integers stay integers."""
        x = as_array(x)
        return np.square(x), x

    def gradients(self, dy: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray]:
        """dx = 2 dy x."""
        return (dy * (2 * residuals),)


def square(x: Any) -> Any:
    """`x * x`."""
    return apply(Square, x)


@operation(NUMPY, x_min=None, x_max=None)
class Clip(TensorOperation):
    """y = min(max(x, x_min), x_max); dx = dy where x is inside, ends included."""

    x_min: Any
    x_max: Any

    def forward(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """(y, where x is inside)."""
        x = as_array(x)
        low, high = (
            x.dtype.type(bound) if x.dtype.kind == "f" else bound
            for bound in (self.x_min, self.x_max)
        )
        y = np.clip(x, low, high).astype(x.dtype)
        return y, (x >= low) & (x <= high)

    def gradients(self, dy: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray]:
        """dx = dy where x is inside."""
        return (gate(residuals, dy),)


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """`x` cut to the numbers from `x_min` to `x_max`."""
    return apply(Clip, x, x_min=x_min, x_max=x_max)


# --- No gradient --------------------------------------------------------------------


def _constant(
    cls_name: str, function: Callable[[Any], Any]
) -> tuple[type, Callable[[Any], Any]]:
    def forward(self: Any, x: Any) -> tuple[np.ndarray, None]:
        return function(as_array(x)), None

    members = {
        "forward": forward,
        "__doc__": f"{cls_name}: no gradient.",
        "__module__": __name__,
    }
    cls = public(NUMPY)(type(cls_name, (Constant,), members))

    def call(x: Any) -> Any:
        return apply(cls, x)

    call.__name__ = call.__qualname__ = cls_name.lower()
    call.__doc__ = f"NumPy's `{cls_name.lower()}`; it has no gradient."
    return cls, call


_, isnan = _constant("Isnan", np.isnan)
_, isinf = _constant("Isinf", np.isinf)
_, isfinite = _constant("Isfinite", np.isfinite)
_, logical_not = _constant("LogicalNot", lambda x: np.logical_not(x.astype(bool)))


def _steps(cls_name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that is flat between its jumps: TensorFlow's gradient is 0."""

    def forward(self: Any, x: Any) -> tuple[np.ndarray, None]:
        return function(as_array(x)), None

    def gradients(self: Any, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        return (np.zeros_like(dy),)

    members = {
        "forward": forward,
        "gradients": gradients,
        "__doc__": f"{cls_name}; dx = 0.",
        "__module__": __name__,
    }
    cls = public(NUMPY)(type(cls_name, (TensorOperation,), members))

    def call(x: Any) -> Any:
        return apply(cls, x)

    call.__name__ = call.__qualname__ = cls_name.lower()
    call.__doc__ = f"NumPy's `{cls_name.lower()}`; its gradient is 0."
    return call


sign = _steps("Sign", np.sign)
floor = _steps("Floor", lambda x: np.floor(floats(x)))
ceil = _steps("Ceil", lambda x: np.ceil(floats(x)))
_round = _steps("Round", np.round)


def round(x: Any, decimals: int = 0) -> Any:
    """The nearest whole number, the even one of two; its gradient is 0."""
    if decimals:
        raise NotImplementedError(
            f"minikeras rounds to whole numbers only. Received: decimals={decimals}"
        )
    return _round(x)
