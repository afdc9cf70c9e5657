"""Spatial dropout: whole feature maps are dropped, not single values."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.config import standardize_data_format
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.regularization.dropout import Dropout
from minikeras.registry import public


class BaseSpatialDropout(Dropout):
    """What the three have in common: one random number per example and channel.

    **Formula** and **Gradient** are those of `Dropout` with the noise shape
    (N, 1, ..., C), or (N, C, 1, ...) with channels first. Neighbouring pixels are
    alike, so dropping single ones hides little; dropping a channel hides a feature.

    Reference: Tompson et al., "Efficient object localization using convolutional
    networks", 2015, section 3.2.
    """

    data_format = "channels_last"

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)

    def _get_noise_shape(self, x: np.ndarray) -> tuple[int, ...]:
        ones = (1,) * (x.ndim - 2)
        if self.data_format == "channels_first":
            return (x.shape[0], x.shape[1], *ones)
        return (x.shape[0], *ones, x.shape[-1])

    def get_config(self) -> dict[str, Any]:
        """NB: four entries only, and the dtype as a string, as in Keras."""
        return {
            "rate": self.rate,
            "seed": self.seed,
            "name": self.name,
            "dtype": self.dtype,
        }


@public("keras.layers")
class SpatialDropout1D(BaseSpatialDropout):
    """Drops whole channels of sequences in training.

    Args:
        rate: in [0, 1]; the fraction of channels to drop.
        seed: integer; None draws one now.
        name, dtype: as for every layer.

    Input shape:
        (N, T, C).

    Output shape:
        The same.

    >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((1, 3, 4), "float32"), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)


class _SpatialDropoutND(BaseSpatialDropout):
    """The two that know channels first."""

    _rank: int

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}


@public("keras.layers")
class SpatialDropout2D(_SpatialDropoutND):
    """Drops whole channels of images in training.

    Args:
        rate: in [0, 1]; the fraction of channels to drop.
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default.
        seed: integer; None draws one now.
        name, dtype: as for every layer.

    Input shape:
        (N, H, W, C), or (N, C, H, W) with channels first.

    Output shape:
        The same.
    """

    _rank = 4


@public("keras.layers")
class SpatialDropout3D(_SpatialDropoutND):
    """Drops whole channels of volumes in training.

    Args:
        rate: in [0, 1]; the fraction of channels to drop.
        data_format: `"channels_last"` or `"channels_first"`; None is the configured
            default.
        seed: integer; None draws one now.
        name, dtype: as for every layer.

    Input shape:
        (N, D, H, W, C), or (N, C, D, H, W) with channels first.

    Output shape:
        The same.
    """

    _rank = 5
