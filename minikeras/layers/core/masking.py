"""Masking: time steps that hold only a padding value are to be skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.casting import cast
from minikeras.comparisons import AnyTrue
from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.symbolic import is_keras_tensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class MaskingResiduals(NamedTuple):
    """What `Masking.backward` needs.

    Attributes:
        valid: booleans (..., 1): False where the whole step is padding.
    """

    valid: np.ndarray


@public("keras.layers")
class Masking(Layer):
    """Makes a mask from the data: a step is masked if all its features equal a value.

    Args:
        mask_value: a number, or one per feature.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, T, ..., F).

    Output shape:
        The same. The mask that travels on is (N, T, ...), True where a step is valid.

    **Formula**: `valid = any(x != mask_value, axis=-1)`; `y = x` where valid, else 0.

    **Gradient**: `dx = dy` where valid, else 0.

    **Keeps**: `valid`.

    >>> x = np.array([[[1.0, 9.0], [9.0, 9.0]]], "float32")
    >>> Masking(mask_value=9.0)(x)
    array([[[1., 9.],
            [0., 0.]]], dtype=float32)
    """

    makes_mask = True

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config"):
            from minikeras.serialization import deserialize_keras_object

            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.supports_masking = True

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, MaskingResiduals]:
        """`x` with padded steps set to 0."""
        valid = self._valid(x)[..., np.newaxis]  # (..., 1)
        return np.where(valid, x, x.dtype.type(0)), MaskingResiduals(valid)

    def backward(
        self, dy: np.ndarray, residuals: MaskingResiduals, grads: Gradients
    ) -> np.ndarray:
        """`dy` where the step was valid."""
        # in forward: y = where(valid, x, 0)
        return np.where(residuals.valid, dy, dy.dtype.type(0))

    def _valid(self, x: np.ndarray) -> np.ndarray:
        # NB: Keras rounds a Python float to float32 first, also for float64 inputs.
        value = cast(self.mask_value, x.dtype if x.dtype.kind == "f" else "float32")
        return np.any(np.not_equal(x, value), axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where a step is not padding. NB: Keras ignores a mask that came in."""
        if is_keras_tensor(inputs):
            return AnyTrue(axis=-1)(inputs != self.mask_value)
        return self._valid(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mask_value": self.mask_value}
