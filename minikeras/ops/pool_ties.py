"""Max pooling in which all equal elements of a window win."""

from __future__ import annotations

import numpy as np

from minikeras.ops.pool import lowest
from minikeras.ops.selection import select
from minikeras.ops.windows import Geometry, at_tap, pad, unpad


def max_pool_ties_grad(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, g: Geometry
) -> np.ndarray:
    """dx of `max_pool` where every element equal to the maximum gets all of dy.

    NB: that is what TensorFlow does in three dimensions, and only there; in one and two
    the first of equals wins (`max_pool_grad`). Where nothing is equal they agree.

    Args:
        dy: (batch, *out, channels).
        x: (batch, *spatial, channels).
        y: what `max_pool` made of it.
        g: how the window moved.
    """
    xp = pad(x, g.pads, lowest(x.dtype))
    dxp = np.zeros(xp.shape, dy.dtype)
    for tap in g.taps():
        target = at_tap(dxp, tap, g)
        # in forward: y = max over taps of at_tap(x)
        target += select(dy, at_tap(xp, tap, g) == y)
    return unpad(dxp, g.pads)
