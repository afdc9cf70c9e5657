"""The threads a model runs on, and BLAS held to one of its own meanwhile.

NumPy lets other Python threads run while it computes. So several parts of one step can
be computed at once, by the workers of a `Pool`. BLAS has threads of its own, which
split a single matrix product; those of a training step are too small for that, and its
waiting threads would be in the way of ours.

Nothing here decides *what* is done in parallel, and no result depends on the number of
threads: a job is cut by shapes alone, and its results are taken in order.
"""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from minikeras.allocator import give_back_memory, keep_freed_memory

_local = threading.local()
_num_threads: int | None = None


def num_threads() -> int:
    """How many threads `fit`, `evaluate` and `predict` use: by default one for each
    processor this process may use."""
    if _num_threads is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    return _num_threads


def set_num_threads(count: int | None) -> None:
    """Sets the number of threads; None is the default again. Results do not change.

    Raises:
        ValueError: for anything but a positive integer or None.
    """
    global _num_threads
    if count is not None and (
        isinstance(count, bool) or not isinstance(count, int) or count < 1
    ):
        raise ValueError(
            "Expected the number of threads: a positive integer, or None for the "
            f"default. Received: set_num_threads({count!r})"
        )
    _num_threads = count


class Pool:
    """The calling thread and helpers that take parts of its work.

    Helpers are started when first needed and end with `close`. They are daemons: a
    script that is interrupted does not wait for them.

    Args:
        size: how many threads, the calling one included.

    >>> pool = Pool(2)
    >>> pool.map(lambda x: x * x, [1, 2, 3])
    [1, 4, 9]
    >>> pool.close()
    """

    def __init__(self, size: int):
        self.size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._helpers: list[threading.Thread] = []

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """`[function(item) for item in items]`, several at a time.

        If one of the calls raises, no further one begins, and when those under way have
        ended the exception is raised here; of several, that of the earliest item.
        """
        helpers = min(self.size, len(items)) - 1
        if helpers < 1:
            return [function(item) for item in items]
        job = _Job(function, items)
        while len(self._helpers) < helpers:
            self._start_helper()
        for _ in range(helpers):
            self._jobs.put(job)
        job.work()
        job.wait()
        if job.error is not None:
            raise job.error
        return job.results

    def close(self) -> None:
        """Ends the helpers and waits for them."""
        for _ in self._helpers:
            self._jobs.put(None)
        for helper in self._helpers:
            helper.join()
        if self._helpers:
            give_back_memory()
        self._helpers = []

    def _start_helper(self) -> None:
        keep_freed_memory()
        name = f"minikeras-{len(self._helpers) + 1}"
        helper = threading.Thread(target=self._help, name=name, daemon=True)
        self._helpers.append(helper)
        helper.start()

    def _help(self) -> None:
        _local.pool = Pool(1)  # what a helper runs, it runs by itself
        while (job := self._jobs.get()) is not None:
            job.help()
            del job  # with its results, while this thread waits for the next


class _Job:
    """One `Pool.map`: threads take item after item until none is left."""

    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any]):
        self.function = function
        self.items = items
        self.results: list[Any] = [None] * len(items)
        self.error: BaseException | None = None
        self._first_error = len(items)
        self._next = 0
        self._helping = 0
        self._changed = threading.Condition()
        self._context = contextvars.copy_context()  # NumPy's errstate is in it

    def help(self) -> None:
        with self._changed:
            if self._next >= len(self.items):
                return  # too late
            self._helping += 1
        try:
            self._context.copy().run(self.work)
        finally:
            with self._changed:
                self._helping -= 1
                self._changed.notify_all()

    def work(self) -> None:
        while True:
            with self._changed:
                i = self._next
                if i >= len(self.items):
                    return
                self._next += 1
            try:
                self.results[i] = self.function(self.items[i])
            except BaseException as error:
                with self._changed:
                    self._next = len(self.items)  # no further one begins
                    if i < self._first_error:
                        self._first_error, self.error = i, error

    def wait(self) -> None:
        with self._changed:
            while self._helping:
                self._changed.wait()


@contextmanager
def workers() -> Iterator[Pool]:
    """Within it this thread has a pool, which ends with the outermost such block."""
    pool = getattr(_local, "pool", None)
    if pool is not None:  # a `predict` in a callback of `fit`, or in a helper
        yield pool
        return
    _local.pool = pool = Pool(num_threads())
    try:
        yield pool
    finally:
        _local.pool = None
        pool.close()


def current_pool() -> Pool | None:
    """The pool of the `workers` block this thread is in."""
    return getattr(_local, "pool", None)


# To wake a thread takes a tenth of a millisecond: what it gets must be worth it.
WORTH_SHARING = 150_000_000  # multiplications and additions, in all


def together(*calls: Callable[[], Any], operations: float) -> list[Any]:
    """The results of all calls, which may run at the same time if they are long.

    Args:
        calls: functions without arguments, neither of which needs another's result.
        operations: of the matrix products in all of them.

    >>> together(lambda: 1, lambda: 2, operations=1e9)
    [1, 2]
    """
    pool = current_pool()
    if pool is None or operations < WORTH_SHARING:
        return [call() for call in calls]
    return pool.map(lambda call: call(), calls)


# --- BLAS -----------------------------------------------------------------------------

_lock = threading.Lock()
_users = 0  # how many blocks are running, in all threads
_before: list[tuple[Any, int]] = []  # (library, its number of threads)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS uses one thread. Blocks may nest and run in several threads: the
    first to enter sets the limit, the last to leave restores what was there before."""
    global _users
    with _lock:
        if _users == 0:
            for library in _blas_libraries():
                _before.append((library, library.get_num_threads()))
                library.set_num_threads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                while _before:
                    library, count = _before.pop()
                    library.set_num_threads(count)


@functools.cache
def _blas_libraries() -> list[Any]:
    """The loaded BLAS libraries. To look for them takes a few milliseconds, to write to
    them a microsecond (threadpoolctl's own context manager takes ten times as long)."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
