"""Sizes of axes that are known only when a graph runs, as numbers in a traced `call`.

    def call(self, x):
        batch = ops.shape(x)[0]
        noise = random.normal((batch, 3), seed=self.seed_generator)
        return ops.reshape(x, (batch, -1)) + ops.zeros((batch, 1))

`ops.shape` gives symbolic numbers for such axes, as Keras on TensorFlow does. They may
be computed with, and stand in the shapes that other operations take.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from minikeras import naming, tree
from minikeras.shape_trials import PROBES, infer_output_spec
from minikeras.symbolic import KerasTensor, Operation, any_symbolic, is_keras_tensor


class SizeOf(Operation):
    """The size of one axis of a tensor, as a number. It has no gradient."""

    def __init__(self, axis: int):
        super().__init__(name=naming.auto_name("size_of"))
        self.axis = axis

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """An int32."""
        return np.asarray(x.shape[self.axis], "int32"), None

    def compute_output_spec(self, x: KerasTensor) -> KerasTensor:
        """A number that takes both probes while shapes are tried out."""
        size = KerasTensor((), "int32")
        size._probes = PROBES
        return size

    def backward(self, dy: Any, residuals: None, grads: Any) -> None:
        """None."""


def symbolic_shape(x: KerasTensor) -> tuple[Any, ...]:
    """The shape, with symbolic numbers for unknown sizes."""
    return tuple(SizeOf(i)(x) if n is None else n for i, n in enumerate(x.shape))


class WithSizes(Operation):
    """A function some of whose arguments hold sizes known at run time.

    Args:
        function: `function(*args, **kwargs) -> array`.
    """

    checks_last = False  # whether sizes are in the last argument alone

    def __init__(self, function: Callable[..., Any]):
        super().__init__(name=naming.auto_name(function.__name__))
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Records a call; checks that it is known how sizes change."""
        check_sizes(args[-1] if self.checks_last else args, self.function.__name__)
        return super().__call__(*args)

    def forward(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """(value, None)."""
        return self.function(*numbers(args), **numbers(kwargs)), None

    def compute_output_spec(self, *args: Any) -> Any:
        """By a trial."""
        return infer_output_spec(lambda *a: self.forward(*a)[0], args, {}, self.name)

    def backward(self, dy: Any, residuals: Any, grads: Any) -> Any:
        """None for each argument with tensors."""
        count = len(self._inbound_nodes[0].tensor_arguments)
        return None if count == 1 else (None,) * count


class ParametersWithSizes(WithSizes):
    """An operation of `keras.ops` whose parameters hold sizes known at run time."""

    checks_last = True

    def compute_output_spec(self, args: Any, parameters: Any) -> Any:
        """By a trial; NB: a reshape to unknown sizes leaves them unknown, as in Keras,
        that of -1 too."""
        shape = parameters.get("newshape")
        if shape is None:
            return super().compute_output_spec(args, parameters)
        unknown = [is_keras_tensor(n) or n == -1 for n in shape]
        known = [None if u else n for n, u in zip(shape, unknown, strict=True)]
        return KerasTensor(known, args[0].dtype)

    def forward(self, args: Any, parameters: Any) -> tuple[Any, Any]:
        """That of the operation, made anew with the sizes of this run."""
        operation = self.function(**numbers(parameters), name="eager")
        y, residuals = operation.forward(*args)
        return y, (operation, residuals)

    def backward(self, dy: Any, residuals: Any, grads: Any) -> Any:
        """That of the operation; None for the sizes."""
        operation, kept = residuals
        args, _ = self._inbound_nodes[0].args
        if not any_symbolic(args):
            return None
        operation._inbound_nodes = [SimpleNamespace(args=args)]
        return list(operation.gradients(dy, kept)), None


def with_sizes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a function that makes arrays takes symbolic sizes too."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic((args, kwargs)):
            return WithSizes(function)(args, kwargs)
        return function(*args, **kwargs)

    return call


def numbers(structure: Any) -> Any:
    """Single integers that a graph computed, as Python's."""

    def number(leaf: Any) -> Any:
        is_array = isinstance(leaf, np.ndarray | np.generic)
        whole = is_array and leaf.ndim == 0 and leaf.dtype.kind in "iu"
        return int(leaf) if whole else leaf

    return tree.map_structure(number, structure)


def check_sizes(structure: Any, name: str) -> None:
    """Refuses numbers of which is not known how they follow from the sizes of axes."""
    for leaf in tree.flatten(structure):
        if is_keras_tensor(leaf) and leaf.shape == () and leaf._probes is None:
            raise ValueError(
                f"`{name}` is given a shape that is not known while `call` is traced. "
                "Make it of integers and of the entries of `keras.ops.shape(x)`, with "
                f"+, -, * and //. Received: {leaf!r}"
            )
