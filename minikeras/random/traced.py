"""Random numbers in a traced `call`: nodes of a graph, which draw when it runs.

    def call(self, inputs):
        mean, log_var = inputs
        noise = random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise

Each run of the graph asks the seed generator anew, in the order in which the calls were
written; a micro-batch gets its slice, see `micro_batch.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import naming, tree
from minikeras.shape_trials import infer_output_spec
from minikeras.sizes import check_sizes, numbers
from minikeras.symbolic import (
    KerasTensor,
    Node,
    Operation,
    any_symbolic,
    is_keras_tensor,
)
from minikeras.tracing import tracing
from minikeras.variables import Variable, standardize_dtype


class Draw(Operation):
    """One call of a function of `keras.random`, as a node.

    The parameters of a distribution have no gradient: see `standardized`.

    Args:
        function: the function.
        seed: as it takes it.
    """

    def __init__(self, function: Callable[..., Any], seed: Any):
        super().__init__(name=naming.auto_name(function.__name__))
        self.function = function
        self.seed = seed

    def record(self, arguments: dict[str, Any]) -> KerasTensor:
        """The node of a call with these arguments."""
        check_sizes(arguments, f"keras.random.{self.function.__name__}")
        outputs = self.compute_output_spec(arguments)
        Node(self, (arguments,), {}, outputs)
        return outputs

    def forward(self, arguments: dict[str, Any]) -> tuple[np.ndarray, None]:
        """New numbers; the seed generator moves on."""
        return self.function(**{"seed": self.seed, **numbers(arguments)}), None

    def compute_output_spec(self, arguments: dict[str, Any]) -> Any:
        """By a trial that leaves the seed generator as it is."""
        return infer_output_spec(
            lambda a: self.function(**{**numbers(a), "seed": 0}),
            (arguments,),
            {},
            f"keras.random.{self.function.__name__}",
        )

    def backward(self, dy: Any, residuals: None, grads: Any) -> Any:
        """None; or nothing, where no tensor came in."""
        return None if self._inbound_nodes[0].tensor_arguments else ()

    def _nothing(self) -> dict[str, Any]:
        """No gradient for any argument."""
        return tree.map_structure(lambda _: None, self._inbound_nodes[0].args[0])


class DropoutDraw(Draw):
    """`keras.random.dropout` of a tensor: dx is dy, scaled, where x was kept."""

    def forward(self, arguments: dict[str, Any]) -> tuple[np.ndarray, Any]:
        """Ones are dropped out first; (y, what is left of them)."""
        arguments = numbers(arguments)
        x = arguments.pop("inputs")
        given = {"seed": self.seed, **arguments}
        kept = self.function(np.ones_like(x), **given)
        return np.where(kept != 0, x * kept, x.dtype.type(0)), kept

    def backward(self, dy: Any, residuals: Any, grads: Any) -> Any:
        """In forward: y = x * kept."""
        return {**self._nothing(), "inputs": dy * residuals}


class ShuffleDraw(Draw):
    """`keras.random.shuffle` of a tensor: dx is dy in the order of before."""

    def forward(self, arguments: dict[str, Any]) -> tuple[np.ndarray, Any]:
        """(y, (axis, the places that the slices came from))."""
        x, axis = arguments["x"], arguments.get("axis", 0)
        seed = arguments.get("seed", self.seed)
        order = self.function(np.arange(x.shape[axis]), seed=seed)
        return x.take(order, axis), (axis, order)

    def backward(self, dy: Any, residuals: Any, grads: Any) -> Any:
        """In forward: y = x.take(order)."""
        axis, order = residuals
        return {**self._nothing(), "x": dy.take(np.argsort(order), axis)}


def drawn_when_run(node: type[Draw] = Draw) -> Callable[..., Any]:
    """Decorator: the function gives a node where a `call` is traced."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            symbolic = any_symbolic((args, kwargs))
            if not symbolic and not tracing():
                return function(*args, **kwargs)
            arguments = signature.bind(*args, **kwargs).arguments
            seed = arguments.pop("seed", None)
            if is_keras_tensor(seed):  # `generator.next()`
                arguments["seed"] = seed
            changes = not isinstance(seed, int | np.ndarray)
            variables = any(isinstance(a, Variable) for a in arguments.values())
            if not (symbolic or changes or variables):
                return function(**{**arguments, "seed": seed})  # the same at every run
            for key, value in arguments.items():
                if isinstance(value, Variable):
                    from minikeras.operations import read

                    arguments[key] = read(value)
            return standardized(node, function, seed, dict(arguments))

        return call

    return decorate


def standardized(
    node: type[Draw], function: Callable[..., Any], seed: Any, arguments: dict[str, Any]
) -> Any:
    """The draw itself; where a parameter of the distribution is a tensor, standard
    numbers, scaled by operators, so that its gradient is known."""

    def given(name: str, default: float) -> Any:
        value = arguments.pop(name, default)
        return value if is_keras_tensor(value) else np.asarray(value, dtype)

    pairs = {"mean": "stddev", "minval": "maxval"}
    for first, second in pairs.items():
        floats = function.__name__ != "randint"
        if floats and any(is_keras_tensor(arguments.get(n)) for n in (first, second)):
            dtype = standardize_dtype(arguments.get("dtype"))
            if first == "mean":
                mean, stddev = given("mean", 0.0), given("stddev", 1.0)
                return node(function, seed).record(arguments) * stddev + mean
            low, high = given("minval", 0.0), given("maxval", 1.0)
            return node(function, seed).record(arguments) * (high - low) + low
    return node(function, seed).record(arguments)
