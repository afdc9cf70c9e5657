"""`@differentiable`: a function and, right under it, its gradient.

    @differentiable
    def tanh(x):
        y = np.tanh(x)
        return y, y                      # the value, and what the gradient needs

    @tanh.gradient
    def _(dy, y):
        return dy * (1 - y * y)

The result is called like a function. Activations and loss functions are made this way,
and so are a user's own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.ops.stable import as_array
from minikeras.variables import Variable, tracing


class differentiable:
    """A forward function and its gradient, as one callable object.

    Args:
        function: `function(x, ...) -> (value, residuals)`.

    Attributes:
        forward: the function as given: returns (value, residuals).
        backward: `backward(dy, residuals) -> dx`, as given to `.gradient`.
    """

    def __init__(self, function: Callable[..., tuple[Any, Any]]):
        functools.update_wrapper(self, function)
        self.forward = function
        self._backward: Callable[..., Any] | None = None

    def gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator that names the gradient function `(dy, residuals) -> dx`."""
        self._backward = function
        return function

    def backward(self, dy: np.ndarray, residuals: Any) -> Any:
        """The gradient with respect to the (last) argument of the forward function."""
        if self._backward is None:
            raise NotImplementedError(
                f"The function '{self.__name__}' has no gradient. Write one under it: "
                f"@{self.__name__}.gradient"
            )
        return self._backward(dy, residuals)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The value alone; on a symbolic tensor, a node of a graph."""
        from minikeras import symbolic

        if tracing() and isinstance(x, Variable):
            from minikeras.operations import read

            x = read(x)
        if symbolic.any_symbolic((x, args, kwargs)):
            bound = inspect.signature(self.forward).bind(x, *args, **kwargs)
            first, *_ = bound.arguments
            parameters = {k: v for k, v in bound.arguments.items() if k != first}
            node = getattr(self, "node", symbolic.FunctionOperation)
            return node(self, parameters)(x)
        x = as_array(x)
        return self.forward(x, *args, **kwargs)[0]

    def __repr__(self) -> str:
        return f"<differentiable function {self.__name__}>"
