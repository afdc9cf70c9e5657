"""Dropout: in training, a random part of the values is set to zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import random
from minikeras.layers.layer import Layer
from minikeras.ops.stable import keep_where
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class DropoutResiduals(NamedTuple):
    """What the backward of a dropout needs.

    Attributes:
        keep: booleans that broadcast to the input: True where it went through.
        scale: what was kept was multiplied by this.
    """

    keep: np.ndarray
    scale: float


@public("keras.layers")
class Dropout(Layer):
    """Sets values to 0 with probability `rate` in training; does nothing otherwise.

    Args:
        rate: in [0, 1]; the fraction to drop.
        noise_shape: shape of the random mask, which broadcasts to the input; None
            entries are the input's sizes. `(None, 1, None)` drops a feature at all time
            steps together.
        seed: integer; None draws one now.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        training: whether to drop.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x / (1 - rate)` where `keep`, else 0; `keep` is True with
    probability `1 - rate`. Scaling leaves the expected value as it was, so that nothing
    needs to be done in inference.

    **Gradient**: `dx = dy / (1 - rate)` where `keep`, else 0.

    **Keeps**: `keep`, a byte per value. The draw is Keras's, bit for bit: the same seed
    gives the same mask. Each call in training moves the seed generator on by one.

    Reference: Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014, sections 4 and 10.

    >>> x = np.ones((2, 4), "float32")
    >>> Dropout(0.5, seed=1)(x, training=True)
    array([[2., 0., 2., 0.],
           [0., 0., 0., 2.]], dtype=float32)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_rate(rate)
        self.rate = rate
        self.seed = seed
        self.noise_shape = _checked_noise_shape(noise_shape)
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """True if the noise has another first axis than the batch's, or one of 1."""
        return joins_examples(self.noise_shape)

    def forward(
        self, x: np.ndarray, *, training: bool = False
    ) -> tuple[np.ndarray, DropoutResiduals | None]:
        """`x`; in training, what the mask leaves of it, scaled."""
        if not training or self.rate == 0:
            return x, None
        if x.dtype.kind != "f":
            raise ValueError(
                f"Layer '{self.name}' scales its input, which must be floating point. "
                f"Received: dtype {x.dtype}"
            )
        if self.rate == 1:  # NB: as in Keras, nothing is drawn
            residuals = DropoutResiduals(np.zeros((1,) * x.ndim, bool), 0.0)
        else:
            keep = random.dropout_mask(
                self._get_noise_shape(x), self.rate, x.dtype, seed=self.seed_generator
            )
            residuals = DropoutResiduals(keep, 1.0 / (1.0 - self.rate))
        return _apply(x, residuals), residuals

    def backward(
        self, dy: np.ndarray, residuals: DropoutResiduals | None, grads: Gradients
    ) -> np.ndarray:
        """`dy` through the same mask."""
        # in forward: y = where(keep, x * scale, 0)
        return dy if residuals is None else _apply(dy, residuals)

    def _get_noise_shape(self, x: np.ndarray) -> tuple[int, ...]:
        return concrete_noise_shape(self.noise_shape, x.shape, self.name)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }


def _apply(x: np.ndarray, residuals: DropoutResiduals) -> np.ndarray:
    return keep_where(residuals.keep, x * residuals.scale)


def check_rate(value: float, name: str = "rate") -> None:
    """Refuses what is not in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(
            f"Invalid value received for argument `{name}`. Expected a float value "
            f"between 0 and 1. Received: {name}={value}"
        )


def joins_examples(noise_shape: tuple[int | None, ...] | None) -> bool:
    """Whether the noise belongs to a batch as a whole: its first axis has a size, or it
    has fewer axes than the input, so that its first is another one."""
    if noise_shape is None:
        return False
    return len(noise_shape) < 2 or noise_shape[0] not in (None, 1)


def concrete_noise_shape(
    noise_shape: tuple[int | None, ...] | None, shape: tuple[int, ...], layer_name: str
) -> tuple[int, ...]:
    """The noise shape with the input's sizes in the place of None."""
    if noise_shape is None:
        return shape
    concrete = tuple(
        shape[i] if n is None and i < len(shape) else n
        for i, n in enumerate(noise_shape)
    )
    pairs = zip(concrete[::-1], shape[::-1], strict=False)
    if len(concrete) > len(shape) or any(m not in (1, n) for m, n in pairs):
        raise ValueError(
            f"The `noise_shape` of layer '{layer_name}' must broadcast to its input: "
            "each entry None, 1 or the input's size. Received: "
            f"noise_shape={noise_shape}, input shape {shape}"
        )
    return concrete


def _checked_noise_shape(noise_shape: Any) -> tuple[int | None, ...] | None:
    if noise_shape is None:
        return None
    if isinstance(noise_shape, str) or not hasattr(noise_shape, "__iter__"):
        raise ValueError(
            "Invalid value received for argument `noise_shape`. Expected an iterable "
            "of integers (e.g., a tuple or list). Received: "
            f"noise_shape={noise_shape}"
        )
    noise_shape = tuple(noise_shape)
    for i, size in enumerate(noise_shape):
        if size is not None and (not isinstance(size, int) or size <= 0):
            raise ValueError(
                "Invalid value received for argument `noise_shape`. Expected all "
                "elements to be positive integers or None. Received element at index "
                f"{i}: {size} (type: {type(size).__name__})"
            )
    return noise_shape


def relative_stddev(rate: float, layer_name: str) -> float:
    """`sqrt(rate / (1 - rate))`: the noise with the variance of a dropout."""
    if rate == 1:
        raise ZeroDivisionError(
            f"Layer '{layer_name}' has rate=1, for which its noise has no finite "
            "variance. Choose a rate below 1."
        )
    return math.sqrt(rate / (1.0 - rate))
