"""Small pieces that activations and losses share: conversions and stable formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minikeras import config
from minikeras.ops.scratch import aligned_empty


def as_array(x: Any) -> np.ndarray:
    """An array of what the user passed to a function.

    NB: as in Keras on TensorFlow, a Python float (or a list of them) becomes float32
    whatever `floatx` is, and a Python int becomes int32. Arrays keep their dtype.

    >>> as_array([0.5, 1.0]).dtype, as_array(np.array([0.5])).dtype
    (dtype('float32'), dtype('float64'))
    """
    if isinstance(x, np.ndarray):
        return x
    array = np.asarray(x)
    if not isinstance(x, int | float | list | tuple):
        return array
    if array.dtype == np.float64 and type(_first_leaf(x)) is not np.float64:
        return array.astype(np.float32)
    if array.dtype == np.int64 and array.size and abs(array).max() < 2**31:
        return array.astype(np.int32)
    return array


def _first_leaf(x: Any) -> Any:
    while isinstance(x, list | tuple) and x:
        x = x[0]
    return x.dtype.type() if isinstance(x, np.ndarray) else x


def floats(x: np.ndarray) -> np.ndarray:
    """The array itself if it holds floats; integers and booleans become `floatx`.

    Keras on TensorFlow refuses integers in most activations, and on its other backends
    converts them. minikeras converts.
    """
    return x if x.dtype.kind == "f" else x.astype(config.floatx())


def logistic(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`1 / (1 + exp(-x))`, with full relative accuracy on both sides.

    Written to `out`, which may be x itself, or to a new array.

    `exp(-x)` overflows to infinity for x below -88 (float32), and then `1 / inf` is
    the 0 that belongs there; only NumPy's warning has to be silenced. (Through tanh,
    `(1 + tanh(x / 2)) / 2`, is a third faster in float32, but rounds everything below
    6e-8 to zero.)
    """
    y = np.negative(x, out=np.empty_like(x) if out is None else out)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


def log_one_plus_exp(x: np.ndarray) -> np.ndarray:
    """`log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))`: nothing can overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erfc(x: np.ndarray) -> np.ndarray:
    """`1 - erf(x)`, the complementary error function, element by element.

    NumPy has none. In float64 the standard library's is mapped over the values:
    correct to the last place, but only some 15 million values per second. In float32 a
    polynomial is ten times quicker and off by at most 3 eps.
    """
    if x.dtype == np.float32:
        return _erfc_float32(x)
    values = np.fromiter(map(math.erfc, x.ravel().tolist()), np.float64, x.size)
    return values.astype(x.dtype).reshape(x.shape)


# erfc(x) * exp(x^2) / t as a polynomial in t = 1 / (1 + x / 2), for all x >= 0: a
# weighted least squares fit on Chebyshev nodes, relative error below 1.1e-8.
_ERFC = (
    0.2820947947968435, 0.28209385269484333, 0.24688058565687848,
    0.17537684037080897, 0.09300050344227943, -0.057232101744020505,
    0.12708842163533535, -0.4469757132678127, 0.48617715350204127,
    -0.23085673629159895, 0.042352388517596415,
)  # fmt: skip


def _erfc_float32(x: np.ndarray) -> np.ndarray:
    """`t * polynomial(t) * exp(-x^2)` for x >= 0, and `erfc(-x) = 2 - erfc(x)`."""
    size = np.abs(x)
    t = 1 / (1 + 0.5 * size)
    y = np.full_like(t, _ERFC[-1])
    for coefficient in _ERFC[-2::-1]:  # Horner's rule
        y *= t
        y += coefficient
    with np.errstate(over="ignore"):
        y *= t * np.exp(-size * size)
    return np.copysign(y, x) + pick(np.signbit(x), 2.0, 0.0, x.dtype)


GATE_BLOCK = 1 << 15  # numbers at a time: what stays in the first levels of cache


def gate(passes: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """`dy` where `passes`, else 0.

    By multiplication, as TensorFlow does it: a NaN in dy stays NaN even where the gate
    is closed. Quicker than `dy * passes`, which casts the booleans in small pieces; and
    for large arrays done block by block.
    """
    large = passes.size > GATE_BLOCK and passes.shape == dy.shape
    if not large or not (passes.flags.c_contiguous and dy.flags.c_contiguous):
        dx = passes.astype(dy.dtype)
        dx *= dy
        return dx
    dx = aligned_empty(dy.shape, dy.dtype)
    flat_dx, flat_dy, flat = dx.reshape(-1), dy.reshape(-1), passes.reshape(-1)
    for start in range(0, dx.size, GATE_BLOCK):
        block = slice(start, start + GATE_BLOCK)
        np.copyto(flat_dx[block], flat[block])
        np.multiply(flat_dx[block], flat_dy[block], out=flat_dx[block])
    return dx


def keep_where(keep: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`np.where(keep, x, 0)`, where `keep` may broadcast to x.

    The *bits* of x are multiplied by 1 or 0, so that NaN and infinity go as well. Eight
    times quicker than `np.where`.

    >>> keep_where(np.array([True, False]), np.array([2.0, np.inf]))
    array([2., 0.])
    """
    integer = np.dtype(f"i{x.itemsize}")
    bits = np.multiply(x.view(integer), keep.astype(integer))
    return bits.view(x.dtype)


def pick(condition: np.ndarray, yes: float, no: float, dtype: Any) -> np.ndarray:
    """`np.where(condition, yes, no)` for two numbers.

    Looked up in a table of two, which is three times quicker on large arrays.

    >>> pick(np.array([True, False]), 1.0, 0.5, "float32")
    array([1. , 0.5], dtype=float32)
    """
    return np.array([no, yes], dtype).take(condition.view(np.uint8))
