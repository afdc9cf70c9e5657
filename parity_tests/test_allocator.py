"""Memory is kept between steps where the C library can, and changes no result."""

from __future__ import annotations

import sys

import numpy as np

from minikeras import allocator


def test_it_is_told_once_and_arrays_work_as_before() -> None:
    told = allocator.keep_freed_memory()
    assert told is allocator.keep_freed_memory()
    assert told is (allocator._c_library() is not None)
    array = np.zeros(1 << 21)
    assert not array.any()
    del array
    allocator.give_back_memory()


def test_other_systems_are_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator._c_library.cache_clear()
    allocator.keep_freed_memory.cache_clear()
    try:
        assert not allocator.keep_freed_memory()
        allocator.give_back_memory()
    finally:
        allocator._c_library.cache_clear()
        allocator.keep_freed_memory.cache_clear()
