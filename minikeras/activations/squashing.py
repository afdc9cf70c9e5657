"""Squashing functions: the whole line goes into a bounded interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikeras.functions import differentiable
from minikeras.ops.stable import floats, gate, logistic
from minikeras.registry import public


@public("keras.activations")
@differentiable
def sigmoid(x):
    """Logistic sigmoid, into (0, 1).

    Args:
        x: array.

    **Formula** `y = 1 / (1 + exp(-x))`

    **Gradient** `dx = dy * y * (1 - y)`

    **Keeps** y.

    >>> sigmoid(np.array([0.0, -1000.0, 1000.0]))
    array([0.5, 0. , 1. ])
    """
    y = logistic(floats(x))
    return y, y


@sigmoid.gradient
def _(dy, y):
    dx = np.subtract(1, y, out=np.empty_like(y))
    dx *= y
    dx *= dy
    return dx  # dy * y * (1 - y), in one temporary


@public("keras.activations")
@differentiable
def tanh(x):
    """Hyperbolic tangent, into (-1, 1).

    Args:
        x: array.

    **Formula** `y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))`

    **Gradient** `dx = dy * (1 - y^2)`

    **Keeps** y.

    >>> tanh(np.array([0.0, 100.0]))
    array([0., 1.])
    """
    y = np.tanh(floats(x))
    return y, y


@tanh.gradient
def _(dy, y):
    dx = np.multiply(y, y, out=np.empty_like(y))
    np.subtract(1, dx, out=dx)
    dx *= dy
    return dx  # dy * (1 - y * y), in one temporary


@public("keras.activations")
@differentiable
def softsign(x):
    """Like tanh, but approaching -1 and 1 slowly.

    Args:
        x: array.

    **Formula** `y = x / (1 + |x|)`

    **Gradient** `dx = dy / (1 + |x|)^2`

    **Keeps** 1 + |x|.

    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    x = floats(x)
    denominator = 1 + np.abs(x)
    return x / denominator, denominator


@softsign.gradient
def _(dy, denominator):
    return dy / (denominator * denominator)  # y = x / (1 + |x|)


class HardResiduals(NamedTuple):
    """What the piecewise linear functions keep."""

    passes: np.ndarray  # booleans: the sloping part


@public("keras.activations")
@differentiable
def hard_sigmoid(x):
    """Sigmoid made of three straight lines.

    Args:
        x: array.

    **Formula** `y = min(max(x + 3, 0), 6) / 6`

    **Gradient** `dx = dy / 6 where -3 < x < 3, 0 elsewhere`

    **Keeps** where the line slopes, as booleans.

    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    z = floats(x) + 3
    y = np.minimum(np.maximum(z, 0), 6) / 6
    return y, HardResiduals((z > 0) & (z < 6))


@hard_sigmoid.gradient
def _(dy, residuals):
    return gate(residuals.passes, dy) / 6  # y = (x + 3) / 6


@public("keras.activations")
@differentiable
def sparse_sigmoid(x):
    """Sigmoid made of three straight lines, steeper than `hard_sigmoid`.

    Args:
        x: array.

    **Formula** `y = 0 where x <= -1, (x + 1) / 2 between, 1 where x >= 1`

    **Gradient** `dx = dy / 2 where -1 < x < 1, 0 elsewhere`

    **Keeps** where the line slopes, as booleans.

    Reference: Blondel, Martins and Niculae, 2019, arXiv:1901.02324.

    >>> sparse_sigmoid(np.array([-2.0, 0.5, 2.0]))
    array([0.  , 0.75, 1.  ])
    """
    x = floats(x)
    y = np.minimum(np.maximum(0.5 * (x + 1), 0), 1)
    return y, HardResiduals((x > -1) & (x < 1))


@sparse_sigmoid.gradient
def _(dy, residuals):
    return 0.5 * gate(residuals.passes, dy)  # y = (x + 1) / 2


@public("keras.activations")
@differentiable
def hard_tanh(x):
    """The identity, clipped to [-1, 1].

    Args:
        x: array.

    **Formula** `y = min(max(x, -1), 1)`

    **Gradient** `dx = dy where -1 <= x <= 1, 0 elsewhere`; at the two corners dy
    passes, as for every clip in TensorFlow.

    **Keeps** where x is inside, as booleans.

    >>> hard_tanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    x = floats(x)
    return np.clip(x, -1, 1), HardResiduals((x >= -1) & (x <= 1))


@hard_tanh.gradient
def _(dy, residuals):
    return gate(residuals.passes, dy)  # y = clip(x, -1, 1)
