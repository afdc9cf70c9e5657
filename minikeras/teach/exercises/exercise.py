"""What an exercise is: data about a piece of the library that is written again."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras.gradients import Gradients
from minikeras.variables import Variable


@dataclass(frozen=True)
class Blank:
    """A part of the library's source that is taken out.

    Attributes:
        where: a function, `"Dense.backward"`, or `"sigmoid.gradient"` for the function
            below `@sigmoid.gradient`.
        note: a comment that stands in its place.
        keep: how the statements begin that stay at its start.
        only: how the statements begin that are taken out; empty: all.
        doc: a docstring instead of the library's, where that tells too much.
    """

    where: str
    note: str = ""
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    doc: str = ""


@dataclass(frozen=True)
class Slip:
    """A mistake that is known: an edit of the library's source that makes it.

    An answer that is what the edited source gives is told `text`.
    """

    text: str
    edits: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Exercise:
    """One exercise. The solution is the library's own source, read when wanted.

    Attributes:
        name: also of the file that the learner writes.
        title: a line.
        text: what is given, shapes, formula, and where the derivation starts.
        module: the module of the library that holds the solution.
        show: the parts of it that the learner's file has, in order.
        blanks: what is taken out of them.
        hints: from gentle to nearly the answer.
        cases: names of the kinds of inputs that `draw` makes; the first is the simplest
            and has no kinks.
        draw: `draw(rng, case)` -> name -> array (or number) of float64.
        answers: `answers(ns, v)` -> name -> array, where `ns` has the functions (the
            learner's or the library's) and `v` the drawn inputs as attributes.
        outputs: the forward pass alone, for numeric derivatives: `answers["dx"]` is the
            derivative of the sum of `v.dy * outputs["y"]` with respect to `v.x`. None
            where the answers are no gradients.
        keras: the same outputs by Keras: `keras(module, v)`, tensors in, tensors out.
        sizes: `sizes(v)` -> what a size is -> the size, for "divided by the batch".
        blocks: name of an answer -> names of the blocks of its last axis.
        writable: inputs that may be written to.
        slips: mistakes that are known.
        renamed: answer -> input it is the derivative for, if not by its name.
    """

    name: str
    title: str
    text: str
    module: str
    show: tuple[str, ...]
    blanks: tuple[Blank, ...]
    hints: tuple[str, ...]
    cases: tuple[str, ...]
    draw: Callable[[np.random.Generator, str], dict[str, Any]]
    answers: Callable[[Any, Any], dict[str, Any]]
    outputs: Callable[[Any, Any], dict[str, Any]] | None = None
    keras: Callable[[Any, Any], dict[str, Any]] | None = None
    sizes: Callable[[Any], dict[str, int]] = lambda v: {}
    blocks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    writable: tuple[str, ...] = ()
    slips: tuple[Slip, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def library(self) -> Any:
        """The module with the solution."""
        return importlib.import_module(self.module)

    @property
    def is_gradient(self) -> bool:
        """Whether the answers are gradients, which can be checked numerically."""
        return self.outputs is not None

    def source(self, answer: str) -> str:
        """The input whose gradient an answer is."""
        return self.renamed.get(answer, answer.removeprefix("d"))


class WrongStructure(Exception):
    """A function returned something else than what it must return."""


def named(function: str, result: Any, *names: str) -> dict[str, Any]:
    """The results of a function by their names; refuses another number of them.

    >>> named("f", (1, 2), "dx", "dy")
    {'dx': 1, 'dy': 2}
    """
    if len(names) == 1:
        return {names[0]: result}
    if not isinstance(result, tuple | list) or len(result) != len(names):
        what = type(result).__name__
        if isinstance(result, tuple | list):
            what = f"a {what} of {len(result)}"
        elif result is None:
            what = "None. Is the `return` missing?"
        raise WrongStructure(
            f"`{function}` must return {len(names)} things: {', '.join(names)}. "
            f"Received: {what}"
        )
    return dict(zip(names, result, strict=True))


class Collected(Gradients):
    """`Gradients` that takes any shape, so that a wrong one can be explained."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}

    def add(self, variable: Variable, gradient: Any) -> None:
        """Adds without a look at the shape."""
        known = self.found.get(id(variable))
        self.found[id(variable)] = gradient if known is None else known + gradient

    def of(self, variable: Variable) -> Any:
        """What was added, or None."""
        return self.found.get(id(variable))


def frozen(structure: Any) -> Any:
    """The structure, its arrays read-only: what is given must not be changed."""
    if isinstance(structure, np.ndarray):
        structure.setflags(write=False)
    elif isinstance(structure, dict):
        frozen(list(structure.values()))
    elif isinstance(structure, tuple | list):
        for item in structure:
            frozen(item)
    return structure
