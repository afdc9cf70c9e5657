"""Scalars of the update rules, rounded where Keras on TensorFlow rounds them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import casting
from minikeras.random import glibc


def cast(value: Any, dtype: Any) -> Any:
    """`casting.cast`, but scalars stay NumPy scalars.

    NB: float32 on the way, so Keras's float64 momentum of 0.9 is 0.8999999761581421.

    >>> cast(0.9, "float64"), cast(np.float64(0.9), "float64")
    (np.float64(0.8999999761581421), np.float64(0.9))
    """
    if type(value) is float and dtype is not None:
        return _cast_number(value, dtype)
    return casting.cast(value, dtype)[()]


@functools.lru_cache(maxsize=256)
def _cast_number(value: float, dtype: Any) -> Any:
    """An optimizer's constants are the same in every step."""
    return casting.cast(value, dtype)[()]


def cos(x: Any) -> Any:
    """The cosine of a scalar near [0, pi], in float32 the C library's."""
    if x.dtype != np.float32:
        return np.cos(x)
    return glibc.sincos(np.abs(np.array([x])))[1].astype(np.float32)[0]


def log(x: Any) -> Any:
    """The logarithm of a positive scalar, in float32 the C library's."""
    return glibc.log(np.array([x]))[0] if x.dtype == np.float32 else np.log(x)


def in_double(function: Callable[..., Any], *arguments: Any) -> Any:
    """Evaluates `np.power` and the like in float64 and rounds once to the dtype.

    NumPy's float32 versions are up to 4 units in the last place off, depend on the
    processor, and move the step at which a schedule restarts.

    >>> in_double(np.power, np.float32(0.9), np.float32(10))
    np.float32(0.34867835)
    """
    dtype = np.result_type(*arguments)
    return dtype.type(function(*[float(a) for a in arguments]))
