"""GaussianNoise: in training, normal noise is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import random
from minikeras.layers.layer import Layer
from minikeras.layers.regularization.dropout import check_rate
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class GaussianNoise(Layer):
    """Adds noise of mean 0 in training; does nothing otherwise.

    Args:
        stddev: in [0, 1]; standard deviation of the noise.
        seed: integer; None draws one now.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        training: whether to add noise.

    Input shape:
        Any.

    Output shape:
        The same.

    **Formula**: `y = x + stddev * z`, z standard normal.

    **Gradient**: `dx = dy`: the noise does not depend on x.

    **Keeps**: nothing.

    >>> GaussianNoise(0.1, seed=7)(np.zeros(2, "float32"), training=True)
    array([-0.06741728, -0.03586926], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_rate(stddev, "stddev")
        self.stddev = stddev
        self.seed = seed
        if stddev > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True

    def forward(
        self, x: np.ndarray, *, training: bool = False
    ) -> tuple[np.ndarray, None]:
        """`x`, in training with noise."""
        if not training or self.stddev == 0:
            return x, None
        noise = random.normal(
            x.shape,
            mean=0.0,
            stddev=self.stddev,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )
        return x.astype(noise.dtype, copy=False) + noise, None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> np.ndarray:
        """`dy`."""
        return dy

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}
