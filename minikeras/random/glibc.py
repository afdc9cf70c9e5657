"""logf, sinf and cosf as the C library computes them, bit for bit, on NumPy arrays.

TensorFlow makes float32 normals with the C library's logf and sincosf. These are not
correctly rounded: with NumPy's own log and sin a fifth of the normals would differ in
the last bits. To draw the same weights as Keras the same polynomials must be evaluated
in the same order, in float64, with one rounding at the end.

The tables and polynomial coefficients are those of Arm's optimized-routines, as used by
glibc since 2.28 (`logf_data.c`, `sincosf_data.c`), under this licence:

    MIT License. Copyright (c) 2017-2018 Arm Limited.

    Permission is hereby granted, free of charge, to any person obtaining a copy of
    this software and associated documentation files (the "Software"), to deal in the
    Software without restriction, including without limitation the rights to use, copy,
    modify, merge, publish, distribute, sublicense, and/or sell copies of the Software,
    and to permit persons to whom the Software is furnished to do so, subject to the
    following conditions: The above copyright notice and this permission notice shall
    be included in all copies or substantial portions of the Software.

    THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
    INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A
    PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
    HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
    CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE
    OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

from __future__ import annotations

import numpy as np


def _hex(numbers: str) -> list[float]:
    return [float.fromhex(number) for number in numbers.split()]


# log(x) = k ln 2 + log(c) + log1p(z / c - 1) with x = 2**k z; c is the middle of the
# sixteenth of [0.7, 1.4] that z lies in.
_INVERSE_C = _hex(
    """0x1.661ec79f8f3bep+0 0x1.571ed4aaf883dp+0 0x1.49539f0f010bp+0
    0x1.3c995b0b80385p+0 0x1.30d190c8864a5p+0 0x1.25e227b0b8eap+0 0x1.1bb4a4a1a343fp+0
    0x1.12358f08ae5bap+0 0x1.0953f419900a7p+0 0x1p+0 0x1.e608cfd9a47acp-1
    0x1.ca4b31f026aap-1 0x1.b2036576afce6p-1 0x1.9c2d163a1aa2dp-1 0x1.886e6037841edp-1
    0x1.767dcf5534862p-1"""
)
_LOG_C = _hex(
    """-0x1.57bf7808caadep-2 -0x1.2bef0a7c06ddbp-2 -0x1.01eae7f513a67p-2
    -0x1.b31d8a68224e9p-3 -0x1.6574f0ac07758p-3 -0x1.1aa2bc79c81p-3
    -0x1.a4e76ce8c0e5ep-4 -0x1.1973c5a611cccp-4 -0x1.252f438e10c1ep-5 0x0p+0
    0x1.aa5aa5df25984p-5 0x1.c5e53aa362eb4p-4 0x1.526e57720db08p-3 0x1.bc2860d22477p-3
    0x1.1058bc8a07ee1p-2 0x1.4043057b6ee09p-2"""
)
_A0, _A1, _A2 = _hex("-0x1.00ea348b88334p-2 0x1.5575b0be00b6ap-2 -0x1.ffffef20a4123p-2")
_LN2 = float.fromhex("0x1.62e42fefa39efp-1")
# Subtracted from the bits of x, it leaves k from bit 23 on, the sixteenth from bit 19.
_LOG_OFFSET = 0x3F330000
_TABLE_K = range(-128, 129)  # every k a float32 can have
_TABLE_INVERSE_C = np.array([c for _ in _TABLE_K for c in _INVERSE_C])
_TABLE_LOG = np.array([log_c + k * _LN2 for k in _TABLE_K for log_c in _LOG_C])

_HALF_PI = float.fromhex("0x1.921FB54442D18p0")
_2_OVER_PI = float.fromhex("0x1.45F306DC9C883p+23") / 2**24
_S1, _S2, _S3 = _hex(
    "-0x1.555545995a603p-3 0x1.1107605230bc4p-7 -0x1.994eb3774cf24p-13"
)
_C1, _C2, _C3, _C4 = _hex(
    """-0x1.ffffffd0c621cp-2 0x1.55553e1068f19p-5 -0x1.6c087e89a359dp-10
    0x1.99343027bf8c3p-16"""
)


def log(x: np.ndarray) -> np.ndarray:
    """glibc's `logf` for positive, finite, normal float32."""
    bits = x.view(np.int32)
    shifted = bits - np.int32(_LOG_OFFSET)
    entry = (shifted >> np.int32(19)) + np.int32(128 * 16)
    # z = x / 2**k, in [0.7, 1.4)
    bits = bits - (shifted & np.int32(-0x800000))
    r = bits.view(np.float32).astype(np.float64)
    r *= _TABLE_INVERSE_C.take(entry)
    r -= 1.0
    # ((A0 r^2 + (A1 r + A2)) r^2 + ((log c + k ln 2) + r)
    r2 = r * r
    y = r * _A1
    y += _A2
    y += r2 * _A0
    y *= r2
    r += _TABLE_LOG.take(entry)
    y += r
    return y.astype(np.float32)


def sincos(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """glibc's `sincosf` for float32 in [0, 2 pi): (sin v, cos v) in float64.

    The caller rounds the results to float32.
    """
    x = v.astype(np.float64)
    # The nearest multiple n of pi/2, 0..4, and the distance from it.
    quarter = x * _2_OVER_PI
    quarter += 0.5
    n = quarter.astype(np.int64)
    np.multiply(n, _HALF_PI, out=quarter)
    x -= quarter
    x2 = x * x
    sine, cosine = _sine(x, x2), _cosine(x2)
    # Turn by n quarters: odd n swaps, and half of the circle changes the signs.
    # n:          0   1   2   3
    # sin(v):     s   c  -s  -c
    # cos(v):     c  -s  -c   s
    odd = (n & 1).astype(bool)
    sin, cos = np.where(odd, cosine, sine), np.where(odd, sine, cosine)
    sign = np.int64(-(2**63))
    sin.view(np.int64)[...] ^= (n << 62) & sign  # bit 1 of n
    cos.view(np.int64)[...] ^= (n + 1 << 62) & sign
    return sin, cos


def _sine(x: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """(x + x^3 S1) + x^5 (S2 + x^2 S3)"""
    x3 = x * x2
    y = x2 * _S3
    y += _S2
    x5 = x3 * x2
    y *= x5
    x3 *= _S1
    x3 += x
    x3 += y
    return x3


def _cosine(x2: np.ndarray) -> np.ndarray:
    """(1 + x^2 C1) + x^4 C2 + x^6 (C3 + x^2 C4)"""
    x4 = x2 * x2
    y = x2 * _C1
    y += 1.0
    high = x2 * _C4
    high += _C3
    high *= x4 * x2
    x4 *= _C2
    y += x4
    y += high
    return y
