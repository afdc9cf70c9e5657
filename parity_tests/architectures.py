"""Whole models, drawn: chains, branches, shared and nested layers, several outputs.

An `Architecture` is a recipe. Called with `minikeras` or with `keras` it makes the same
compiled model. `drawn_architectures.py` draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minikeras import tree

Shape = tuple[int, ...]
VOCABULARY = 5
MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
}


@dataclass(frozen=True)
class Step:
    """One call: what is called, with which config, on which earlier tensors.

    `name` is a layer class, `"nested"` (config: a list of `(name, config)`), `"again"`
    (config: the number of the step whose layer is called again) or an operator.
    """

    name: str
    config: Any
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """An output: the tensor it is made of, units, activation and loss."""

    tensor: int
    units: int
    activation: str | None
    loss: str


@dataclass(frozen=True)
class Architecture:
    """A model as a list of steps. Tensors are numbered: inputs, then step results."""

    inputs: tuple[Shape, ...]
    ids: bool  # whether the inputs are integers
    steps: tuple[Step, ...]
    heads: tuple[Head, ...]
    optimizer: tuple[str, dict[str, Any]]
    sequential: bool = False

    def __call__(self, k: Any) -> Any:
        """The compiled model in library `k`."""
        model = self._chain(k) if self.sequential else self._graph(k)
        name, config = self.optimizer
        one = len(self.heads) == 1
        model.compile(
            optimizer=getattr(k.optimizers, name)(**config),
            loss=self.heads[0].loss if one else [head.loss for head in self.heads],
        )
        return model

    def _chain(self, k: Any) -> Any:
        head = self.heads[0]
        stack = [k.layers.Input(self.inputs[0], dtype=self._dtype)]
        stack += [_make(k, step.name, step.config) for step in self.steps]
        stack.append(k.layers.Dense(head.units, activation=head.activation))
        return k.Sequential(stack)

    def _graph(self, k: Any) -> Any:
        tensors = [k.layers.Input(shape, dtype=self._dtype) for shape in self.inputs]
        inputs, made = list(tensors), []
        for step in self.steps:
            arguments = [tensors[i] for i in step.inputs]
            if step.name in MERGES:
                made.append(None)
                tensors.append(MERGES[step.name](*arguments))
                continue
            again = step.name == "again"
            layer = made[step.config] if again else _make(k, step.name, step.config)
            made.append(layer)
            tensors.append(layer(*arguments))
        outputs = [
            k.layers.Dense(head.units, activation=head.activation)(tensors[head.tensor])
            for head in self.heads
        ]
        one = outputs[0] if len(outputs) == 1 else outputs
        return k.Model(inputs[0] if len(inputs) == 1 else inputs, one)

    @property
    def _dtype(self) -> str | None:
        return "int32" if self.ids else None

    def data(self, examples: int, seed: int, dtype: str) -> tuple[Any, Any]:
        """(x, y) that fit the model."""
        rng = np.random.default_rng(seed)
        xs = [self._x(rng, (examples, *shape), dtype) for shape in self.inputs]
        ys = [_targets(rng, head, examples, dtype) for head in self.heads]
        return (xs[0] if len(xs) == 1 else xs), (ys[0] if len(ys) == 1 else ys)

    def _x(self, rng: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
        if self.ids:
            return rng.integers(0, VOCABULARY, shape).astype("int32")
        return rng.standard_normal(shape).astype(dtype)


def _make(k: Any, name: str, config: Any) -> Any:
    if name == "nested":
        return k.Sequential([_make(k, inner, options) for inner, options in config])
    return getattr(k.layers, name)(**config)


def _targets(
    rng: np.random.Generator, head: Head, examples: int, dtype: str
) -> np.ndarray:
    if head.loss == "sparse_categorical_crossentropy":
        return rng.integers(0, head.units, examples)
    if head.loss == "categorical_crossentropy":
        return np.eye(head.units, dtype=dtype)[rng.integers(0, head.units, examples)]
    if head.loss == "binary_crossentropy":
        return rng.integers(0, 2, (examples, head.units)).astype(dtype)
    return rng.standard_normal((examples, head.units)).astype(dtype)


def layers_in(architecture: Architecture) -> set[str]:
    """The layer classes in it, nested ones too; for checks of the drawing itself."""
    names = set()
    for step in architecture.steps:
        inner = [n for n, _ in step.config] if step.name == "nested" else []
        names.update([step.name, *inner])
    return names | {head.loss for head in tree.flatten(list(architecture.heads))}
