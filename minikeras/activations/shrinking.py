"""Shrinking functions: small values become (nearly) zero, large ones stay."""

from __future__ import annotations

import numpy as np

from minikeras.functions import differentiable
from minikeras.ops.stable import floats, gate
from minikeras.registry import public


@public("keras.activations")
@differentiable
def hard_shrink(x, threshold=0.5):
    """Sets values near zero to zero.

    Args:
        x: array.
        threshold: how near.

    **Formula** `y = x where |x| > threshold, 0 elsewhere`

    **Gradient** `dx = dy where |x| > threshold, 0 elsewhere`

    **Keeps** where |x| > threshold. NB: a NaN is not above it and becomes 0, in Keras.

    >>> hard_shrink(np.array([-0.4, 0.5, 0.6]))
    array([0. , 0. , 0.6])
    """
    x = floats(x)
    passes = np.abs(x) > float(threshold)
    return np.where(passes, x, 0), passes


@hard_shrink.gradient
def _(dy, passes):
    return gate(passes, dy)  # y = where(|x| > threshold, x, 0)


@public("keras.activations")
@differentiable
def soft_shrink(x, threshold=0.5):
    """Moves values towards zero by the threshold, and stops there.

    Args:
        x: array.
        threshold: how far.

    **Formula** `y = x - threshold where x > threshold, x + threshold where
    x < -threshold, 0 between`

    **Gradient** `dx = dy where y was not set to 0`

    **Keeps** where that is.

    >>> soft_shrink(np.array([-2.0, 0.3, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    x, threshold = floats(x), float(threshold)
    above, below = x > threshold, x < -threshold
    y = np.where(above, x - threshold, np.where(below, x + threshold, 0))
    return y, above | below


@soft_shrink.gradient
def _(dy, passes):
    return gate(passes, dy)  # y = x -+ threshold


@public("keras.activations")
@differentiable
def tanh_shrink(x):
    """What tanh takes away from x.

    Args:
        x: array.

    **Formula** `y = x - tanh(x)`

    **Gradient** `dx = dy * tanh(x)^2`

    **Keeps** tanh(x).

    >>> tanh_shrink(np.array([-20.0, 0.0]))
    array([-19.,   0.])
    """
    x = floats(x)
    t = np.tanh(x)
    return x - t, t


@tanh_shrink.gradient
def _(dy, t):
    return dy * (t * t)  # y = x - tanh(x): its slope is 1 - (1 - t^2)
