"""Cropping1D, 2D and 3D: the borders of sequences, images and volumes cut off."""

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


class BaseCropping(Layer):
    """Cuts positions off before and after each spatial axis.

    Args:
        rank: the number of spatial axes.
        cropping: (before, after) for each of them.
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    cropping: Any

    def __init__(
        self, rank: int, cropping: Any, data_format: str | None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.cropping = cropping
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def _widths(self) -> Widths:
        first = 1 if self.data_format == "channels_last" else 2
        pairs = (self.cropping,) if self.input_spec.ndim == 3 else self.cropping
        return dict(enumerate(pairs, start=first))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """`x` without its border, as a view."""
        self.compute_output_shape(x.shape)  # refuses an empty output
        return cut_border(x, self._widths), None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """`dy` inside zeros."""
        return add_border(dy, self._widths)  # y = cut_border(x)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Smaller by what is cut off; sizes that are None stay None."""
        shape = list(input_shape)
        for axis, pair in self._widths.items():
            if shape[axis] is None:
                continue
            shape[axis] -= sum(pair)
            if shape[axis] <= 0:
                raise ValueError(self._too_much(input_shape))
        return tuple(shape)

    def _too_much(self, input_shape: Any) -> str:
        return (
            "Values in `cropping` argument should be smaller than the corresponding "
            f"spatial dimension of the input. Layer '{self.name}' received: "
            f"input_shape={tuple(input_shape)}, cropping={self.cropping}"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "cropping": self.cropping,
            "data_format": self.data_format,
        }


@public("keras.layers")
class Cropping1D(BaseCropping):
    """Cuts steps off a sequence.

    Args:
        cropping: how many before and after; one number for both or a pair.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, T, C).

    Output shape:
        (N, T - before - after, C).

    **Formula**: `y[n, t] = x[n, before + t]`.

    **Gradient**: `dx[n, before + t] = dy[n, t]`, zero at the steps cut off.

    **Keeps**: nothing.

    >>> Cropping1D((1, 0))(np.arange(3.0, dtype="float32").reshape(1, 3, 1)).ravel()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        cropping = standardize_tuple(cropping, 2, "cropping", allow_zero=True)
        super().__init__(1, cropping, "channels_last", **kwargs)

    def _too_much(self, input_shape: Any) -> str:
        return (
            "`cropping` parameter of `Cropping1D` layer must be smaller than the input "
            f"length. Layer '{self.name}' received: input_shape={tuple(input_shape)}, "
            f"cropping={self.cropping}"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["data_format"]
        return config


@public("keras.layers")
class Cropping2D(BaseCropping):
    """Cuts pixels off an image.

    Args:
        cropping: one number for all four sides; (top and bottom, left and right); or
            ((top, bottom), (left, right)).
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W).

    Output shape:
        (N, H - top - bottom, W - left - right, C), or with C first.

    **Formula**: `y[n, h, w] = x[n, top + h, left + w]`.

    **Gradient**: `dx[n, top + h, left + w] = dy[n, h, w]`, zero at what is cut off.

    **Keeps**: nothing.

    >>> x = np.arange(4.0, dtype="float32").reshape(1, 2, 2, 1)
    >>> Cropping2D(((1, 0), (0, 1)))(x).ravel()
    array([2.], dtype=float32)
    """

    def __init__(
        self,
        cropping: Any = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        cropping = standardize_borders(cropping, 2, "cropping")
        super().__init__(2, cropping, data_format, **kwargs)


@public("keras.layers")
class Cropping3D(BaseCropping):
    """Cuts the border off a volume.

    Args:
        cropping: one number for all six sides; three, each for both sides of an axis;
            or three pairs.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W).

    Output shape:
        The same, with D, H and W smaller by what is cut off.

    **Formula**: as `Cropping2D`, with one axis more. **Gradient**: likewise.

    **Keeps**: nothing.

    >>> Cropping3D()(np.ones((1, 3, 4, 5, 1), "float32")).shape
    (1, 1, 2, 3, 1)
    """

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        cropping = standardize_borders(cropping, 3, "cropping")
        super().__init__(3, cropping, data_format, **kwargs)
