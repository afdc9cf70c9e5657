"""Streams of random numbers that can be entered anywhere.

Every function takes a pair of seeds and returns the elements `offset .. offset + count`
of a flat stream, the same numbers whatever the cut: a micro-batch that holds the rows
64..127 of a batch draws its own part of a dropout mask with `offset = 64 * row_size`.
This is what TensorFlow's stateless operations on the CPU compute, bit for bit.

    uniform    float32: 4 in a block, the low 23 bits of each word
               float64: 2 in a block, 52 bits of a pair of words
    normal     float32: 2 from each 2 words; float64: 2 from each block; Box and Muller
    truncated  groups of 4 (float32) or 2 (float64) with a stream of blocks of their own
    integers   `word % range`; 4 in a block (int32) or 2 (int64)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.random import glibc, philox
from minikeras.random.philox import Stream

Seed = Any  # two integers: a tuple, or an int64 array as from `draw_seed`

# The exponent bits of 1.0, and the mantissa bits that a uniform number keeps.
_ONE = {4: np.uint64(0x3F8000003F800000), 8: np.uint64(0x3FF0000000000000)}
_MANTISSA = {4: np.uint64(0x007FFFFF007FFFFF), 8: np.uint64(0x000FFFFFFFFFFFFF)}
_DIGITS = {4: 23, 8: 52}
_SMALLEST = 1e-7  # TensorFlow's floor for the uniform number under the logarithm
# A group of the truncated normal takes its numbers from blocks of its own, so many.
_TRUNCATED_BLOCKS = {4: 256, 8: 128}
# Normals take more and wider arrays at a time than uniforms.
_NORMAL_CHUNK = 4096


def uniform(seed: Seed, count: int, dtype: Any, offset: int = 0) -> np.ndarray:
    """Numbers in [0, 1), as `tf.random.stateless_uniform`.

    >>> uniform((7, 0), 5, "float32")[2:]
    array([0.05777955, 0.6442132 , 0.07030857], dtype=float32)
    >>> uniform((7, 0), 3, "float32", offset=2)
    array([0.05777955, 0.6442132 , 0.07030857], dtype=float32)
    """
    dtype = _float_dtype(dtype)
    return _fill(seed, count, dtype, offset, _bits_to_uniform)


def keep_mask(
    seed: Seed, count: int, rate: float, dtype: Any, offset: int = 0
) -> np.ndarray:
    """`uniform(...) >= rate` as booleans: which units a dropout keeps.

    The comparison is made on the bits: u = m / 2^23 >= rate where m >= ceil(rate 2^23).

    >>> keep_mask((7, 0), 5, 0.5, "float32")
    array([ True,  True, False,  True, False])
    """
    dtype = _float_dtype(dtype)
    threshold = math.ceil(float(dtype.type(rate)) * 2.0 ** _DIGITS[dtype.itemsize])
    unsigned = np.dtype(f"u{dtype.itemsize}")
    per_block = 16 // dtype.itemsize
    first, skip, number = _span(offset, count, per_block)
    stream = philox.stateless_stream(seed)
    out = np.empty(number * per_block, bool)
    for place, index in philox.chunks(first, number):
        mantissas = _mantissas(philox.blocks(index, stream), dtype)
        np.greater_equal(
            mantissas.view(unsigned).reshape(-1),
            unsigned.type(threshold),
            out=out[place.start * per_block : place.stop * per_block],
        )
    return out[skip : skip + count]


def normal(seed: Seed, count: int, dtype: Any, offset: int = 0) -> np.ndarray:
    """Standard normal numbers, as `tf.random.stateless_normal`.

    >>> normal((7, 0), 3, "float32")
    array([-0.67417276, -0.35869256, -1.8795817 ], dtype=float32)
    """
    dtype = _float_dtype(dtype)
    return _fill(seed, count, dtype, offset, _bits_to_normal, _NORMAL_CHUNK)


def truncated_normal(seed: Seed, count: int, dtype: Any, offset: int = 0) -> np.ndarray:
    """Standard normals, drawn again until |z| < 2: `stateless_truncated_normal`.

    >>> bool(np.abs(truncated_normal((7, 0), 1000, "float32")).max() < 2)
    True
    """
    dtype = _float_dtype(dtype)
    size = 16 // dtype.itemsize  # a group is as long as what a block gives
    first, skip, number = _span(offset, count, size)
    group = np.arange(first, first + number, dtype=np.uint64)
    block = group * np.uint64(_TRUNCATED_BLOCKS[dtype.itemsize])
    stream = philox.stateless_stream(seed)
    out = _normals_of_blocks(stream, block, dtype)  # (groups, size)
    # Five groups of six are done with their first block. The others start again.
    too_far = (np.abs(out) >= 2).view(f"u{size}")  # (groups, 1): the row's booleans
    rows = np.flatnonzero(too_far)
    _redraw(out, rows, stream, block[rows])
    return out.reshape(-1)[skip : skip + count]


def integers(
    seed: Seed, count: int, minval: int, maxval: int, dtype: Any, offset: int = 0
) -> np.ndarray:
    """Integers in [minval, maxval), int32 or int64, as `stateless_uniform`.

    >>> integers((7, 0), 6, 0, 10, "int32")
    array([3, 2, 8, 2, 1, 9], dtype=int32)
    """
    dtype = np.dtype(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    width = unsigned.type(maxval - minval)
    lowest = np.array(minval, dtype).view(unsigned)

    def convert(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
        values = bits.view(unsigned)
        values %= width
        values += lowest  # modulo 2**32 or 2**64: negative numbers come out right
        return values.view(dtype)

    return _fill(seed, count, dtype, offset, convert)


def _float_dtype(dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(
            "Random numbers are drawn in float32 or float64. "
            f"Received: dtype={dtype.name}"
        )
    return dtype


def _span(offset: int, count: int, per_block: int) -> tuple[int, int, int]:
    """(first block, elements to skip in it, number of blocks) for a piece."""
    first, skip = divmod(offset, per_block)
    return first, skip, -(-(skip + count) // per_block)


def _fill(
    seed: Seed,
    count: int,
    dtype: np.dtype,
    offset: int,
    convert: Callable[[np.ndarray, np.dtype], Any],
    chunk: int = philox.CHUNK,
) -> np.ndarray:
    """Blocks of random bits, turned into numbers in place, a cache-full at a time."""
    per_block = 16 // dtype.itemsize
    first, skip, number = _span(offset, count, per_block)
    stream = philox.stateless_stream(seed)
    out = np.empty((number, 2), np.uint64)
    for place, index in philox.chunks(first, number, chunk):
        bits = philox.blocks(index, stream, out[place])
        convert(bits, dtype)
    return out.view(dtype).reshape(-1)[skip : skip + count]


def _mantissas(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Keeps the random bits that become digits; in place."""
    if dtype.itemsize == 8:
        # The first word of a pair is the upper half: exchange the halves of a lane.
        low = bits >> np.uint64(32)
        bits <<= np.uint64(32)
        bits |= low
    bits &= _MANTISSA[dtype.itemsize]
    return bits


def _bits_to_uniform(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Random digits behind the exponent of 1 give [1, 2); minus 1 is exact."""
    bits = _mantissas(bits, dtype)
    bits |= _ONE[dtype.itemsize]
    numbers = bits.view(dtype)
    numbers -= 1
    return numbers


def _bits_to_normal(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Box and Muller: (sin v, cos v) sqrt(-2 log u1), v = 2 pi u2."""
    uniforms = _bits_to_uniform(bits, dtype).reshape(-1, 2)  # (pairs, 2)
    u1 = np.maximum(uniforms[:, 0], dtype.type(_SMALLEST))
    v = uniforms[:, 1] * 2 * np.pi if dtype == np.float64 else _angle(uniforms[:, 1])
    if dtype == np.float32:
        radius = np.sqrt(glibc.log(u1) * np.float32(-2))
        sin, cos = glibc.sincos(v)
    else:
        # NumPy's own float64 log, sin and cos differ from the C library's in 0.2 %
        # of the numbers; Python's math module calls the C library.
        radius = np.sqrt(_by_element(math.log, u1) * -2.0)
        sin, cos = _by_element(math.sin, v), _by_element(math.cos, v)
    np.multiply(sin.astype(dtype, copy=False), radius, out=uniforms[:, 0])
    np.multiply(cos.astype(dtype, copy=False), radius, out=uniforms[:, 1])
    return uniforms


def _angle(u: np.ndarray) -> np.ndarray:
    return (u * np.float64(2 * np.pi)).astype(np.float32)


def _by_element(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)


def _normals_of_blocks(
    stream: Stream, block: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """The normals (n, per block) of the blocks with these numbers."""
    out = np.empty((block.size, 2), np.uint64)
    for start in range(0, block.size, _NORMAL_CHUNK):
        place = slice(start, start + _NORMAL_CHUNK)
        _bits_to_normal(philox.blocks(block[place], stream, out[place]), dtype)
    return out.view(dtype)


def _redraw(
    out: np.ndarray, rows: np.ndarray, stream: Stream, block: np.ndarray
) -> None:
    """Fills these rows of `out` with the |z| < 2 of their blocks, in order."""
    size = out.shape[1]
    filled = np.zeros(rows.size, np.intp)
    while rows.size:  # the k-th pass takes the k-th block of each row not yet full
        z = _normals_of_blocks(stream, block, out.dtype)  # (rows, size)
        good = np.abs(z) < 2
        # Where each good number goes: behind those that its row holds already.
        target = filled[:, None] + np.cumsum(good, axis=1) - 1
        good &= target < size
        row, column = np.nonzero(good)
        out[rows[row], target[row, column]] = z[row, column]
        filled += good.sum(axis=1)
        rest = filled < size
        rows, block, filled = rows[rest], block[rest] + np.uint64(1), filled[rest]
