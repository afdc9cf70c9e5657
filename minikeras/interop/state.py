"""Variables of two models of the same architecture, pair by pair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.messages import warn


class Pair(NamedTuple):
    """A variable and the one in the other library that is the same."""

    source: Any
    target: Any


def named_variables(model: Any) -> list[Any]:
    """All variables, of a model of either library, in the order both have: weights,
    seed states, and the states of stateful recurrent layers, which no list of Keras's
    contains."""
    found = {id(v): v for v in model.variables}
    seen: set[int] = set()
    stack = [model]
    while stack:
        layer = stack.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        for state in tree.flatten(getattr(layer, "states", None)):
            if hasattr(state, "assign"):
                found.setdefault(id(state), state)
        inner = list(getattr(layer, "layers", None) or ())
        for name in ("layer", "forward_layer", "backward_layer"):
            if hasattr(getattr(layer, name, None), "variables"):
                inner.append(getattr(layer, name))
        stack.extend(reversed(inner))
    return list(found.values())


def pair_variables(source: Any, target: Any, giver: str, receiver: str) -> list[Pair]:
    """The variables of two models side by side.

    Raises:
        ValueError: if they do not correspond in number, name, shape or dtype.
    """
    a, b = named_variables(source), named_variables(target)
    described = [[_describe(v) for v in variables] for variables in (a, b)]
    if described[0] != described[1]:
        raise ValueError(_mismatch(source, target, giver, receiver, a, b))
    return [Pair(x, y) for x, y in zip(a, b, strict=True)]


def _describe(variable: Any) -> tuple[Any, ...]:
    # Names end in a number when nobody gave them; seeds are of any integer type.
    name = re.sub(r"_\d+$", "", variable.name)
    dtype = str(variable.dtype)
    return name, tuple(variable.shape), dtype if "float" in dtype else "int"


def _mismatch(
    source: Any, target: Any, giver: str, receiver: str, a: list[Any], b: list[Any]
) -> str:
    def text(variables: list[Any], i: int) -> str:
        if i >= len(variables):
            return "nothing"
        v = variables[i]
        return f"'{v.path}' of shape {tuple(v.shape)} and dtype {v.dtype}"

    first = next(
        i
        for i in range(max(len(a), len(b)))
        if i >= len(a) or i >= len(b) or _describe(a[i]) != _describe(b[i])
    )
    hint = ""
    if len(a) != len(b) and not getattr(target, "built", True):
        hint = (
            f" The model was not built in {receiver}: its class needs a `build`, or a "
            "`call` that the input shape is enough to trace."
        )
    elif len(a) < len(b):
        hint = " Is a layer shared by two parts of the model that are saved apart?"
    return (
        f"The variables of model '{source.name}' do not fit: {giver} has {len(a)}, "
        f"{receiver} {len(b)}. The first that differs: {text(a, first)} in {giver}, "
        f"{text(b, first)} in {receiver}.{hint}"
    )


def copy_variables(pairs: Sequence[Pair]) -> None:
    """Values, and which variables are trained."""
    for source, target in pairs:
        target.assign(np.asarray(source.numpy()))
        if bool(source.trainable) != bool(target.trainable):
            target.trainable = bool(source.trainable)


def copy_optimizer(source: Any, target: Any) -> None:
    """The step count, the learning rate and what is kept for each weight.

    An optimizer that has not been used has only the first two. If the rest does not
    fit, a warning says so, as when a file is read.
    """
    if source is None or target is None:
        return
    a, b = list(source.variables), list(target.variables)
    if not source.built:
        b = b[: len(a)]
    shapes = [[tuple(v.shape) for v in variables] for variables in (a, b)]
    if shapes[0] != shapes[1]:
        warn(
            f"The state of optimizer '{source.name}' was not handed over: it has "
            f"{len(a)} variables for the weights that were trained when it was built, "
            f"and {len(b)} are needed for those that are trained now.",
        )
        return
    for x, y in zip(a, b, strict=True):
        y.assign(np.asarray(x.numpy()))
