"""How many parameters a layer has, as a formula with the numbers put in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_GATES = re.compile(r"(\w+) x \[([\w ]+)\]")


def gates_of(axes: Sequence[str], shape: Sequence[int]) -> dict[str, slice]:
    """gate -> its columns, from the meaning of the last axis.

    >>> gates_of(("inputs", "units x [z r h]"), (3, 6))["r"]
    slice(2, 4, None)
    """
    match = _GATES.fullmatch(axes[-1]) if axes else None
    if match is None:
        return {}
    names = match[2].split()
    units = shape[-1] // len(names)
    return {g: slice(k * units, (k + 1) * units) for k, g in enumerate(names)}


def array_count(
    shape: Sequence[int], axes: Sequence[str], gates: dict[str, slice]
) -> str:
    """The count of one array.

    >>> array_count((784, 10), ("inputs", "units"), {})
    '784 inputs x 10 units = 7,840'
    """
    words, sizes = _factors(shape, axes, gates)
    parts = [f"{n} {w}".strip() for w, n in zip(words, sizes, strict=True)]
    if gates:
        parts.insert(-1, f"{len(gates)} gates")
    total = len(gates) or 1
    for n in sizes:
        total *= n
    if not any(words) and len(parts) < 2:
        return f"{total:,}"
    result = " x ".join(parts)
    return result if len(parts) == 1 else f"{result} = {total:,}"


def layer_count(arrays: Sequence[Any]) -> str:
    """The count of a layer: a sum over its arrays.

    Args:
        arrays: (shape, axes, gates) of each one.

    >>> layer_count([((784, 10), ("inputs", "units"), {}), ((10,), ("units",), {})])
    'inputs x units + units = 784 x 10 + 10 = 7,850'
    """
    words, numbers, total, gates = [], [], 0, 0
    for shape, axes, blocks in arrays:
        names, sizes = _factors(shape, axes, blocks)
        known = all(names)
        # A size that has no name stands for itself.
        symbols = [
            str(n) if w in ("", "biases") else w
            for w, n in zip(names, sizes, strict=True)
        ]
        words.append(_product(symbols))
        numbers.append(_product([str(n) for n in sizes]))
        product = 1
        for n in sizes:
            product *= n
        total += product
        gates = len(blocks)
        if not known and not any(names):
            words[-1] = numbers[-1]
    result = f"{total * (gates or 1):,}"
    steps = [_sum(words, gates), _sum(numbers, gates), result]
    return " = ".join(s for k, s in enumerate(steps) if s not in steps[:k])


def _factors(
    shape: Sequence[int], axes: Sequence[str], gates: dict[str, slice]
) -> tuple[list[str], list[int]]:
    """The words and sizes of the axes, the gates taken out of the last one."""
    words = ["biases" if a == "input and recurrent" else a for a in axes]
    sizes = list(shape)
    if gates:
        words[-1] = "units"
        sizes[-1] //= len(gates)
    return words, sizes


def _product(factors: list[str]) -> str:
    return " x ".join(factors) or "1"


def _sum(terms: list[str], gates: int) -> str:
    if len(terms) > 1 and len(set(terms)) == 1:
        return f"{len(terms)} x {terms[0]}"
    if not gates:
        return " + ".join(terms)
    inner = " + ".join(terms)
    return f"{gates} x ({inner})" if len(terms) > 1 else f"{gates} x {inner}"
