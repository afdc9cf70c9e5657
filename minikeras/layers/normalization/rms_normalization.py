"""RMSNormalization: each example divided by its root mean square."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.layers.layer import Layer
from minikeras.layers.normalization.axes import check_axes
from minikeras.ops.rms_norm import RMSNormResiduals, rms_norm, rms_norm_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class RMSNormalization(Layer):
    """Divides each example by its root mean square: what large language models use.

    Args:
        axis: the axis, or a list of axes, that are normalized together.
        epsilon: added to the mean square.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any; the normalized axes known.

    Output shape:
        The same.

    Weights:
        `scale`: the sizes of the normalized axes; ones to begin with.

    **Formula**: `y = scale * n`, `n = x / sqrt(mean(x**2) + epsilon)`, the mean over
    `axis`.

    **Gradient**: with `dn = dy * scale` and means over `axis`,

        dscale = sum(dy * n)
        dx = (dn - n * mean(dn * n)) / sqrt(mean(x**2) + epsilon)

    **Keeps**: n, and one number per example.

    Reference: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> RMSNormalization()(np.array([[1.0, 7.0]], "float32")).round(3)
    array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes `scale`. NB: from now on `axis` is a sorted list."""
        several = isinstance(self.axis, list | tuple)
        self.axis = sorted(self.axis) if several else [self.axis]
        check_axes(self.axis, input_shape)
        shape = tuple(input_shape[axis] for axis in self.axis)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, RMSNormResiduals]:
        """Normalized `x`."""
        x = x.astype(self.compute_dtype, copy=False)
        broadcast = [1] * x.ndim
        for axis in self.axis:
            broadcast[axis] = x.shape[axis]
        scale = self.scale.value.reshape(broadcast)
        return rms_norm(x, scale, tuple(self.axis), self.epsilon)

    def backward(
        self, dy: np.ndarray, residuals: RMSNormResiduals, grads: Gradients
    ) -> np.ndarray:
        """See `ops.rms_norm`; adds dscale."""
        dx, dscale = rms_norm_grad(dy, residuals)
        grads.add(self.scale, dscale.reshape(self.scale.shape))
        return dx

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
