"""No activation at all."""

from __future__ import annotations

from minikeras.functions import differentiable
from minikeras.registry import public


@public("keras.activations")
@differentiable
def linear(x):
    """The identity: what `activation=None` means.

    Args:
        x: array.

    **Formula** `y = x`

    **Gradient** `dx = dy`

    **Keeps** nothing.

    >>> linear([-1.0, 2.0])
    array([-1.,  2.], dtype=float32)
    """
    return x, None


@linear.gradient
def _(dy, residuals):
    return dy
