"""Watching graphs run: each call with what goes in and comes out, both ways.

    with watching(watcher):
        model.forward(x)  # calls the watcher's methods, see `Watcher`

Only for this thread, and only inside of the block. A graph that nobody watches asks
once per pass. `teach.trace` is made with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from minikeras.graph_steps import Record, Step


class Watcher(Protocol):
    """What a graph tells of each call. Calls inside of a call (of a nested model) are
    told between its beginning and its end."""

    def begins(
        self, step: Step, args: tuple, kwargs: dict[str, Any], mask: Any
    ) -> None:
        """A call is about to run forward, with these arguments."""

    def ends(self, record: Record, outputs: list[Any]) -> None:
        """It has run, and left this record and these outputs."""

    def begins_backward(self, record: Record, dy: Any, dlogits: tuple) -> None:
        """The same call is about to run backward, from these gradients."""

    def ends_backward(self, record: Record, dx: Any) -> None:
        """It has; the gradients of its arguments, None if nobody wanted them."""


class _Current(threading.local):
    watcher: Watcher | None = None


_current = _Current()


def current_watcher() -> Watcher | None:
    """Who watches the graphs of this thread; nearly always nobody."""
    return _current.watcher


@contextmanager
def watching(watcher: Watcher | None) -> Iterator[None]:
    """Within it the graphs that this thread runs report to `watcher`, or to nobody."""
    before, _current.watcher = _current.watcher, watcher
    try:
        yield
    finally:
        _current.watcher = before
