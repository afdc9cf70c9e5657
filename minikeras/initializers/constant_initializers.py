"""Initializers without randomness: constants, the identity, Fourier kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.casting import cast
from minikeras.initializers.initializer import Initializer, complete_shape
from minikeras.variables import standardize_dtype


class Constant(Initializer):
    """All elements equal.

    Args:
        value: a number, or an array that broadcasts to the shape of the weight.

    >>> Constant(3.0)((2, 2))
    array([[3., 3.],
           [3., 3.]], dtype=float32)
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        # NB: Keras casts: in a float64 run Constant(0.1) is float32's 0.1.
        value = cast(self.value, dtype)
        return np.array(np.broadcast_to(value, complete_shape(shape)))

    def get_config(self) -> dict[str, Any]:
        from minikeras.serialization import serialize_keras_object

        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        from minikeras.serialization import deserialize_keras_object

        return cls(deserialize_keras_object(config.get("value", 0.0)))


class Zeros(Initializer):
    """All elements 0.

    >>> Zeros()((3,))
    array([0., 0., 0.], dtype=float32)
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.zeros(complete_shape(shape), standardize_dtype(dtype))


class Ones(Initializer):
    """All elements 1.

    >>> Ones()((3,), "float64")
    array([1., 1., 1.])
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return np.ones(complete_shape(shape), standardize_dtype(dtype))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere.

    Args:
        gain: number.

    >>> Identity(2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        shape, dtype = complete_shape(shape), standardize_dtype(dtype)
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return (self.gain * np.eye(*shape)).astype(dtype)

    # NB: Keras leaves the gain out of the config, so a clone has gain 1.


# Coefficients of w(x) = a0 + a1 cos(x) + a2 cos(2 x), x from -pi to pi.
_WINDOWS = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}


class STFT(Initializer):
    """Kernel of a 1D convolution that computes a short-time Fourier transform.

    **Formula** `kernel[t, 0, f] = w[t] cos(-2 pi t f / n) / s`, with sin for the
    imaginary side; n = 2 (frequencies - 1), s = sqrt(sum w^2) for `"density"`, sum |w|
    for `"spectrum"`.

    Args:
        side: `"real"` or `"imag"`.
        window: `"hann"`, `"hamming"`, `"blackman"`, `"boxcar"`, an array of the frame's
            length, or None. (Keras takes SciPy's names; the others are refused.)
        scaling: `"density"`, `"spectrum"` or None.
        periodic: whether the window's period is its length, not its length minus one.

    >>> STFT("real", None)((2, 1, 2))
    array([[[ 1.,  1.]],
    <BLANKLINE>
           [[ 1., -1.]]], dtype=float32)
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise ValueError(f"side should be 'real' or 'imag'. Received: side={side}")
        if isinstance(window, str) and window not in _WINDOWS:
            raise ValueError(
                f"Unknown window. minikeras has {tuple(_WINDOWS)}; any other can be "
                f"given as an array. Received: window={window!r}"
            )
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                "Scaling is invalid, it must be `None`, 'density' or 'spectrum'. "
                f"Received: scaling={scaling}"
            )
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        dtype = np.dtype(standardize_dtype(dtype))
        shape = complete_shape(shape)
        if len(shape) != 3:
            raise ValueError(
                "The STFT initializer makes kernels of shape "
                f"(frame_length, 1, frequencies). Received: shape={shape}"
            )
        length, _, frequencies = shape
        time = np.arange(length, dtype=dtype)[:, None, None]
        frequency = np.arange(frequencies, dtype=dtype) / dtype.type(
            2 * (frequencies - 1)
        )
        angle = -2 * time * frequency * dtype.type(np.pi)  # (length, 1, frequencies)
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is None:
            return kernel
        window = self._window(length, dtype)[:, None, None]
        if self.scaling == "density":
            return kernel * window / np.sqrt(np.sum(window * window))
        if self.scaling == "spectrum":
            return kernel * window / np.sum(np.abs(window))
        return kernel * window

    def _window(self, length: int, dtype: np.dtype) -> np.ndarray:
        if isinstance(self.window, str):
            points = length + 1 if self.periodic else length
            x = np.linspace(-np.pi, np.pi, points)[:length]
            terms = [a * np.cos(k * x) for k, a in enumerate(_WINDOWS[self.window])]
            window = np.sum(terms, axis=0) if points > 1 else np.ones(length)
        else:
            window = np.asarray(self.window)
        if window.shape != (length,):
            raise ValueError(
                "The shape of `window` must be equal to [frame_length]. "
                f"Received: window shape={window.shape}, frame_length={length}"
            )
        return window.astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "window": self.window,
            "periodic": self.periodic,
            "scaling": self.scaling,
        }


class ArrayValue(Initializer):
    """The given array itself; what `get` makes of an array."""

    def __init__(self, value: Any):
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if complete_shape(shape) != self.value.shape:
            raise ValueError(
                f"Expected `shape` to be {self.value.shape} for direct tensor as "
                f"initializer. Received shape={shape}"
            )
        return np.array(self.value, standardize_dtype(dtype))
