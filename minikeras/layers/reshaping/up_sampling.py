"""UpSampling1D, 2D and 3D: sequences, images and volumes enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.arguments import standardize_tuple
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops.resize import (
    BUMPS,
    Factors,
    interpolate,
    interpolate_grad,
    repeat,
    repeat_grad,
)
from minikeras.registry import public, suggest

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

INTERPOLATIONS = ("nearest", "area", *BUMPS)


class BaseUpSampling(Layer):
    """Every spatial axis `size` times as long. The mathematics is in `ops/resize.py`.

    Args:
        sizes: a factor per spatial axis.
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default.
        interpolation: one of `INTERPOLATIONS`.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        data_format: str | None,
        interpolation: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self._sizes = sizes
        self.interpolation = interpolation
        self.input_spec = InputSpec(ndim=len(sizes) + 2)

    @property
    def _factors(self) -> Factors:
        first = 1 if self.data_format == "channels_last" else 2
        return dict(enumerate(self._sizes, start=first))

    @property
    def _repeats(self) -> bool:
        # By a whole factor an area is that of the nearest element.
        return self.interpolation in ("nearest", "area")

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """`x` enlarged."""
        if self._repeats:
            return repeat(x, self._factors), None
        floats = x if x.dtype.kind == "f" else x.astype(self.compute_dtype)
        y = interpolate(floats, self._factors, self.interpolation)
        return y.astype(x.dtype, copy=False), None  # NB: integers stay integers

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """What each element contributed to."""
        if self._repeats:
            return repeat_grad(dy, self._factors)
        return interpolate_grad(dy, self._factors, self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """`size` times as long; sizes that are None stay None."""
        shape = list(input_shape)
        for axis, factor in self._factors.items():
            shape[axis] = None if shape[axis] is None else shape[axis] * factor
        return tuple(shape)


@public("keras.layers")
class UpSampling1D(BaseUpSampling):
    """Repeats every step of a sequence.

    Args:
        size: how often.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, T, C).

    Output shape:
        (N, T * size, C).

    **Formula**: `y[n, t * size + i] = x[n, t]` for every i < size.

    **Gradient**: `dx[n, t] = sum over i of dy[n, t * size + i]`.

    **Keeps**: nothing.

    >>> UpSampling1D(2)(np.array([[[1.0], [2.0]]], "float32")).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"Expected an integer value for `size`, got {type(size)}.")
        if size <= 0:
            raise ValueError(
                f"Argument `size` should be a positive integer. Received: size={size}"
            )
        super().__init__((size,), "channels_last", "nearest", **kwargs)
        self.size = size

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}


@public("keras.layers")
class UpSampling2D(BaseUpSampling):
    """Enlarges images, by repeating pixels or by interpolation.

    Args:
        size: (s, t): the factors of height and width, or one for both.
        data_format: `"channels_last"` (N, H, W, C) or `"channels_first"` (N, C, H, W).
        interpolation: `"nearest"` repeats pixels (`"area"` is the same by whole
            factors); `"bilinear"`, `"bicubic"`, `"lanczos3"` and `"lanczos5"` weigh the
            pixels around, see `ops/resize.py`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, H, W, C), or (N, C, H, W).

    Output shape:
        (N, H * s, W * t, C), or with C first.

    **Formula**: `y[n, h*s + i, w*t + j] = x[n, h, w]`, or `y = A_h @ x @ A_w.T` with
    the weights of the interpolation.

    **Gradient**: `dx[n, h, w] = sum over i, j of dy[n, h*s + i, w*t + j]`, or
    `dx = A_h.T @ dy @ A_w`.

    **Keeps**: nothing.

    NB: Keras on TensorFlow interpolates float64 images in float32; minikeras does not.

    >>> x = np.array([[0.0, 4.0]], "float32").reshape(1, 1, 2, 1)
    >>> UpSampling2D((1, 2), interpolation="bilinear")(x).ravel()
    array([0., 1., 3., 4.], dtype=float32)
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        interpolation = interpolation.lower()
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                "Invalid value for argument `interpolation`. Expected one of "
                f"{INTERPOLATIONS}. Received: interpolation={interpolation!r}."
                f"{suggest(interpolation, INTERPOLATIONS)}"
            )
        size = standardize_tuple(size, 2, "size")
        super().__init__(size, data_format, interpolation, **kwargs)
        self.size = size

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


@public("keras.layers")
class UpSampling3D(BaseUpSampling):
    """Enlarges volumes by repeating their elements.

    Args:
        size: a factor per axis, or one for all three.
        data_format: `"channels_last"` (N, D, H, W, C) or `"channels_first"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W).

    Output shape:
        The same, with D, H and W as many times as long.

    **Formula**: as `UpSampling2D`, nearest, with one axis more. **Gradient**: likewise.

    **Keeps**: nothing.

    >>> UpSampling3D((1, 2, 3))(np.ones((1, 2, 2, 2, 1), "float32")).shape
    (1, 2, 4, 6, 1)
    """

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ):
        size = standardize_tuple(size, 3, "size")
        super().__init__(size, data_format, "nearest", **kwargs)
        self.size = size

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
        }
