"""GaussianDropout: in training, values are multiplied by normal noise around 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import random
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import check_rate, relative_stddev
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class GaussianDropoutResiduals(NamedTuple):
    """What `GaussianDropout.backward` needs.

    Attributes:
        factor: what the input was multiplied by.
    """

    factor: np.ndarray


@public("keras.layers")
class GaussianDropout(Layer):
    """Multiplies by noise of mean 1 in training; does nothing otherwise.

    Args:
        rate: in [0, 1]; the noise has the variance of a dropout of this rate.
        seed: integer; None draws one now.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        training: whether to add noise.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x * factor`, `factor = 1 + sqrt(rate / (1 - rate)) * z`, z
    standard normal.

    **Gradient**: `dx = dy * factor`.

    **Keeps**: the factor.

    Reference: Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", 2014, section 10.

    >>> GaussianDropout(0.5, seed=7)(np.ones(2, "float32"), training=True)
    array([0.32582724, 0.6413075 ], dtype=float32)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_rate(rate)
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def forward(
        self, x: np.ndarray, *, training: bool = False
    ) -> tuple[np.ndarray, GaussianDropoutResiduals | None]:
        """`x`, in training with noise."""
        if not training or self.rate == 0:
            return x, None
        factor = random.normal(
            x.shape,
            mean=1.0,
            stddev=relative_stddev(self.rate, self.name),
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )
        y = x.astype(factor.dtype, copy=False) * factor
        return y, GaussianDropoutResiduals(factor)

    def backward(
        self,
        dy: np.ndarray,
        residuals: GaussianDropoutResiduals | None,
        grads: Gradients,
    ) -> np.ndarray:
        """`dy`, times the same noise."""
        return dy if residuals is None else dy * residuals.factor

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
