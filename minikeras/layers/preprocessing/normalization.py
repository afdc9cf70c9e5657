"""Normalization: features with mean 0 and variance 1, as measured in advance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.casting import cast
from minikeras.config import epsilon, floatx
from minikeras.layers.layer import Layer
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class NormalizationResiduals(NamedTuple):
    """What `Normalization.backward` needs.

    Attributes:
        stddev: broadcast against the input.
        is_float: whether the input has a gradient.
    """

    stddev: np.ndarray
    is_float: bool


@public("keras.layers")
class Normalization(Layer):
    """Subtracts a mean and divides by a standard deviation, both fixed.

    Args:
        axis: the axis, or axes, along which every position has a mean and variance of
            its own; None is one for all.
        mean, variance: to be given together; otherwise they come from `adapt`.
        invert: whether to do the reverse.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        Any; the sizes along `axis` known.

    Output shape:
        The same, floats.

    Weights:
        Not trainable, and not there if mean and variance are given: `mean`, `variance`
        (the sizes along `axis`), `count` () which is always 0.

    **Formula**: `y = (x - mean) / stddev`, `stddev = max(sqrt(variance), epsilon)`;
    inverted `y = mean + x * stddev`.

    **Gradient**: `dx = dy / stddev`; inverted `dx = dy * stddev`.

    **Keeps**: the standard deviation.

    NB: Keras sees values from `set_weights` only after a `finalize_state()`.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]], "float32"))
    >>> layer(np.array([[3.0, 10.0]], "float32"))
    array([[ 1., -1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        axis = () if axis is None else axis
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        if np.shape(mean) != np.shape(variance):
            raise ValueError(
                "When setting values directly, `mean` and `variance` must have the "
                f"same shape. Received: mean shape {np.shape(mean)} and variance "
                f"shape {np.shape(variance)}"
            )
        if mean is not None and len(np.shape(mean)) > len(self.axis):
            raise ValueError(
                "The rank of `mean` must be less than or equal to the number of axes "
                f"({len(self.axis)}). Received: mean shape {np.shape(mean)} for axis "
                f"{self.axis}"
            )

    def build(self, input_shape: Any) -> None:
        """Makes `mean`, `variance` and `count`, unless they are given."""
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                "All `axis` values must be in the range [-ndim, ndim). Received inputs "
                f"with ndim={rank}, while axis={self.axis}"
            )
        self._keep_axis = tuple(sorted(axis % rank for axis in self.axis))
        for axis in self._keep_axis:
            if input_shape[axis] is None:
                raise ValueError(
                    "All `axis` values to be kept must have a known shape. Received "
                    f"axis={self.axis}, inputs.shape={tuple(input_shape)}, with "
                    f"unknown axis at index {axis}"
                )
        self._reduce_axis = tuple(i for i in range(rank) if i not in self._keep_axis)
        self._sizes = tuple(input_shape[axis] for axis in self._keep_axis)
        self._broadcast_shape = tuple(
            input_shape[i] if i in self._keep_axis else 1 for i in range(rank)
        )
        if self.input_mean is not None:
            self._spread(self.input_mean)  # refuses what does not broadcast
            return
        options = {"shape": self._sizes, "trainable": False}
        self.adapt_mean = self.add_weight(name="mean", initializer="zeros", **options)
        self.adapt_variance = self.add_weight(
            name="variance", initializer="ones", **options
        )
        self.count = self.add_weight(
            name="count", shape=(), dtype="int", initializer="zeros", trainable=False
        )

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """True if every place in the batch has a mean of its own."""
        return self.built and 0 in self._keep_axis

    @property
    def mean(self) -> np.ndarray | None:
        """What is subtracted, broadcast against the input; None before `build`."""
        if not self.built:
            return None
        if self.input_mean is not None:
            return self._spread(self.input_mean)
        return self.adapt_mean.value.reshape(self._broadcast_shape)

    @property
    def variance(self) -> np.ndarray | None:
        """The square of what is divided by, likewise."""
        if not self.built:
            return None
        if self.input_variance is not None:
            return self._spread(self.input_variance)
        return self.adapt_variance.value.reshape(self._broadcast_shape)

    def _spread(self, values: Any) -> np.ndarray:
        """Given values along the kept axes, from right to left."""
        array = cast(values, self.compute_dtype)
        shape = [1] * len(self._broadcast_shape)
        for i in range(1, array.ndim + 1):
            shape[self._keep_axis[-i]] = array.shape[-i]
        return np.broadcast_to(array.reshape(shape), self._broadcast_shape)

    def adapt(self, data: Any) -> None:
        """Measures mean and variance.

        Args:
            data: an array; or batches: a list of arrays, a generator, a `PyDataset`.
                Of a batch that is a tuple the first entry counts.
        """
        if isinstance(data, np.ndarray):
            self._build_for(data.shape)
            mean = np.mean(data, axis=self._reduce_axis)
            variance = np.var(data, axis=self._reduce_axis)
        else:
            mean, variance = self._measure(_batches(data))
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _build_for(self, shape: tuple[int, ...]) -> None:
        if self.input_mean is not None:
            raise ValueError(
                f"Layer '{self.name}' was given `mean` and `variance`: there is "
                "nothing to adapt."
            )
        if not self.built:
            self.build(shape)
        sizes = tuple(shape[axis] for axis in self._keep_axis)
        if sizes != self._sizes:
            raise ValueError(
                f"Layer '{self.name}' was built with sizes {self._sizes} along axis "
                f"{self.axis}, but adapt() is being called with data with an "
                f"incompatible shape, data.shape={shape}"
            )

    def _measure(self, batches: Iterator[Any]) -> tuple[Any, Any]:
        """Mean and variance over batches, each weighed with its size.

        **Formula**: with the shares a and b = 1 - a of what came before and of the
        batch, `mean = a * mean_a + b * mean_b` and
        `variance = a * (variance_a + (mean_a - mean)**2) + b * (...)`.
        """
        total, mean, variance = 0, None, None
        for batch in batches:
            self._build_for(batch.shape)
            batch = batch.astype(self.compute_dtype)
            if mean is None:
                mean = variance = np.zeros(self._sizes, floatx())
            count = math.prod(batch.shape[axis] for axis in self._reduce_axis)
            batch_mean = batch.mean(axis=self._reduce_axis)
            batch_variance = batch.var(axis=self._reduce_axis)
            total += count
            share = count / total
            new_mean = mean * (1.0 - share) + batch_mean * share
            variance = (variance + (mean - new_mean) ** 2) * (1.0 - share) + (
                batch_variance + (batch_mean - new_mean) ** 2
            ) * share
            mean = new_mean
        if mean is None:
            raise ValueError(
                "adapt() received an empty iterable (no batches). Expected at least "
                "one batch."
            )
        return mean, variance

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, NormalizationResiduals]:
        """`(x - mean) / stddev`, or the reverse."""
        is_float = x.dtype.kind == "f"
        x = x.astype(self.compute_dtype, copy=False)
        mean, variance = (
            np.asarray(v).astype(x.dtype, copy=False)
            for v in (self.mean, self.variance)
        )
        stddev = np.maximum(np.sqrt(variance), x.dtype.type(epsilon()))
        y = mean + x * stddev if self.invert else (x - mean) / stddev
        return y, NormalizationResiduals(stddev, is_float)

    def backward(
        self, dy: np.ndarray, residuals: NormalizationResiduals, grads: Gradients
    ) -> np.ndarray | None:
        """dx."""
        stddev, is_float = residuals
        if not is_float:
            return None
        # in forward: y = mean + x * stddev, or (x - mean) / stddev
        return dy * stddev if self.invert else dy / stddev

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }


def _batches(data: Any) -> Iterator[np.ndarray]:
    """The arrays of an iterable of batches, or of a dataset with indices."""
    if hasattr(data, "__getitem__") and not isinstance(data, Iterable):
        data = (data[i] for i in range(len(data)))
    if not isinstance(data, Iterable):
        raise TypeError(
            f"Unsupported data type: {type(data)}. `adapt` supports `np.ndarray`, "
            "`keras.utils.PyDataset`, and iterables of batches (e.g. list, generator)."
        )
    for batch in data:
        first = batch[0] if isinstance(batch, tuple) else batch
        if not hasattr(first, "shape"):
            raise TypeError(
                "adapt() expects an iterable that yields arrays or tensors with a "
                f"`.shape` attribute. Got an element of type {type(first).__name__}."
            )
        yield np.asarray(first)
