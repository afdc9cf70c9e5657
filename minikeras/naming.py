"""Names: `dense`, `dense_1`, ...; and paths: `sequential/dense/kernel`.

Keras numbers objects per process and class, and gives every Variable the path of the
name scopes that were open when it was made. Both are kept here; both are reset by
`minikeras.utils.clear_session()`.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_counts: defaultdict[str, int] = defaultdict(int)
_local = threading.local()
_reset_hooks: list[Callable[[], None]] = []


def to_snake_case(name: str) -> str:
    """`"MaxPooling2D"` -> `"max_pooling2d"`, Keras's rule.

    >>> to_snake_case("MaxPooling2D"), to_snake_case("LSTM")
    ('max_pooling2d', 'lstm')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name: str) -> str:
    """The name itself the first time, then `name_1`, `name_2`, ..."""
    count = _counts[name]
    _counts[name] += 1
    return name if count == 0 else f"{name}_{count}"


def auto_name(prefix: str) -> str:
    """A fresh name for an object of class `prefix`."""
    return uniquify(to_snake_case(prefix))


def get_uid(prefix: str = "") -> int:
    """A number that grows by one per call and prefix, from 1."""
    _counts[f"uid:{prefix}"] += 1
    return _counts[f"uid:{prefix}"]


def reset_uids() -> None:
    """Starts all numbering again."""
    _counts.clear()


def on_clear_session(hook: Callable[[], None]) -> Callable[[], None]:
    """Registers `hook` to run in `clear_session` (decorator)."""
    _reset_hooks.append(hook)
    return hook


def clear_session(free_memory: bool = True) -> None:
    """Forgets the names given so far and the other global state, as in Keras.

    Args:
        free_memory: accepted as in Keras; NumPy frees arrays by itself.
    """
    reset_uids()
    _local.__dict__.clear()
    for hook in _reset_hooks:
        hook()


def _scopes() -> list[tuple[str, Any]]:
    if not hasattr(_local, "scopes"):
        _local.scopes = []
    return _local.scopes


@contextmanager
def name_scope(name: str, caller: Any = None) -> Iterator[None]:
    """Variables made inside get `name/` before their own name.

    Entering the scope of the same `caller` again adds nothing (a layer opens its scope
    when called and once more when built). A name starting with "/" starts a new path.
    """
    scopes = _scopes()
    if caller is not None and scopes and scopes[-1][1] is caller:
        yield
        return
    saved = None
    if name.startswith("/"):
        saved, scopes[:] = list(scopes), []
    scopes.append((name.lstrip("/"), caller))
    try:
        yield
    finally:
        if saved is not None:
            scopes[:] = saved
        else:
            scopes.pop()


def current_path() -> str:
    """The open scopes joined by "/"; empty outside any."""
    return "/".join(name for name, _ in _scopes())
