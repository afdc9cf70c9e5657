"""Functions made of an exponential or a root: smooth rectifiers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikeras.functions import differentiable
from minikeras.ops.stable import floats, log_one_plus_exp, pick
from minikeras.registry import public

# Klambauer et al. 2017: the fixed point of mean 0, variance 1.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@public("keras.activations")
@differentiable
def exponential(x):
    """The exponential function.

    Args:
        x: array.

    **Formula** `y = exp(x)`

    **Gradient** `dx = dy * y`

    **Keeps** y.

    >>> exponential(np.array([0.0, 1.0])).round(3)
    array([1.   , 2.718])
    """
    with np.errstate(over="ignore"):  # infinity is the answer, and visible
        y = np.exp(floats(x))
    return y, y


@exponential.gradient
def _(dy, y):
    return dy * y  # y = exp(x)


class ELUResiduals(NamedTuple):
    """What `elu` keeps."""

    positive: np.ndarray  # booleans: x > 0
    negative: np.ndarray  # alpha * (exp(x) - 1) where x <= 0, else 0
    alpha: float


@public("keras.activations")
@differentiable
def elu(x, alpha=1.0):
    """Exponential linear unit.

    Args:
        x: array.
        alpha: the function approaches -alpha on the left.

    **Formula** `y = x where x > 0, alpha * (exp(x) - 1) elsewhere`

    **Gradient** `dx = dy where x > 0, dy * (y + alpha) elsewhere`

    **Keeps** the negative part of the formula, and where x > 0.

    Reference: Clevert et al., 2016, arXiv:1511.07289.

    >>> elu(np.array([-1000.0, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    x, alpha = floats(x), float(alpha)
    negative = alpha * np.expm1(np.minimum(x, 0))
    return np.maximum(x, 0) + negative, ELUResiduals(x > 0, negative, alpha)


@elu.gradient
def _(dy, residuals):
    positive, negative, alpha = residuals
    # y = alpha * exp(x) - alpha: its slope is y + alpha
    return dy * (negative + pick(positive, 1.0, alpha, negative.dtype))


@public("keras.activations")
@differentiable
def selu(x):
    """Scaled exponential linear unit: keeps mean 0 and variance 1 through layers.

    Args:
        x: array.

    **Formula** `y = scale * (x where x > 0, alpha * (exp(x) - 1) elsewhere)`, with
    alpha = 1.67326324 and scale = 1.05070098

    **Gradient** `dx = dy * (y + scale * alpha where y < 0, scale elsewhere)`. NB: at
    x = 0 TensorFlow takes the right-hand slope, `scale`.

    **Keeps** y.

    Reference: Klambauer et al., 2017, arXiv:1706.02515.

    >>> selu(np.array([-1000.0, 0.0, 2.0])).round(4)
    array([-1.7581,  0.    ,  2.1014])
    """
    x = floats(x)
    negative = (SELU_SCALE * SELU_ALPHA) * np.expm1(np.minimum(x, 0))
    y = SELU_SCALE * np.maximum(x, 0) + negative
    return y, y


@selu.gradient
def _(dy, y):
    # y = scale * alpha * exp(x) - scale * alpha: its slope is y + scale * alpha
    limit = pick(y < 0, SELU_SCALE * SELU_ALPHA, SELU_SCALE, y.dtype)
    return dy * (np.minimum(y, 0) + limit)


@public("keras.activations")
@differentiable
def celu(x, alpha=1.0):
    """Exponential linear unit whose slope is continuous for every alpha.

    Args:
        x: array.
        alpha: the function approaches -alpha on the left.

    **Formula** `y = max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)`

    **Gradient** `dx = dy * ([x >= 0] + [x <= 0] * exp(x / alpha))`. NB: exactly at
    x = 0 both terms count and Keras's gradient is 2, not 1.

    **Keeps** the slope.

    Reference: Barron, 2017, arXiv:1704.07483.

    >>> celu(np.array([-1000.0, 0.0, 2.0]), alpha=0.5)
    array([-0.5,  0. ,  2. ])
    """
    x, alpha = floats(x), float(alpha)
    z = np.minimum(x, 0) / alpha
    with np.errstate(over="ignore"):  # a negative alpha may overflow
        slope = (x >= 0) + (x <= 0) * np.exp(z)
        negative = alpha * np.expm1(z)
    return np.maximum(x, 0) + negative, slope


@celu.gradient
def _(dy, slope):
    return dy * slope


@public("keras.activations")
@differentiable
def softplus(x):
    """A smooth rectifier.

    Args:
        x: array.

    **Formula** `y = log(1 + exp(x))`, computed as `max(x, 0) + log(1 + exp(-|x|))`

    **Gradient** `dx = dy * sigmoid(x)`, and `sigmoid(x) = 1 - exp(-y)`

    **Keeps** y.

    >>> softplus(np.array([-1000.0, 0.0, 20.0])).round(4)
    array([ 0.    ,  0.6931, 20.    ])
    """
    y = log_one_plus_exp(floats(x))
    return y, y


@softplus.gradient
def _(dy, y):
    return dy * -np.expm1(-y)  # exp(y) = 1 + exp(x), so sigmoid(x) = 1 - exp(-y)


@public("keras.activations")
@differentiable
def log_sigmoid(x):
    """Logarithm of the sigmoid.

    Args:
        x: array.

    **Formula** `y = log(1 / (1 + exp(-x))) = -softplus(-x)`

    **Gradient** `dx = dy * sigmoid(-x)`, and `sigmoid(-x) = 1 - exp(y)`

    **Keeps** y.

    >>> log_sigmoid(np.array([-1000.0, 0.0])).round(4)
    array([-1.000e+03, -6.931e-01])
    """
    y = -log_one_plus_exp(-floats(x))
    return y, y


@log_sigmoid.gradient
def _(dy, y):
    return dy * -np.expm1(y)  # exp(y) = sigmoid(x) = 1 - sigmoid(-x)


class SquareplusResiduals(NamedTuple):
    """What `squareplus` keeps."""

    x: np.ndarray
    root: np.ndarray  # sqrt(x^2 + b)


@public("keras.activations")
@differentiable
def squareplus(x, b=4):
    """A smooth rectifier without an exponential.

    Args:
        x: array.
        b: how smooth; 0 gives relu.

    **Formula** `y = (x + sqrt(x^2 + b)) / 2`

    **Gradient** `dx = dy * (1 + x / sqrt(x^2 + b)) / 2`

    **Keeps** x and the root.

    Reference: Barron, 2021, arXiv:2112.11687.

    >>> squareplus(np.array([-3.0, 0.0, 1.5]))
    array([0.30277564, 1.        , 2.        ])
    """
    x = floats(x)
    root = np.sqrt(x * x + float(b))
    return (x + root) / 2, SquareplusResiduals(x, root)


@squareplus.gradient
def _(dy, residuals):
    x, root = residuals
    return dy * (0.5 + 0.5 * (x / root))  # y = (x + root) / 2
