"""Gated units: x times something between 0 and 1 that depends on x."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minikeras.casting import cast
from minikeras.functions import differentiable
from minikeras.ops.stable import erfc, floats, gate, log_one_plus_exp, logistic
from minikeras.registry import public


class GateResiduals(NamedTuple):
    """What a function `y = x * g(x)` keeps."""

    x: np.ndarray
    g: np.ndarray  # the gate g(x)


@public("keras.activations")
@differentiable
def silu(x):
    """Sigmoid linear unit, also called swish.

    Args:
        x: array.

    **Formula** `y = x * s`, with `s = sigmoid(x)`

    **Gradient** `dx = dy * (s + x * s * (1 - s))`: the product rule, with the slope
    of the sigmoid

    **Keeps** x and s.

    Reference: Ramachandran et al., 2017, arXiv:1710.05941.

    >>> silu(np.array([-1000.0, 0.0, 20.0])).round(3)
    array([-0.,  0., 20.])
    """
    x = floats(x)
    s = logistic(x)
    return x * s, GateResiduals(x, s)


@silu.gradient
def _(dy, residuals):
    x, s = residuals
    return dy * (s * (1 + x * (1 - s)))  # y = x * s


@public("keras.activations")
@differentiable
def hard_silu(x):
    """Silu made of a parabola between two straight lines; also called hard_swish.

    Args:
        x: array.

    **Formula** `y = x * h`, with `h = min(max(x + 3, 0), 6) / 6`

    **Gradient** `dx = dy * (h + x / 6 where -3 < x < 3, h elsewhere)`

    **Keeps** x and h.

    Reference: Howard et al., 2019, arXiv:1905.02244.

    >>> hard_silu(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    x = floats(x)
    h = np.minimum(np.maximum(x + 3, 0), 6) / 6
    return x * h, GateResiduals(x, h)


@hard_silu.gradient
def _(dy, residuals):
    x, h = residuals
    z = x + 3
    return dy * (h + gate((z > 0) & (z < 6), x) / 6)  # y = x * h


class GELUResiduals(NamedTuple):
    """What `gelu` keeps."""

    x: np.ndarray
    g: np.ndarray  # the gate: P(X <= x), or its approximation
    approximate: bool


@public("keras.activations")
@differentiable
def gelu(x, approximate=False):
    """Gaussian error linear unit.

    Args:
        x: array.
        approximate: use the tanh formula. NB: False here, True in `keras.ops.gelu`.

    **Formula** `y = x * P(X <= x)` for a normal X, `P = erfc(-x / sqrt(2)) / 2`.
    Approximate: `P = (1 + tanh(u)) / 2`, `u = sqrt(2 / pi) * (x + 0.044715 x^3)`

    **Gradient** `dx = dy * (P + x * dP/dx)`; dP/dx is the normal density
    `exp(-x^2 / 2) / sqrt(2 pi)`, or by the chain rule through u
    `2 P (1 - P) * du/dx`, since `(1 + tanh(u)) / 2` is `sigmoid(2 u)`

    **Keeps** x and P.

    Reference: Hendrycks and Gimpel, 2016, arXiv:1606.08415.

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = floats(x)
    if approximate:
        g = 0.5 * (1 + np.tanh(_TANH_SCALE * (x + _cubic(x) * (x * x * x))))
    else:
        g = 0.5 * erfc(-x * _root_half(x))
    return x * g, GELUResiduals(x, g, bool(approximate))


@gelu.gradient
def _(dy, residuals):
    x, g, approximate = residuals
    if approximate:
        du = _TANH_SCALE * (1 + 3 * _cubic(x) * (x * x))  # u = scale * (x + c * x^3)
        slope = 2 * g * (1 - g) * du  # g = sigmoid(2 u)
    else:
        z = x * _root_half(x)  # g = erfc(-z) / 2
        slope = np.exp(-z * z) * (_root_half(x) / math.sqrt(math.pi))
    return dy * (g + x * slope)  # y = x * g


_TANH_SCALE = 0.7978845608028654  # sqrt(2 / pi)


# NB: Keras takes these two constants through float32, in float64 runs too.
def _root_half(x):
    return cast(0.7071067811865476, x.dtype)  # 1 / sqrt(2)


def _cubic(x):
    return cast(0.044715, x.dtype)


class MishResiduals(NamedTuple):
    """What `mish` keeps."""

    x: np.ndarray
    softplus: np.ndarray
    g: np.ndarray  # tanh(softplus(x))


@public("keras.activations")
@differentiable
def mish(x):
    """Mish: x gated by the tanh of its softplus.

    Args:
        x: array.

    **Formula** `y = x * g`, with `g = tanh(p)` and `p = softplus(x)`

    **Gradient** `dx = dy * (g + x * (1 - g^2) * sigmoid(x))`, and
    `sigmoid(x) = 1 - exp(-p)`

    **Keeps** x, p and g.

    Reference: Misra, 2019, arXiv:1908.08681.

    >>> mish(np.array([-1000.0, 0.0, 20.0]))
    array([-0.,  0., 20.])
    """
    x = floats(x)
    p = log_one_plus_exp(x)
    g = np.tanh(p)
    return x * g, MishResiduals(x, p, g)


@mish.gradient
def _(dy, residuals):
    x, p, g = residuals
    sigmoid = -np.expm1(-p)
    return dy * (g + x * (1 - g * g) * sigmoid)  # y = x * tanh(softplus(x))


class GLUResiduals(NamedTuple):
    """What `glu` keeps."""

    a: np.ndarray  # the first half
    s: np.ndarray  # the sigmoid of the second half
    axis: int


@public("keras.activations")
@differentiable
def glu(x, axis=-1):
    """Gated linear unit: one half of x gates the other half.

    Args:
        x: array whose length along `axis` is even.
        axis: where to cut x into halves a and b. The output is half as long there.

    **Formula** `y = a * s`, with `s = sigmoid(b)`

    **Gradient** `da = dy * s`, `db = dy * a * s * (1 - s)`

    **Keeps** a and s.

    Reference: Dauphin et al., 2017, arXiv:1612.08083.

    >>> glu(np.array([4.0, 6.0, 0.0, 0.0]))
    array([2., 3.])
    """
    x = floats(x)
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(
            f"`glu` needs an axis of its input. Received: x.shape={x.shape} with "
            f"axis={axis}"
        )
    if x.shape[axis] % 2:
        raise ValueError(
            "`glu` cuts its input into two equal halves, so the axis must have an even "
            f"length. Received: x.shape={x.shape} with axis={axis}"
        )
    a, b = np.split(x, 2, axis=axis)
    s = logistic(b)
    return a * s, GLUResiduals(a, s, axis)


@glu.gradient
def _(dy, residuals):
    a, s, axis = residuals
    db = dy * a * (s * (1 - s))
    return np.concatenate([dy * s, db], axis=axis)  # y = a * sigmoid(b)
