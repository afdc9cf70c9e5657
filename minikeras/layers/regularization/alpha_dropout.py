"""AlphaDropout: dropout that keeps mean and variance, for selu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import config, random
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import (
    check_rate,
    concrete_noise_shape,
    joins_examples,
    relative_stddev,
)
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

# What selu approaches for very negative inputs: -alpha * scale.
_SATURATION = -1.6732632423543772 * 1.0507009873554805


class AlphaDropoutResiduals(NamedTuple):
    """What `AlphaDropout.backward` needs.

    Attributes:
        keep: booleans that broadcast to the input.
        scale: `a` of the formula.
    """

    keep: np.ndarray
    scale: float


@public("keras.layers")
class AlphaDropout(Layer):
    """Sets values to selu's saturation value, and repairs mean and variance.

    Args:
        rate: in [0, 1]; the fraction to drop.
        noise_shape: shape of the random mask, as in `Dropout`.
        seed: integer; None draws one now.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        training: whether to drop.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = a * (x where keep, else s) + b` with `s = -1.7581`, selu's limit,
    and `a = ((1 - rate) * (1 + rate * s**2)) ** -0.5`, `b = -a * s * rate`: an input of
    mean 0 and variance 1 stays so.

    **Gradient**: `dx = a * dy` where `keep`, else 0.

    **Keeps**: `keep`.

    Reference: Klambauer et al., "Self-normalizing neural networks", 2017, section 2.

    >>> y = AlphaDropout(0.2, seed=1)(np.zeros(1000, "float32"), training=True)
    >>> len(np.unique(y))
    2
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
        self.noise_shape = noise_shape
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """As for `Dropout`."""
        return joins_examples(self.noise_shape)

    def forward(
        self, x: np.ndarray, *, training: bool = False
    ) -> tuple[np.ndarray, AlphaDropoutResiduals | None]:
        """`x`; in training, what the mask leaves of it."""
        if not training or self.rate == 0:
            return x, None
        relative_stddev(self.rate, self.name)  # refuses 1, for which `a` is infinite
        shape = concrete_noise_shape(self.noise_shape, x.shape, self.name)
        # NB: Keras draws in floatx here, whatever the layer computes in.
        keep = random.dropout_mask(
            shape, self.rate, config.floatx(), seed=self.seed_generator
        )
        s, rate = _SATURATION, self.rate
        a = ((1 - rate) * (1 + rate * s**2)) ** -0.5
        b = -a * s * rate
        x = x.astype(self.compute_dtype, copy=False)
        y = a * np.where(keep, x, x.dtype.type(s)) + b
        return y, AlphaDropoutResiduals(keep, a)

    def backward(
        self, dy: np.ndarray, residuals: AlphaDropoutResiduals | None, grads: Gradients
    ) -> np.ndarray:
        """`a * dy` where the value was kept."""
        if residuals is None:
            return dy
        # in forward: y = a * where(keep, x, s) + b
        return np.where(residuals.keep, dy * residuals.scale, dy.dtype.type(0))

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
