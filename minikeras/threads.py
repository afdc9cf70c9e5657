"""BLAS held to one thread while a model runs.

The arrays of a training step are small: splitting one matrix product among threads
costs more than it saves, and on a busy machine the waiting threads are in the way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_users = 0  # how many blocks are running, in all threads
_limiter: Any = None
_controller: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS uses one thread. Blocks may nest and run in several threads: the
    first to enter sets the limit, the last to leave restores what was there before."""
    global _users, _limiter
    with _lock:
        if _users == 0:
            _limiter = _get_controller().limit(limits=1, user_api="blas")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limiter.restore_original_limits()
                _limiter = None


def _get_controller() -> Any:
    """Looks for the loaded BLAS libraries once: that takes a few milliseconds."""
    global _controller
    if _controller is None:
        from threadpoolctl import ThreadpoolController

        _controller = ThreadpoolController().select(user_api="blas")
    return _controller
