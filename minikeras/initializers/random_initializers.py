"""Random initializers: the same weights as Keras from the same seeds.

An initializer that is given no seed draws one from Python's `random` when it is
*constructed*. Called again, it returns the same values, unless its seed is a
`SeedGenerator`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minikeras import random
from minikeras.initializers.initializer import Initializer, complete_shape

# The standard deviation of the standard normal cut off at two: what a truncated normal
# must be divided by to have standard deviation 1.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """What the random initializers share: the seed.

    Args:
        seed: integer, `SeedGenerator`, config dict of one, or None.
    """

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            from minikeras.serialization import deserialize_keras_object

            seed = deserialize_keras_object(seed)
        elif isinstance(seed, bool) or not isinstance(seed, int | random.SeedGenerator):
            raise ValueError(
                "`seed` argument should be an instance of "
                "`keras.random.SeedGenerator()` or an integer. "
                f"Received: seed={seed}"
            )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        """The seed as given: None stays None, so a copy draws its own."""
        from minikeras.serialization import serialize_keras_object

        return {"seed": serialize_keras_object(self._init_seed)}


class RandomNormal(RandomInitializer):
    """Normal numbers.

    Args:
        mean, stddev: of the distribution.
        seed: integer, `SeedGenerator` or None.

    >>> RandomNormal(seed=3)((3,))
    array([-0.03357924,  0.08380252, -0.04721227], dtype=float32)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal numbers, drawn again where they are two or more `stddev` from the mean.

    Args:
        mean, stddev: of the distribution before it is cut.
        seed: integer, `SeedGenerator` or None.

    >>> bool(np.abs(TruncatedNormal(seed=3)((100,))).max() < 0.1)
    True
    """

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(RandomInitializer):
    """Uniform numbers in [minval, maxval).

    Args:
        minval, maxval: the bounds.
        seed: integer, `SeedGenerator` or None.

    >>> RandomUniform(0, 1, seed=3)((3,))
    array([0.19591284, 0.93934524, 0.5322752 ], dtype=float32)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Random numbers with variance `scale / n`: signals keep their size in a layer.

    **Formula** With n = fan_in, fan_out or their mean, at least 1, and s = scale / n:

        uniform             U(-sqrt(3 s), sqrt(3 s))
        truncated_normal    sqrt(s) / 0.8796 * z, |z| < 2
        untruncated_normal  sqrt(s) * z

    Args:
        scale: positive number.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"` (also `"normal"`), `"untruncated_normal"` or
            `"uniform"`.
        seed: integer, `SeedGenerator` or None.
        input_axes, output_axes: the axes of the weight that count as inputs and as
            outputs, for weights that are not kernels of a dense or convolution layer.

    >>> VarianceScaling(distribution="uniform", seed=3)((3, 2)).max() < 1
    np.True_
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ):
        if scale <= 0.0:
            raise ValueError(
                f"Argument `scale` must be positive float. Received: scale={scale}"
            )
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(
                f"Invalid `mode` argument: {mode}. Please use one of {modes}"
            )
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        distributions = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in distributions:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. "
                f"Please use one of {distributions}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        shape = complete_shape(shape)
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        variance = self.scale / max(1.0, n[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return random.truncated_normal(shape, 0.0, stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A VarianceScaling whose scale, mode and distribution are given by its name."""

    _parameters: tuple[float, str, str]

    def __init__(
        self, seed: Any = None, input_axes: Any = None, output_axes: Any = None
    ):
        super().__init__(*self._parameters, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Named):
    """Uniform with variance 2 / (fan_in + fan_out); Keras's default for kernels.

    A compromise between keeping the size of activations (1 / fan_in) and of gradients
    (1 / fan_out).

    Args:
        seed, input_axes, output_axes: as in `VarianceScaling`.

    Reference: Glorot, Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010, equation 16.

    >>> GlorotUniform(seed=3)((2, 2))
    array([[-0.7448584 ,  1.0761718 ],
           [ 0.07905781,  0.83537734]], dtype=float32)
    """

    _parameters = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal with variance 2 / (fan_in + fan_out). See `GlorotUniform`."""

    _parameters = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Named):
    """Uniform with variance 1 / fan_in: keeps the size of activations without relu.

    Reference: LeCun, Bottou, Orr, Mueller, "Efficient BackProp", 1998, section 4.6.
    """

    _parameters = (1.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal with variance 1 / fan_in. Goes with selu.

    Reference: Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """

    _parameters = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform with variance 2 / fan_in: relu sets half of the signal to zero.

    Reference: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """

    _parameters = (2.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal with variance 2 / fan_in. See `HeUniform`."""

    _parameters = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A matrix whose columns (or rows, if they are fewer) are orthonormal.

    **Formula** Z normal with as many rows as columns or more; Z = Q R;
    `gain * Q * sign(diag(R))`, transposed where the weight is wider than high.
    Without the signs the result would not be evenly distributed.

    Weights of rank 3 and more count as (product of the first axes, last axis).

    Equal to Keras up to the rounding of two QR decompositions, LAPACK's and Eigen's.

    Args:
        gain: number.
        seed: integer, `SeedGenerator` or None.

    Reference: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014.

    >>> q = Orthogonal(seed=3)((4, 3), "float64")
    >>> np.round(q.T @ q, 12) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        shape = complete_shape(shape)
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        high, wide = max(rows, columns), min(rows, columns)
        z = random.normal((high, wide), dtype=dtype, seed=self.seed)
        q, r = np.linalg.qr(z)  # (high, wide), (wide, wide)
        q = q * np.sign(np.diagonal(r))
        if rows < columns:
            q = q.T
        return q.reshape(shape) * q.dtype.type(self.gain)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


def compute_fans(
    shape: tuple[int, ...], input_axes: Any = None, output_axes: Any = None
) -> tuple[int, int]:
    """How many inputs meet in one output, and how many outputs one input feeds.

    Args:
        shape: shape of the weight: (inputs, outputs), or of a convolution
            (..., inputs, outputs), where each output sees a whole window.
        input_axes, output_axes: if both are given, the axes to count instead.

    >>> compute_fans((3, 3, 8, 16))
    (72, 144)
    """
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if len(shape) < 2:
        fan = shape[0] if shape else 1
        return fan, fan
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
