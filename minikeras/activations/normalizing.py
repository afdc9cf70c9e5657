"""Activations over a whole axis: softmax, its logarithm, and sparsemax."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from minikeras.functions import differentiable
from minikeras.messages import warn
from minikeras.ops.stable import floats
from minikeras.registry import public


class SoftmaxResiduals(NamedTuple):
    """What `softmax` and `log_softmax` keep."""

    y: np.ndarray
    axis: Any  # an int, a tuple, or None for all axes


@public("keras.activations")
@differentiable
def softmax(x, axis=-1):
    """Turns numbers into probabilities that sum to one.

    Args:
        x: array of rank 1 or more.
        axis: the axis whose values compete; a tuple of (non-negative) axes lets all
            values of these axes compete, None all values of x.

    **Formula** `y = exp(x - max(x)) / sum(exp(x - max(x)))`; the shift by the maximum
    changes nothing but prevents overflow

    **Gradient** `dx = y * (dy - sum(dy * y))`

    **Keeps** y.

    >>> softmax(np.array([1.0, 1.0, 1000.0]))
    array([0., 0., 1.])
    """
    x = floats(x)
    axis = _checked_axis(x, axis, "softmax")
    if isinstance(axis, int) and x.shape[axis] == 1:
        warn(
            f"softmax over axis {axis} of an array of shape {x.shape}: the axis has "
            "length 1, so the result is 1 everywhere. Is a sigmoid what you want?",
        )
    y = x - x.max(axis=axis, keepdims=True, initial=-math.inf)
    y = np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y, SoftmaxResiduals(y, axis)


@softmax.gradient
def _(dy, residuals):
    y, axis = residuals
    if axis == -1:  # the row products dy . y without a temporary
        dx = dy - np.vecdot(dy, y)[..., None]
    else:
        dx = dy - (dy * y).sum(axis=axis, keepdims=True)
    dx *= y
    return dx  # y * (dy - sum(dy * y))


@public("keras.activations")
@differentiable
def log_softmax(x, axis=-1):
    """The logarithm of softmax, without the rounding of small probabilities.

    Args:
        x: array of rank 1 or more.
        axis: as for `softmax`.

    **Formula** `y = x - max(x) - log(sum(exp(x - max(x))))`

    **Gradient** `dx = dy - exp(y) * sum(dy)`, where exp(y) is the softmax

    **Keeps** y.

    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    x = floats(x)
    axis = _checked_axis(x, axis, "log_softmax")
    y = x - x.max(axis=axis, keepdims=True, initial=-math.inf)
    y = y - np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y, SoftmaxResiduals(y, axis)


@log_softmax.gradient
def _(dy, residuals):
    y, axis = residuals
    return dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)


def _checked_axis(x, axis, name):
    """The axis as an int, a tuple or None; refuses what Keras refuses."""
    if x.ndim == 0:
        raise ValueError(f"`{name}` needs at least one axis. Received: x.shape=()")
    if axis is None:
        return None
    if isinstance(axis, tuple):
        if not all(0 <= operator.index(a) < x.ndim for a in axis):
            raise ValueError(
                f"A tuple of axes for `{name}` must have entries from 0 to "
                f"{x.ndim - 1}. Received: axis={axis} and x.shape={x.shape}"
            )
        return axis
    if isinstance(axis, list):
        raise TypeError(
            f"`axis` of `{name}` must be an int or a tuple. Received: axis={axis}"
        )
    axis = int(operator.index(axis))
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"`axis` of `{name}` must be from {-x.ndim} to {x.ndim - 1} for an input "
            f"of rank {x.ndim}. Received: axis={axis} and x.shape={x.shape}"
        )
    return axis


class SparsemaxResiduals(NamedTuple):
    """What `sparsemax` keeps."""

    passes: np.ndarray  # booleans: x >= tau
    weights: np.ndarray  # d tau / d x
    axis: int


@public("keras.activations")
@differentiable
def sparsemax(x, axis=-1):
    """Like softmax, but small values become exactly zero.

    Args:
        x: array of rank 1 or more.
        axis: the axis whose values compete.

    **Formula** With `z` the values sorted downwards and `c` their cumulative sums,
    the support is the k values with `z_i > (c_i - 1) / i`; then
    `tau = (sum of c over the support - 1) / k` and `y = max(x - tau, 0)`.

    NB: Keras sums c over the support where the paper takes its last entry, c_k. So the
    result sums to one only if k = 1. minikeras computes what Keras computes.

    **Gradient** `dx = g - weights * sum(g)` with `g = dy where x >= tau`, and
    `weights = d tau / dx`: the i-th largest value of the support occurs in k - i + 1
    of the cumulative sums, so its weight is `(k - i + 1) / k`.

    **Keeps** where x >= tau, and the weights.

    Reference: Martins and Astudillo, 2016, arXiv:1602.02068.

    >>> sparsemax(np.array([3.0, 1.0, 0.5]))
    array([1., 0., 0.])
    """
    x = floats(x)
    axis = _checked_axis(x, axis, "sparsemax")
    last = np.moveaxis(x, axis, -1)
    order = np.argsort(-last, axis=-1, kind="stable")
    z = np.take_along_axis(last, order, axis=-1)
    c = np.cumsum(z, axis=-1, dtype=x.dtype)
    i = np.arange(1, x.shape[axis] + 1, dtype=x.dtype)
    support = z - (c - 1) / i > 0
    k = support.sum(axis=-1, keepdims=True, dtype=x.dtype)
    # (..., 1): one threshold for each set of competing values
    tau = (np.where(support, c, 0).sum(axis=-1, keepdims=True) - 1) / k
    # z_i is part of c_i and of every later c of the support
    uses = np.cumsum(support[..., ::-1], axis=-1, dtype=x.dtype)[..., ::-1]
    weights = np.empty_like(x, shape=last.shape)
    np.put_along_axis(weights, order, uses / k, axis=-1)
    y = np.moveaxis(np.maximum(last - tau, 0), -1, axis)
    passes = np.moveaxis(last >= tau, -1, axis)
    return y, SparsemaxResiduals(passes, np.moveaxis(weights, -1, axis), axis)


@sparsemax.gradient
def _(dy, residuals):
    passes, weights, axis = residuals
    g = dy * passes  # y = max(x - tau, 0)
    return g - weights * g.sum(axis=axis, keepdims=True)  # tau depends on x
