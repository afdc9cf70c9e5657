"""Whether a `call` or a `compute_loss` is being traced, in this thread.

What variables do is then recorded, as what symbolic tensors do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()


def tracing() -> bool:
    """Whether operators of variables record nodes."""
    return getattr(_local, "depth", 0) > 0


@contextmanager
def trace_variables() -> Iterator[None]:
    """Within it the operators of variables record nodes, as those of tensors do."""
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1


@contextmanager
def not_traced() -> Iterator[None]:
    """Within it nothing is recorded: weights are made, or shapes are tried out."""
    depth, _local.depth = getattr(_local, "depth", 0), 0
    try:
        yield
    finally:
        _local.depth = depth


@contextmanager
def refuse_values(where: str) -> Iterator[None]:
    """Within it no variable becomes an array or a number.

    Args:
        where: the name of the method that is traced.
    """
    _local.refused_in = where
    try:
        yield
    finally:
        _local.refused_in = None


def refuse_value(what: str) -> None:
    """Refuses that a value is asked for which would have no gradient.

    Raises:
        ValueError: within `refuse_values`.
    """
    where = getattr(_local, "refused_in", None)
    if where is not None:
        raise ValueError(
            f"{what} was asked for, or changed, while `{where}` is traced, with "
            "symbolic tensors: it would be a number of this moment, without a gradient."
            " Use variables themselves, with operators and `keras.ops`; the penalties "
            "are in `self.losses`."
        )
