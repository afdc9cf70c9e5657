"""ZeroPadding1D, 2D and 3D: zeros around sequences, images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.arguments import standardize_borders, standardize_tuple
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.borders import Widths, add_border, cut_border
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class BaseZeroPadding(Layer):
    """Zeros before and after each spatial axis.

    Args:
        rank: the number of spatial axes.
        padding: (before, after) for each of them.
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    padding: Any

    def __init__(self, rank: int, padding: Any, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding = padding
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def _widths(self) -> Widths:
        first = 1 if self.data_format == "channels_last" else 2
        pairs = (self.padding,) if self.input_spec.ndim == 3 else self.padding
        return dict(enumerate(pairs, start=first))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """`x` inside zeros."""
        return add_border(x, self._widths), None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """`dy` without its border."""
        return cut_border(dy, self._widths)  # y = add_border(x)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Larger by the padding; sizes that are None stay None."""
        shape = list(input_shape)
        for axis, pair in self._widths.items():
            shape[axis] = None if shape[axis] is None else shape[axis] + sum(pair)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "padding": self.padding,
            "data_format": self.data_format,
        }


@public("keras.layers")
class ZeroPadding1D(BaseZeroPadding):
    """Zeros before and after a sequence.

    Args:
        padding: how many before and after; one number for both or a pair.
        data_format: `"channels_last"` (N, T, C) or `"channels_first"` (N, C, T).
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, T, C), or (N, C, T).

    Output shape:
        (N, before + T + after, C), or (N, C, before + T + after).

    **Formula**: `y[n, before + t] = x[n, t]`, zero elsewhere.

    **Gradient**: `dx[n, t] = dy[n, before + t]`.

    **Keeps**: nothing.

    >>> ZeroPadding1D((0, 2))(np.ones((1, 1, 1), "float32")).ravel()
    array([1., 0., 0.], dtype=float32)
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        padding = standardize_tuple(padding, 2, "padding", allow_zero=True)
        super().__init__(1, padding, data_format, **kwargs)


@public("keras.layers")
class ZeroPadding2D(BaseZeroPadding):
    """Zeros around an image.

    Args:
        padding: one number for all four sides; (top and bottom, left and right); or
            ((top, bottom), (left, right)).
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W).

    Output shape:
        (N, top + H + bottom, left + W + right, C), or with C first.

    **Formula**: `y[n, top + h, left + w] = x[n, h, w]`, zero elsewhere.

    **Gradient**: `dx[n, h, w] = dy[n, top + h, left + w]`.

    **Keeps**: nothing.

    >>> ZeroPadding2D(((1, 0), (0, 0)))(np.ones((1, 1, 2, 1), "float32"))[0, :, :, 0]
    array([[0., 0.],
           [1., 1.]], dtype=float32)
    """

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ):
        padding = standardize_borders(padding, 2, "padding")
        super().__init__(2, padding, data_format, **kwargs)


@public("keras.layers")
class ZeroPadding3D(BaseZeroPadding):
    """Zeros around a volume.

    Args:
        padding: one number for all six sides; three, each for both sides of an axis; or
            three pairs.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W).

    Output shape:
        The same, with D, H and W larger by their padding.

    **Formula**: as `ZeroPadding2D`, with one axis more. **Gradient**: likewise.

    **Keeps**: nothing.

    >>> ZeroPadding3D()(np.ones((1, 2, 3, 4, 1), "float32")).shape
    (1, 4, 5, 6, 1)
    """

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        padding = standardize_borders(padding, 3, "padding")
        super().__init__(3, padding, data_format, **kwargs)
