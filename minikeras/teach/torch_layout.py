"""How PyTorch lays out the arrays of a layer, read off the rules that convert them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.interop.torch_rules import RECURRENT, RULES, Rule, Unsuited


def torch_layout(layer: Any) -> dict[int, str]:
    """id of a variable -> what PyTorch keeps in its place; empty without counterpart.

    NB: After a Flatten of channels first, PyTorch's Linear has its inputs in another
    order too: see `flatten` of `minikeras.interop.to_torch`.

    >>> import minikeras as keras
    >>> layer = keras.layers.Dense(10)
    >>> layer.build((None, 784))
    >>> torch_layout(layer)[id(layer.kernel)]
    'weight = kernel.T, (10, 784)'
    """
    kind = type(layer).__name__
    if kind not in RULES:
        return {}
    try:
        rules = RULES[kind][1](layer)
    except Unsuited as reason:
        why, _, _ = str(reason).partition(". ")
        return {id(v): f"none: {why.removesuffix('.')}" for v in layer.weights}
    suffix = "_l0" if kind in RECURRENT else ""
    return {id(rule.variable): _describe(rule, suffix) for rule in rules}


def _describe(rule: Rule, suffix: str) -> str:
    """What the rule does, seen by what it does to numbered places."""
    variable = rule.variable
    places = np.arange(1, variable.size + 1, dtype="float64").reshape(variable.shape)
    arrays = rule.to_torch(places)
    parts = []
    for k, (name, array) in enumerate(zip(rule.names, arrays, strict=True)):
        source, own = variable.name, places
        if len(arrays) > 1 and places.ndim > array.ndim:  # one row each
            source, own = f"{source}[{k}]", places[k]
        value = "zeros" if not array.any() else source + _change(own, array)
        parts.append(f"{name}{suffix} = {value}")
    return f"{'; '.join(parts)}, {arrays[0].shape}"


def _change(own: np.ndarray, array: np.ndarray) -> str:
    """The change from one to the other, as NumPy would write it."""
    if array.shape == own.shape and (array == own).all():
        return ""
    last = own.ndim - 1
    if own.ndim == 2 and (array == own.T).all():
        return ".T"
    if own.ndim > 2:
        return f".transpose({', '.join(map(str, (last, last - 1, *range(last - 1))))})"
    # GRU: the blocks are in another order too.
    return f"{'.T' * (own.ndim == 2)} with the blocks in the order r, z, h"
