"""Arguments that layers with windows share: sizes, strides, paddings."""

from __future__ import annotations

from typing import Any

from minikeras.registry import suggest


def standardize_tuple(
    value: Any, n: int, name: str, allow_zero: bool = False
) -> tuple[int, ...]:
    """One integer for all axes, or a sequence of `n`, as a tuple of positive ints.

    Args:
        value: what the user gave.
        n: how many there must be.
        name: of the argument, for errors.
        allow_zero: whether 0 is allowed as well.

    >>> standardize_tuple(3, 2, "kernel_size")
    (3, 3)
    """
    values = (value,) * n if hasattr(value, "__index__") else value
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(_expected(n, name, value))
    values = tuple(values)
    if len(values) != n:
        raise ValueError(f"{_expected(n, name, value)}, of length {len(values)}")
    for v in values:
        if not hasattr(v, "__index__"):
            raise ValueError(
                f"{_expected(n, name, value)}, including element {v!r} of type "
                f"{type(v)}"
            )
    values = tuple(v.__index__() for v in values)
    least = 0 if allow_zero else 1
    if min(values, default=least) < least:
        relation = ">= 0" if allow_zero else "> 0"
        raise ValueError(
            f"{_expected(n, name, value)}, including values that do not satisfy "
            f"`value {relation}`"
        )
    return values


def standardize_borders(value: Any, n: int, name: str) -> tuple[tuple[int, int], ...]:
    """Widths before and after each of `n` axes: one for all, one per axis, or pairs.

    >>> standardize_borders((1, (2, 3)), 2, "padding")
    ((1, 1), (2, 3))
    """
    if hasattr(value, "__index__"):
        if value < 0:
            raise ValueError(f"`{name}` cannot be negative. Received: {name}={value}.")
        value = (value,) * n
    if isinstance(value, str) or not hasattr(value, "__len__"):
        raise ValueError(
            f"`{name}` should be either an int, a tuple of {n} ints, or a tuple of {n} "
            f"tuples of 2 ints. Received: {name}={value!r}."
        )
    if len(value) != n:
        count = "two" if n == 2 else str(n)
        raise ValueError(
            f"`{name}` should have {count} elements. Received: {name}={value!r}."
        )
    entries = ("1st", "2nd", "3rd")
    return tuple(
        standardize_tuple(pair, 2, f"{entry} entry of {name}", allow_zero=True)
        for pair, entry in zip(value, entries[:n], strict=True)
    )  # type: ignore[return-value]


def _expected(n: int, name: str, value: Any) -> str:
    return (
        f"The `{name}` argument must be a positive integer or a tuple of {n} positive "
        f"integers. Received: {name}={value!r}"
    )


def standardize_padding(value: Any, allow_causal: bool = False) -> str:
    """`"valid"` or `"same"` (or `"causal"`), in lower case.

    >>> standardize_padding("SAME")
    'same'
    """
    allowed = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    padding = value.lower() if isinstance(value, str) else value
    if padding in allowed:
        return padding
    hint = suggest(value, allowed)
    if padding == "causal":
        hint = " Causal padding exists for one spatial axis only, as in Conv1D."
    raise ValueError(
        f"The `padding` argument must be one of {allowed}. Received: "
        f"padding={value!r}.{hint}"
    )
