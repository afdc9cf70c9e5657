"""Classic slips, planted on purpose: the harness must catch every one.

Each is a real layer with one method altered, so that nothing else can be what is
caught. `BUGS` lists them with the specimen they are planted in and a part of the
message they must be caught with. `test_harness.py` runs them, and the unaltered
specimens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras import layers, tree
from minikeras.gradients import Gradients
from parity_tests.harness import check_layer
from parity_tests.oracle import keras


@dataclass(frozen=True)
class Specimen:
    """A layer, a config and an input under which a slip would show."""

    layer: str
    config: dict[str, Any]
    inputs: Any
    options: dict[str, Any] = field(default_factory=dict)

    def check(self, cls: type | None = None, **options: Any) -> None:
        """The harness on this specimen, or on an altered class in its place."""
        cls = cls or getattr(layers, self.layer)
        twin = getattr(keras.layers, self.layer)
        check_layer(
            lambda: cls(**self.config),
            lambda: twin(**self.config),
            self.inputs,
            **{"dtype": "float64", "train_steps": 1, **self.options, **options},
        )


@dataclass(frozen=True)
class PlantedBug:
    """A slip: what it is, where it is planted, and the message that shows it."""

    name: str
    specimen: Specimen
    cls: type
    message: str  # a regular expression
    options: dict[str, Any]


BUGS: list[PlantedBug] = []


def altered(name: str, **methods: Callable[..., Any]) -> type:
    """The layer class with some methods replaced.

    A replacement is called as `method(self, original, *args, **kwargs)`.
    """
    base = getattr(layers, name)
    members = {}
    for key, replacement in methods.items():
        if not callable(replacement):
            members[key] = replacement
            continue
        original = getattr(base, key)

        @functools.wraps(original)
        def method(self, *args, _new=replacement, _old=original, **kwargs):
            return _new(self, functools.partial(_old, self), *args, **kwargs)

        members[key] = method
    return type(name, (base,), members)


def plant(
    name: str, specimen: Specimen, message: str, *, options: Any = None, **methods: Any
) -> None:
    """Adds a bug to the list."""
    cls = altered(specimen.layer, **methods)
    BUGS.append(PlantedBug(name, specimen, cls, message, options or {}))


def weight_gradients(edit: Callable[[Any, np.ndarray], Any]) -> Callable[..., Any]:
    """A backward whose weight gradients go through `edit(variable, gradient)`."""

    def backward(self, original, dy, residuals, grads, **options):
        collected = Gradients(self.trainable_weights)
        dx = original(dy, residuals, collected, **options)
        for variable, gradient in collected.items():
            edited = edit(variable, np.asarray(gradient))
            if edited is not None:
                grads.add(variable, np.ascontiguousarray(edited))
        return dx

    return backward


def input_gradient(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """A backward whose dx goes through `edit`."""

    def backward(self, original, dy, residuals, grads, **options):
        dx = original(dy, residuals, grads, **options)
        return None if dx is None else tree.map_structure(edit, dx)

    return backward


def outputs(edit: Callable[..., Any]) -> Callable[..., Any]:
    """A forward whose y goes through `edit(self, y)`."""

    def forward(self, original, *args, **kwargs):
        y, residuals = original(*args, **kwargs)
        return edit(self, y), residuals

    return forward


def only(name: str, edit: Callable[[np.ndarray], Any]) -> Callable[[Any, Any], Any]:
    """An edit of the gradients of the weights with this name."""
    return lambda variable, g: edit(g) if variable.name == name else g
