"""Rectifiers: linear on one side of a threshold, something else on the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minikeras.casting import cast
from minikeras.functions import differentiable
from minikeras.ops.stable import floats, gate, pick
from minikeras.registry import public


class ReLUResiduals(NamedTuple):
    """What `relu` keeps."""

    y: np.ndarray  # the output
    slope: np.ndarray | None  # dy/dx of the general form; None: y > 0 tells it


@public("keras.activations")
@differentiable
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """Rectified linear unit.

    Args:
        x: array. Integers stay integers.
        negative_slope: slope below the threshold.
        max_value: None, or the largest value returned.
        threshold: values up to here count as negative.

    **Formula**

        y = max_value                        where x >= max_value
            x                                where threshold < x < max_value
            negative_slope * (x - threshold) elsewhere

    **Gradient** `dx = dy * slope`, where the slope at a kink is TensorFlow's: 0 at
    x = 0 of the plain form, 1 at x = max_value (but 0 at max_value = 6), and 0 at the
    threshold unless the form is the plain leaky one, which has `negative_slope` there.

    **Keeps** y for the plain form: `y > 0` is the slope. The slope for the others.

    Reference: Nair and Hinton, 2010, Rectified Linear Units Improve Restricted
    Boltzmann Machines.

    >>> relu(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 3.])
    >>> relu(np.array([-2.0, 0.0, 3.0]), negative_slope=0.5, max_value=2.0)
    array([-1.,  0.,  2.])
    """
    if not negative_slope and max_value is None and not threshold:
        y = np.maximum(x, 0)
        return y, ReLUResiduals(y, None)
    if negative_slope and max_value is None and not threshold:
        y, slope = leaky_relu.forward(x, negative_slope)
        return y, ReLUResiduals(y, slope)
    return _general_relu(x, negative_slope, max_value, threshold)


@relu.gradient
def _(dy, residuals):
    if residuals.slope is None:  # y = max(x, 0)
        return gate(residuals.y > 0, dy)
    return dy * residuals.slope


def _general_relu(x, negative_slope, max_value, threshold):
    """Threshold, upper limit and negative slope, each as Keras rounds it."""
    x = floats(x) if negative_slope else x
    limit = cast(threshold, x.dtype)  # NB: Keras: through float32, in float64 runs too
    y = np.where(x > limit, x, 0) if threshold else np.maximum(x, 0)
    passes = x > limit
    if max_value is not None:
        top = cast(max_value, x.dtype)
        clipped = np.minimum(y, top)
        # NB: Keras's relu6 has slope 0 at 6, where any other clip has slope 1.
        below = y < top if max_value == 6 and not threshold else y <= top
        passes = passes & below & (clipped >= 0)
        y = np.maximum(clipped, 0)
    if not negative_slope:
        return y, ReLUResiduals(y, passes)
    negative = np.maximum(float(threshold) - x, 0)
    y = y - float(negative_slope) * negative
    slope = passes + float(negative_slope) * (negative > 0).astype(x.dtype)
    return y, ReLUResiduals(y, slope)


@public("keras.activations")
@differentiable
def leaky_relu(x, negative_slope=0.2):
    """Rectifier with a small slope for negative inputs.

    Args:
        x: array. Integers become floats.
        negative_slope: slope for x <= 0. NB: 0.2 here, 0.3 in the layer `LeakyReLU`.

    **Formula** `y = x where x > 0, negative_slope * x elsewhere`

    **Gradient** `dx = dy * (1 where x > 0, negative_slope elsewhere)`

    **Keeps** the slope.

    >>> leaky_relu(np.array([-2.0, 3.0]), negative_slope=0.5)
    array([-1.,  3.])
    """
    x = floats(x)
    negative_slope = cast(float(negative_slope), x.dtype)  # NB: Keras: via float32
    slope = pick(x > 0, 1.0, float(negative_slope), x.dtype)
    return x * slope, slope


@leaky_relu.gradient
def _(dy, slope):
    return dy * slope  # y = x * slope


@public("keras.activations")
@differentiable
def relu6(x):
    """Rectifier with an upper limit of 6.

    Args:
        x: array. Integers stay integers.

    **Formula** `y = min(max(x, 0), 6)`

    **Gradient** `dx = dy where 0 < y < 6, 0 elsewhere`

    **Keeps** y.

    Reference: Krizhevsky, 2010, Convolutional Deep Belief Networks on CIFAR-10.

    >>> relu6(np.array([-2.0, 3.0, 8.0]))
    array([0., 3., 6.])
    """
    y = np.minimum(np.maximum(x, 0), 6)
    return y, y


@relu6.gradient
def _(dy, y):
    return gate((y > 0) & (y < 6), dy)  # y = min(max(x, 0), 6)


@public("keras.activations")
@differentiable
def threshold(x, threshold, default_value):
    """Replaces everything up to a threshold by a constant.

    Args:
        x: array. Integers stay integers.
        threshold: values above it are kept.
        default_value: what the others become.

    **Formula** `y = x where x > threshold, default_value elsewhere`

    **Gradient** `dx = dy where x > threshold, 0 elsewhere`

    **Keeps** where x > threshold.

    >>> threshold(np.array([-2.0, 3.0]), 0.0, 9.0)
    array([9., 3.])
    """
    passes = x > x.dtype.type(threshold)
    return np.where(passes, x, x.dtype.type(default_value)), passes


@threshold.gradient
def _(dy, passes):
    return gate(passes, dy)  # y = where(x > threshold, x, default_value)


@public("keras.activations")
@differentiable
def sparse_plus(x):
    """Softplus made of a parabola: exactly 0 below -1, exactly x above 1.

    Args:
        x: array.

    **Formula** `y = 0 where x <= -1, (x + 1)^2 / 4 between, x where x >= 1`

    **Gradient** `dx = dy * (0, (x + 1) / 2, 1)` in the same three parts: the clipped
    line `sparse_sigmoid`, as the sigmoid is the slope of softplus.

    **Keeps** the slope.

    >>> sparse_plus(np.array([-2.0, 0.0, 2.0]))
    array([0.  , 0.25, 2.  ])
    """
    x = floats(x)
    slope = np.minimum(np.maximum(0.5 * (x + 1), 0), 1)
    return np.where(x < 1, slope * slope, x), slope


@sparse_plus.gradient
def _(dy, slope):
    # y = slope ** 2, with slope = (x + 1) / 2: dy/dx = 2 * slope / 2
    return dy * slope
