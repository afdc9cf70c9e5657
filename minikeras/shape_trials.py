"""Shapes found by trial: for operations without a formula for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import budget, tree
from minikeras.symbolic import KerasTensor, is_keras_tensor
from minikeras.tracing import not_traced
from minikeras.watching import watching

# Sizes that stand for an unknown axis while shapes are inferred: two primes, so that an
# output axis which changes with them is unknown too. (Keras uses the same trick.)
PROBES = (83, 89)


def infer_output_spec(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    name: str = "",
) -> Any:
    """Finds output shapes by running `function` on zeros, for want of a formula."""
    leaves = tree.flatten([list(args), list(kwargs.values())])
    inputs = [leaf for leaf in leaves if is_keras_tensor(leaf)]
    budget.check_trial(inputs)

    def run(size: int) -> Any:
        filled = [_zeros_for(a, size) for a in args]
        return function(*filled, **{k: _zeros_for(v, size) for k, v in kwargs.items()})

    try:
        with not_traced(), watching(None):
            runs = [run(size) for size in PROBES]
    except (ValueError, IndexError, TypeError) as error:
        message = _message_of_trial(error, run)
        shapes = ", ".join(str(leaf.shape) for leaf in inputs)
        raise type(error)(
            f"{message} (While looking for the shape of the output of "
            f"{repr(name) if name else 'an operation'} for inputs of shape {shapes}, "
            "by a trial with zeros.)"
        ) from None

    def merge(a: Any, b: Any) -> KerasTensor:
        a, b = np.asarray(a), np.asarray(b)
        shape = [m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)]
        return KerasTensor(shape, a.dtype.name)

    return tree.map_structure(merge, *runs)


def _zeros_for(structure: Any, size: int) -> Any:
    def make(leaf: Any) -> Any:
        if not is_keras_tensor(leaf):
            return leaf
        if leaf._probes is not None and size in PROBES:  # a symbolic size
            return np.asarray(leaf._probes[PROBES.index(size)], leaf.dtype)
        return np.zeros([size if n is None else n for n in leaf.shape], leaf.dtype)

    return tree.map_structure(make, structure)


def _message_of_trial(error: Exception, run: Callable[[int], Any]) -> str:
    """What went wrong, without the sizes that only the trial knows: those of a trial
    with one example say the same, if that fails too."""
    try:
        run(1)
    except type(error) as plain:
        return str(plain)
    except Exception:
        pass
    return re.sub(rf"\b({'|'.join(map(str, PROBES))})\b", "None", str(error))
