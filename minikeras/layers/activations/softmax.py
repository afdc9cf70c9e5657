"""Softmax as a layer, over one axis or several, with a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import activations
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

# NB: Keras puts this where the mask is False, not minus infinity: a row masked
# everywhere then has a softmax, which is set to 0 afterwards.
_MASKED = -1e9


class SoftmaxResiduals(NamedTuple):
    """What `Softmax.backward` needs.

    Attributes:
        activation: the residuals of the activation.
        mask: booleans that broadcast to the input, or None.
    """

    activation: Any
    mask: np.ndarray | None


@public("keras.layers")
class Softmax(Layer):
    """Turns numbers along an axis into positive ones that add up to 1.

    Args:
        axis: the axis, or a list of axes that add up to 1 together.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        mask: broadcasts to the input; where it is False the output is 0 and the others
            share the 1. Numbers count as True above 0.5.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = exp(x) / sum(exp(x))`; with a mask, x is -1e9 where it is False.

    **Gradient**: `dx = y * (dy - sum(dy * y))`, and 0 where the mask is False.

    **Keeps**: y and the mask.

    >>> x, mask = np.array([[1.0, 1.0, 5.0]], "float32"), np.array([True, True, False])
    >>> Softmax()(x, mask=mask)
    array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True
        # Linear where a model that ends here is trained from its logits.
        self.activation = activations.softmax

    @property
    def ends_in_activation(self) -> bool:
        """Whether logits exist. NB: Keras keeps none for several axes."""
        return not isinstance(self.axis, list | tuple) or len(self.axis) == 1

    @property
    def parameters(self) -> dict[str, Any]:
        """What the activation is called with."""
        return {"axis": self._axis(0)}

    def forward(
        self, x: np.ndarray, *, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, SoftmaxResiduals]:
        """The softmax of `x`, or of what the mask leaves of it."""
        if mask is not None:
            mask = _boolean(mask, x)
            x = np.where(mask, x, x.dtype.type(_MASKED))
        if self.activation is activations.softmax:
            y, activation = self.activation.forward(x, axis=self._axis(x.ndim))
            if mask is not None:
                y = np.where(mask, y, y.dtype.type(0))
        else:  # the logits
            y, activation = self.activation.forward(x)
        return y, SoftmaxResiduals(activation, mask)

    def _axis(self, rank: int) -> Any:
        """`axis` as `activations.softmax` takes it: an int, or a tuple from 0 up."""
        if not isinstance(self.axis, list | tuple):
            return self.axis
        if len(self.axis) == 1:
            return self.axis[0]
        return tuple(axis + rank if axis < 0 else axis for axis in self.axis)

    def backward(
        self, dy: np.ndarray, residuals: SoftmaxResiduals, grads: Gradients
    ) -> np.ndarray:
        """The softmax's gradient where the mask is True."""
        mask = residuals.mask
        if mask is None:
            return self.activation.backward(dy, residuals.activation)
        zero = dy.dtype.type(0)
        dy = np.where(mask, dy, zero)  # in forward: y = where(mask, y, 0)
        dx = self.activation.backward(dy, residuals.activation)
        return np.where(mask, dx, zero)  # in forward: x = where(mask, x, -1e9)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


def _boolean(mask: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The mask as booleans; refuses one that would make the input larger."""
    mask = np.asarray(mask)
    pairs = zip(mask.shape[::-1], x.shape[::-1], strict=False)
    if mask.ndim > x.ndim or any(m not in (1, n) for m, n in pairs):
        raise ValueError(
            "The `mask` must be broadcastable to `inputs`. Each mask dimension must be "
            "1 or match the corresponding input dimension. Received: "
            f"inputs.shape={x.shape}, mask.shape={mask.shape}"
        )
    return mask if mask.dtype == bool else mask > 0.5
