"""The sequence of LSTM steps with tanh and sigmoid, arranged for speed.

The same formulas as in `lstm.py`, which is the page to read first; a test holds the two
equal. A step of an LSTM is some 20 NumPy calls on arrays of a few thousand numbers, so
what counts is that each call finds its numbers side by side, in the cache, and makes no
new array:

- The four gates of a step lie in four blocks, (4, N, units): each is contiguous, where
  a block of columns of (N, 4 * units) is not. Their order is i, f, o, g, so that one
  call serves the three sigmoids.
- Everything is written into arrays that exist: `out=` everywhere.
- `h @ R` is four products, one for each block. OpenBLAS has a short way for products
  of up to a million multiplications, which does not rearrange its arguments first.
- What is used at every step begins at a multiple of 64 bytes: see `aligned_empty`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minikeras.ops.scratch import aligned_empty

# Block k of the gates is gate ORDER[k] of the weights, whose columns are i, f, g, o.
# The order is its own inverse.
ORDER = [0, 1, 3, 2]


# Gradients shrink on their way back through time. Below 1e-38 float32 has denormal
# numbers, with which a processor computes a hundred times more slowly. So every few
# steps what is on the way there becomes 0, as it does in TensorFlow and JAX, which
# switch denormal numbers off.
FLUSH_EVERY = 8
NEARLY_DENORMAL = 1e8  # times the smallest normal number


class FusedSequence(NamedTuple):
    """Kept from a sequence of LSTM steps.

    Attributes:
        gates: (T, 4, N, units), the activated gates i, f, o, g of all steps.
        h, c: (T + 1, N, units), the states: h[0] before the first step, h[t + 1] after
            step t.
        a: (T, N, units), `tanh(c)` of each step.
        mask: (T, N, 1), True where a step counts; or None.
    """

    gates: np.ndarray
    h: np.ndarray
    c: np.ndarray
    a: np.ndarray
    mask: np.ndarray | None


def fused_sequence(
    z: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> FusedSequence:
    """All steps of an LSTM: arguments as of `lstm_sequence`, but z stays as it is.

    **Formula**

        z_t = z[t] + h[t] @ R + b
        i, f, o, g = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o), tanh(z_g)
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * tanh(c[t + 1])
    """
    steps, n, units = len(z), *h0.shape
    z_if, z_og = _block_pairs(z, units)
    recurrent = _recurrent_blocks(recurrent_kernel)  # (4, units, units)
    constant = None
    if bias is not None:  # written out, so that it is added in one run
        constant = aligned_empty((4, n, units), z.dtype)
        constant[...] = bias.reshape(4, 1, units)[ORDER]
    gates = aligned_empty((steps, 4, n, units), z.dtype)
    h = aligned_empty((steps + 1, n, units), z.dtype)
    c = aligned_empty(h.shape, z.dtype)
    a = aligned_empty((steps, n, units), z.dtype)
    ig = aligned_empty((n, units), z.dtype)
    h[0], c[0] = h0, c0
    skipped = None if mask is None else ~mask
    one = np.ones((), z.dtype)
    with np.errstate(over="ignore"):  # of exp, see `stable.logistic`
        for t in range(steps):
            z_t = np.matmul(h[t], recurrent, out=gates[t])  # (4, N, units)
            np.add(z_t[:2], z_if[t], out=z_t[:2])
            np.add(z_t[2:], z_og[t], out=z_t[2:])
            if constant is not None:
                np.add(z_t, constant, out=z_t)
            sigmoids, (i, f, o, g) = z_t[:3], z_t
            np.negative(sigmoids, out=sigmoids)
            np.exp(sigmoids, out=sigmoids)
            np.add(sigmoids, one, out=sigmoids)
            np.reciprocal(sigmoids, out=sigmoids)
            np.tanh(g, out=g)
            c_t, a_t, h_t = c[t + 1], a[t], h[t + 1]
            np.multiply(f, c[t], out=c_t)
            np.multiply(i, g, out=ig)
            np.add(c_t, ig, out=c_t)
            np.tanh(c_t, out=a_t)
            np.multiply(o, a_t, out=h_t)
            if skipped is not None:
                np.copyto(h_t, h[t], where=skipped[t])
                np.copyto(c_t, c[t], where=skipped[t])
    return FusedSequence(gates, h, c, a, mask)


def fused_sequence_grad(
    dh_steps: np.ndarray | Sequence[np.ndarray | None],
    dh: np.ndarray,
    dc: np.ndarray,
    residuals: FusedSequence,
    recurrent_kernel: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradient of `fused_sequence`: arguments and results as of
    `lstm_sequence_grad`.

    **Gradient** Derived in `lstm_gates_grad`. The slopes of all gates are one array, so
    that one product serves all four; then the blocks are put back into columns.
    """
    gates, _, c, a, mask = residuals
    steps, _, n, units = gates.shape
    dz = aligned_empty((steps, n, 4 * units), gates.dtype)
    dz_if, dz_og = _block_pairs(dz, units)  # views that fill dz
    recurrent = _recurrent_blocks(recurrent_kernel, transposed=True)
    dh, dc = _copy(dh), _copy(dc)  # from here on both are overwritten
    d_gates, slopes, parts = (aligned_empty(gates[0].shape, dz.dtype) for _ in range(3))
    di, df, do, dg = d_gates
    through_h = aligned_empty(dh.shape, dz.dtype)
    one = np.ones((), dz.dtype)
    for t in reversed(range(steps)):
        if dh_steps[t] is not None:
            dh += dh_steps[t]
        if mask is not None:
            # in forward: h[t + 1] = where(mask[t], h_new, h[t]), and c likewise
            dh_past, dc_past = np.where(mask[t], 0, dh), np.where(mask[t], 0, dc)
            dh, dc = np.where(mask[t], dh, 0), np.where(mask[t], dc, 0)
        gates_t, a_t = gates[t], a[t]
        i, f, o, g = gates_t
        # in forward: h[t + 1] = o * tanh(c[t + 1])
        np.multiply(dh, a_t, out=do)
        np.multiply(dh, o, out=dh)
        np.multiply(a_t, a_t, out=through_h)
        np.subtract(one, through_h, out=through_h)
        np.multiply(through_h, dh, out=through_h)
        np.add(dc, through_h, out=dc)
        # in forward: c[t + 1] = f * c[t] + i * g
        np.multiply(dc, g, out=di)
        np.multiply(dc, c[t], out=df)
        np.multiply(dc, i, out=dg)
        np.multiply(dc, f, out=dc)
        # in forward: i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o); g = tanh(z_g)
        np.subtract(one, gates_t[:3], out=slopes[:3])
        np.multiply(slopes[:3], gates_t[:3], out=slopes[:3])
        np.multiply(g, g, out=slopes[3])
        np.subtract(one, slopes[3], out=slopes[3])
        np.multiply(d_gates, slopes, out=d_gates)
        dz_if[t], dz_og[t] = d_gates[:2], d_gates[2:]
        # in forward: z_t = z[t] + h[t] @ R
        np.matmul(d_gates, recurrent, out=parts)
        np.add.reduce(parts, axis=0, out=dh)
        if mask is not None:
            dh += dh_past
            dc += dc_past
        if t % FLUSH_EVERY == 0:
            _flush(dh)
            _flush(dc)
    return dz, dh, dc


def _flush(d: np.ndarray) -> None:
    """Sets to 0 what will soon be denormal."""
    np.copyto(d, 0, where=np.abs(d) < NEARLY_DENORMAL * np.finfo(d.dtype).tiny)


def _block_pairs(z: np.ndarray, units: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, N, 4 * units) -> two views (T, 2, N, units): the gates i and f, and o and g.

    Among the columns g comes before o, so that one view cannot have them all.
    """
    blocks = z.reshape(*z.shape[:2], 4, units).swapaxes(1, 2)  # (T, 4, N, units)
    return blocks[:, :2], blocks[:, :1:-1]


def _recurrent_blocks(kernel: np.ndarray, transposed: bool = False) -> np.ndarray:
    """(units, 4 * units) -> (4, units, units), one matrix for each of i, f, o, g."""
    units = len(kernel)
    blocks = aligned_empty((4, units, units), kernel.dtype)
    columns = kernel.reshape(units, 4, units)[:, ORDER]
    blocks[...] = columns.transpose(1, 2, 0) if transposed else columns.swapaxes(0, 1)
    return blocks


def _copy(x: np.ndarray) -> np.ndarray:
    copy = aligned_empty(x.shape, x.dtype)
    copy[...] = x
    return copy
