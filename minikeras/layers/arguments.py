"""Arguments that layers with windows share: sizes, strides, paddings."""

from __future__ import annotations

from typing import Any

from minikeras.registry import suggest


def standardize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """One integer for all axes, or a sequence of `n`, as a tuple of positive ints.

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
    if min(values, default=1) <= 0:
        raise ValueError(
            f"{_expected(n, name, value)}, including values that do not satisfy "
            "`value > 0`"
        )
    return values


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
