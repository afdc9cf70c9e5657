"""PReLU: a leaky ReLU that learns its slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class PReLUResiduals(NamedTuple):
    """What `PReLU.backward` needs.

    Attributes:
        x: the input.
    """

    x: np.ndarray


@public("keras.layers")
class PReLU(Layer):
    """Parametric rectified linear unit: the slope for x < 0 is a weight.

    Args:
        alpha_initializer: how the slopes start.
        alpha_regularizer: penalty on the slopes.
        alpha_constraint: projection of the slopes after each update.
        shared_axes: axis or axes along which one slope is shared: `[1, 2]` for one per
            channel of an image (N, H, W, C).
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ...), all sizes but N known where slopes are not shared.

    Output shape:
        The same.

    Weights:
        `alpha`, the input's shape without N, with 1 for each shared axis.

    **Formula**: `y = x` for x > 0, `alpha * x` for x < 0.

    **Gradient**: `dx = dy` for x > 0, `alpha * dy` for x < 0, and 0 at 0 (TensorFlow's:
    y is made of two relus there); `dalpha = dy * min(x, 0)`, added up over the batch
    and the shared axes.

    **Keeps**: the input.

    Reference: He et al., "Delving deep into rectifiers", 2015, section 2.1.

    >>> PReLU(alpha_initializer="ones")(np.array([[-2.0, 3.0]], "float32"))
    array([[-2.,  3.]], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is not None:
            several = isinstance(shared_axes, list | tuple)
            shared_axes = list(shared_axes) if several else [shared_axes]
        self.shared_axes = shared_axes

    def build(self, input_shape: Any) -> None:
        """Makes `alpha`."""
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape,
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {}
        if self.shared_axes:
            for axis in range(1, len(input_shape)):
                if axis not in self.shared_axes:
                    axes[axis] = input_shape[axis]
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, PReLUResiduals]:
        """`max(x, 0) + alpha * min(x, 0)`."""
        x = x.astype(self.alpha.dtype, copy=False)
        y = np.maximum(x, 0) + self.alpha.value * np.minimum(x, 0)
        return y, PReLUResiduals(x)

    def backward(
        self, dy: np.ndarray, residuals: PReLUResiduals, grads: Gradients
    ) -> np.ndarray:
        """`dy`, times alpha where x < 0; adds dalpha."""
        x, alpha = residuals.x, self.alpha.value
        if grads.wants(self.alpha):
            # in forward: y = max(x, 0) + alpha * min(x, 0)
            dalpha = (dy * np.minimum(x, 0)).sum(axis=0)  # (N, ...) -> (...)
            shared = tuple(i for i, n in enumerate(alpha.shape) if n == 1)
            grads.add(self.alpha, dalpha.sum(axis=shared, keepdims=True))
        slope = np.where(x > 0, alpha.dtype.type(1), alpha)
        return dy * np.where(x == 0, alpha.dtype.type(0), slope)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
