"""UnitNormalization: vectors of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.layers.layer import Layer
from minikeras.layers.normalization.axes import check_axes
from minikeras.ops.unit_norm import UnitNormResiduals, unit_norm, unit_norm_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class UnitNormalization(Layer):
    """Scales every example to length 1 along an axis, or several together.

    Args:
        axis: the axis, or a list of axes.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x / |x|`, with `|x| = sqrt(sum(x**2))` over `axis`; a vector of
    zeros stays one.

    **Gradient**: `dx = (dy - y * sum(dy * y)) / |x|`: the part along y is lost.

    **Keeps**: y and 1 / |x|.

    >>> UnitNormalization()(np.array([[3.0, 4.0]], "float32"))
    array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            self.axis: Any = list(axis)
        elif isinstance(axis, int):
            self.axis = axis
        else:
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of "
                f"ints. Received: axis={axis!r}"
            )
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, UnitNormResiduals]:
        """`x` divided by its length."""
        x = x if x.dtype.kind == "f" else x.astype(self.compute_dtype)
        axes = tuple(self.axis) if isinstance(self.axis, list) else (self.axis,)
        return unit_norm(x, axes, epsilon=1e-12)

    def backward(
        self, dy: np.ndarray, residuals: UnitNormResiduals, grads: Gradients
    ) -> np.ndarray:
        """See `ops.unit_norm`."""
        return unit_norm_grad(dy, residuals)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
