"""Convolution as one would write it on the blackboard: the twin of `conv.py`.

Slow, and for reading and checking only: a test holds `conv.py` equal to it. Here a
window is a slice, and each line of a gradient is the derivative of the one forward line

    y[:, p, :] += x[:, p*s + i*d, :] @ kernel[i]

written for any number of spatial axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from minikeras.ops.conv import group_slices
from minikeras.ops.windows import Geometry, pad, unpad


def conv_plain(x: np.ndarray, kernel: np.ndarray, g: Geometry) -> np.ndarray:
    """`conv`, tap by tap and output by output."""
    xp = pad(x, g.pads)
    y = np.zeros((len(x), *g.out, kernel.shape[-1]), dtype=x.dtype)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        for out, tap, seen in visits(g):
            y[:, *out, outputs] += xp[:, *seen, channels] @ kernel[*tap, :, outputs]
    return y


def conv_plain_grad(
    dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, g: Geometry
) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dkernel) of `conv_plain`."""
    xp = pad(x, g.pads)
    dxp, dkernel = np.zeros_like(xp), np.zeros_like(kernel)
    for channels, outputs in group_slices(x.shape[-1], kernel):
        for out, tap, seen in visits(g):
            # in forward: y[out] += x[seen] @ kernel[tap]
            dy_out = dy[:, *out, outputs]  # (N, Og)
            dxp[:, *seen, channels] += dy_out @ kernel[*tap, :, outputs].T
            dkernel[*tap, :, outputs] += xp[:, *seen, channels].T @ dy_out
    return unpad(dxp, g.pads), dkernel


def visits(
    g: Geometry,
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Every (output position, tap, padded input position) that meet."""
    for out in itertools.product(*map(range, g.out)):
        for tap in g.taps():
            axes = zip(out, g.strides, tap, g.dilation, strict=True)
            yield out, tap, tuple(o * s + t * d for o, s, t, d in axes)
