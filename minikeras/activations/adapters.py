"""Makes activations of a user's plain functions and of layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.functions import differentiable
from minikeras.gradients import Gradients


class PlainFunction(differentiable):
    """A user's function without a gradient: serves prediction, not training.

    Attributes:
        function: what the user passed.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]):
        super().__init__(lambda x: (function(x), None))
        name = getattr(function, "__name__", type(function).__name__)
        functools.update_wrapper(self, function)
        self.__name__ = name
        self.function = function

    def backward(self, dy: np.ndarray, residuals: Any) -> np.ndarray:
        """Says how to write the gradient that is missing."""
        name = self.__name__
        raise NotImplementedError(
            f"The activation '{name}' is a plain function, so its gradient is unknown "
            "and a layer that uses it cannot be trained. Write the two side by side:\n"
            f"    @minikeras.differentiable\n    def {name}(x):\n"
            "        return value, residuals\n"
            f"    @{name}.gradient\n    def _(dy, residuals):\n        return dx"
        )


class LayerActivation(differentiable):
    """A layer without weights, such as `LeakyReLU()`, used as an activation.

    Attributes:
        layer: what the user passed.
    """

    def __init__(self, layer: Any):
        super().__init__(layer.forward)
        self.__name__ = layer.name
        self.layer = layer
        self.forward = self._layer_forward

    def _layer_forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        if not self.layer.built:
            self.layer.build(x.shape)
        if self.layer.variables:
            raise ValueError(
                f"The layer '{self.layer.name}' cannot serve as the `activation` of "
                "another layer: it has weights or a random state of its own. Add it to "
                "the model as a layer instead."
            )
        return self.layer.forward(x)

    def backward(self, dy: np.ndarray, residuals: Any) -> np.ndarray:
        """The layer's gradient; it has no weights that could want one."""
        return self.layer.backward(dy, residuals, Gradients())


def as_activation(function: Callable[..., Any]) -> Any:
    """A pair as it is; a layer or a plain function in its wrapper."""
    if isinstance(function, differentiable):
        return function
    if isinstance(function, type):
        name = function.__name__
        raise ValueError(
            "An activation must be a function or a layer instance. Received: the class "
            f"{name}. Did you mean `{name}()`?"
        )
    if hasattr(function, "forward") and hasattr(function, "backward"):
        is_layer = hasattr(function, "compute_output_shape")
        return LayerActivation(function) if is_layer else function
    return PlainFunction(function)
