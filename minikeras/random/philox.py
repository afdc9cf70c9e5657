"""Philox4x32-10: random numbers by counting.

A counter-based generator has no state. It is a function that scrambles a counter under
a key, so any piece of a stream can be computed by itself: the dropout mask of examples
64..127 needs nothing from examples 0..63.

    block i of a stream = philox(counter + i, key) = four words of 32 bits

One round mixes the four words of a counter `c` with two multiplications; ten rounds
make a block:

    p0 = M0 * c[0]                   # 32 x 32 -> 64 bits: (high, low)
    p1 = M1 * c[2]
    c  = (high(p1) ^ c[1] ^ key[0],  low(p1),  high(p0) ^ c[3] ^ key[1],  low(p0))
    key = key + (W0, W1)

Reference: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011, sections 3.3 and 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minikeras.ops.scratch import scratch

M0, M1 = 0xD2511F53, 0xCD9E8D57  # multipliers
W0, W1 = 0x9E3779B9, 0xBB67AE85  # key increments: golden ratio, sqrt(3) - 1
ROUNDS = 10
MASK = 0xFFFFFFFF
WORDS = 4  # 32-bit words in a block
# Blocks per pass. Its arrays then fit in a core's second-level cache, and are small
# enough for malloc to reuse them without asking the system for pages.
CHUNK = 8192

# The same numbers as arrays of rank 0, which ufuncs take without a conversion.
_M0, _M1, _SHIFT, _LOW, _HIGH = (
    np.array(number, np.uint64) for number in (M0, M1, 32, MASK, MASK << 32)
)


class Stream(NamedTuple):
    """The fixed part of a stream: two key words and the upper half of the counter."""

    key0: int
    key1: int
    word2: int
    word3: int


def block(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """One block in Python integers: the definition, and what seeds are mixed with.

    >>> [f"{word:08x}" for word in block((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c, (k0, k1) = counter, key
    for _ in range(ROUNDS):
        p0, p1 = M0 * c[0], M1 * c[2]
        c = (p1 >> 32 ^ c[1] ^ k0, p1 & MASK, p0 >> 32 ^ c[3] ^ k1, p0 & MASK)
        k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK
    return c


def blocks(
    index: np.ndarray, stream: Stream, out: np.ndarray | None = None
) -> np.ndarray:
    """Many blocks of one stream at once.

    The work is done on 64-bit lanes: NumPy has no 32 x 32 -> 64 multiplication. The
    words 0 and 2 are kept in the low half of a lane, the words 1 and 3, which are only
    XORed, in the high half, where a shift to the left has put them without a mask.

    Args:
        index: uint64 array (n,) of block numbers; the lower half of the counter.
        stream: key and the upper half of the counter.
        out: where to write, uint64 (n, 2).

    Returns:
        uint64 (n, 2): in memory, four 32-bit words per row.
    """
    if out is None:
        out = np.empty((index.size, 2), np.uint64)
    c0, c1, c2, c3, p0, p1 = scratch("philox", (6, index.size), np.uint64)
    np.bitwise_and(index, _LOW, out=c0)
    np.bitwise_and(index, _HIGH, out=c1)
    c2[:], c3[:] = stream.word2, stream.word3 << 32
    for k0, k1 in _round_keys(stream):
        np.multiply(c0, _M0, out=p0)
        np.multiply(c2, _M1, out=p1)
        # c0 = high(p1) ^ c1 ^ k0
        np.bitwise_xor(c1, k0, out=c1)
        np.bitwise_xor(c1, p1, out=c1)
        np.right_shift(c1, _SHIFT, out=c0)
        np.left_shift(p1, _SHIFT, out=c1)  # c1 = low(p1)
        # c2 = high(p0) ^ c3 ^ k1
        np.bitwise_xor(c3, k1, out=c3)
        np.bitwise_xor(c3, p0, out=c3)
        np.right_shift(c3, _SHIFT, out=c2)
        np.left_shift(p0, _SHIFT, out=c3)  # c3 = low(p0)
    np.bitwise_or(c0, c1, out=out[:, 0])
    np.bitwise_or(c2, c3, out=out[:, 1])
    return out


def _round_keys(stream: Stream) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The two key words of each round, in the high half of a lane."""
    k0, k1 = stream.key0, stream.key1
    for _ in range(ROUNDS):
        yield np.array(k0 << 32, np.uint64), np.array(k1 << 32, np.uint64)
        k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK


def chunks(
    first: int, count: int, size: int = CHUNK
) -> Iterator[tuple[slice, np.ndarray]]:
    """Cuts the blocks first..first+count into pieces that fit the cache.

    Yields:
        (place, index): the slice of the output that a piece fills, its block numbers.
    """
    for start in range(0, count, size):
        stop = min(start + size, count)
        index = np.arange(first + start, first + stop, dtype=np.uint64)
        yield slice(start, stop), index


def stateless_stream(seed: tuple[int, int]) -> Stream:
    """The stream of TensorFlow's stateless random operations for a pair of seeds.

    The seeds are not used as the key: two of them that differ by one would give related
    keys. They are scrambled first, by the same function.
    """
    a, b = (int(s) & 0xFFFFFFFFFFFFFFFF for s in seed)
    counter = (a & MASK, a >> 32, b & MASK, b >> 32)
    return Stream(*block(counter, (0x3EC8F720, 0x02461E29)))


def raw_stream(seed: int, seed2: int) -> Stream:
    """The stream of TensorFlow's older operations: the seeds as they are.

    `tf.random.shuffle`, and so the order of examples in `fit`, comes from here.
    """
    seed, seed2 = (int(s) & 0xFFFFFFFFFFFFFFFF for s in (seed, seed2))
    return Stream(seed & MASK, seed >> 32, seed2 & MASK, seed2 >> 32)


def words(stream: Stream, count: int, first_block: int = 0) -> np.ndarray:
    """`count` 32-bit words of a stream as uint32, from the start of a block."""
    number = -(-count // WORDS)
    out = np.empty((number, 2), np.uint64)
    for place, index in chunks(first_block, number):
        blocks(index, stream, out[place])
    return out.view(np.uint32).reshape(-1)[:count]
