"""What the operations of `keras.ops` share: parameters, calls, gradients of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minikeras import tree
from minikeras.operations import read
from minikeras.ops.stable import as_array
from minikeras.registry import public
from minikeras.sizes import ParametersWithSizes
from minikeras.symbolic import Operation, any_symbolic
from minikeras.variables import Variable, tracing

# Where Keras's files say they are.
NUMPY, NN = "keras.src.ops.numpy", "keras.src.ops.nn"
CORE, MATH, LINALG = "keras.src.ops.core", "keras.src.ops.math", "keras.src.ops.linalg"


class TensorOperation(Operation):
    """A function of tensors with parameters, which are in its config.

    Attributes:
        parameters: the names of the parameters, with their defaults.
    """

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, *values: Any, name: str | None = None, **named: Any):
        super().__init__(name=name)
        given = {**dict(zip(self.parameters, values, strict=False)), **named}
        unknown = set(given) - set(self.parameters)
        if unknown:
            raise TypeError(
                f"{type(self).__name__} got unexpected arguments {sorted(unknown)}. "
                f"It has {list(self.parameters)}."
            )
        for key, default in self.parameters.items():
            setattr(self, key, given.get(key, default))

    def forward(self, *args: Any) -> tuple[Any, Any]:
        """(value, residuals)."""
        raise NotImplementedError

    def gradients(self, dy: Any, residuals: Any) -> tuple[Any, ...]:
        """One gradient for each argument of the call; None where there is none."""
        raise NotImplementedError

    def backward(self, dy: Any, residuals: Any, grads: Any) -> Any:
        """The gradients of the arguments that are tensors of the graph."""
        node = self._inbound_nodes[0]
        pairs = zip(node.args, self.gradients(dy, residuals), strict=True)
        found = [gradient for argument, gradient in pairs if any_symbolic(argument)]
        return found[0] if len(found) == 1 else tuple(found)

    def get_config(self) -> dict[str, Any]:
        """The name and the parameters."""
        config = {key: getattr(self, key) for key in self.parameters}
        return {**config, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TensorOperation:
        """The inverse of `get_config`."""
        return cls(**config)


class Constant(TensorOperation):
    """An operation that is constant between its jumps: no gradient."""

    def gradients(self, dy: Any, residuals: Any) -> tuple[None, ...]:
        """None for every argument."""
        return tuple(None for _ in self._inbound_nodes[0].args)


def apply(cls: type[TensorOperation], *args: Any, **parameters: Any) -> Any:
    """Calls an operation: a value for arrays, a node for symbolic tensors.

    Variables are read: in a `call` that is being traced, when the graph runs.
    """
    sized = any_symbolic(parameters)
    if sized or tracing() or any_symbolic(args):
        args = tree.map_structure(lambda a: read(a) if _is_variable(a) else a, args)
        if sized:
            return ParametersWithSizes(cls)(args, parameters)
        return cls(**parameters)(*args)
    args = tree.map_structure(lambda a: a.value if _is_variable(a) else a, args)
    return cls(**parameters, name="eager").forward(*args)[0]


def _is_variable(x: Any) -> bool:
    return isinstance(x, Variable)


def arrays(structure: Any) -> list[np.ndarray]:
    """A list or tuple of tensors as arrays."""
    return [as_array(a) for a in structure]


def operation(module: str, **parameters: Any) -> Callable[[type], type]:
    """Decorator: registers a class, with the names and defaults of its parameters."""

    def decorate(cls: type) -> type:
        cls.parameters = parameters  # type: ignore[attr-defined]
        return public(module)(cls)

    return decorate


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """`axis` as a tuple of numbers from 0 on; None: all of them."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, list | tuple) else (axis,)
    found = []
    for a in given:
        if not -rank <= a < rank:
            raise ValueError(
                f"`axis` must be an axis of a tensor of rank {rank}. Received: "
                f"axis={axis}"
            )
        found.append(a % rank)
    return tuple(found)
