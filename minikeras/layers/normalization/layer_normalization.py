"""LayerNormalization: each example gets mean 0 and variance 1 over its features."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.layer import Layer
from minikeras.ops.normalizing import LayerNormResiduals, layer_norm, layer_norm_grad
from minikeras.ops.rms_norm import StddevNormResiduals, stddev_norm, stddev_norm_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


@public("keras.layers")
class LayerNormalization(Layer):
    """Normalizes every example for itself, in training and inference alike.

    Args:
        axis: the axis, or a list of axes, that are normalized together.
        epsilon: added to the variance.
        center: whether `beta` exists.
        scale: whether `gamma` exists.
        beta_initializer, gamma_initializer: how the weights start.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections after each update.
        **kwargs: `name`, `dtype`, `trainable`; and `rms_scaling`, deprecated as in
            Keras: True subtracts no mean and has no `beta`, see `ops/rms_norm.py`.

    Input shape:
        Any; the normalized axes known.

    Output shape:
        The same.

    Weights:
        `gamma`, `beta`: the sizes of the normalized axes.

    **Formula**: `y = gamma * n + beta`, `n = (x - mean) / sqrt(variance + epsilon)`,
    mean and biased variance over `axis`.

    **Gradient**: with `dn = dy * gamma` and means over `axis`,

        dbeta = sum(dy)        dgamma = sum(dy * n)
        dx = (dn - mean(dn) - n * mean(dn * n)) / sqrt(variance + epsilon)

    **Keeps**: n, and one number per example.

    Reference: Ba, Kiros and Hinton, "Layer normalization", 2016, section 3.

    >>> LayerNormalization()(np.array([[1.0, 3.0]], "float32")).round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        if self.rms_scaling:
            warnings.warn(
                "You passed `rms_scaling=True`, which is deprecated: it divides by the "
                "standard deviation, not the root mean square. Use "
                "`RMSNormalization` for that.",
                stacklevel=2,
            )
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            self.axis: Any = list(axis)
        elif isinstance(axis, int):
            self.axis = axis
        else:
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but "
                f"received: {axis!r}"
            )
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.autocast = False

    def build(self, input_shape: Any) -> None:
        """Makes `gamma` and `beta`. NB: from now on `axis` is a sorted list."""
        several = isinstance(self.axis, list)
        self.axis = sorted(self.axis) if several else [self.axis]
        shape = tuple(input_shape[axis] for axis in self.axis)
        self.gamma = self.beta = None
        if self.scale or self.rms_scaling:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center and not self.rms_scaling:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def forward(
        self, x: np.ndarray
    ) -> tuple[np.ndarray, LayerNormResiduals | StddevNormResiduals]:
        """Normalized `x`."""
        x = x.astype(self.compute_dtype, copy=False)
        broadcast = [1] * x.ndim
        for axis in self.axis:
            broadcast[axis] = x.shape[axis]
        gamma = None if self.gamma is None else self.gamma.value.reshape(broadcast)
        beta = None if self.beta is None else self.beta.value.reshape(broadcast)
        if self.rms_scaling and gamma is not None:
            return stddev_norm(x, gamma, tuple(self.axis), self.epsilon)
        return layer_norm(x, gamma, beta, tuple(self.axis), self.epsilon)

    def backward(
        self,
        dy: np.ndarray,
        residuals: LayerNormResiduals | StddevNormResiduals,
        grads: Gradients,
    ) -> np.ndarray:
        """See `ops.norm.layer_norm_grad`; adds dgamma and dbeta."""
        if isinstance(residuals, StddevNormResiduals):
            dx, dgamma = stddev_norm_grad(dy, residuals)
            grads.add(self.gamma, dgamma.reshape(self.gamma.shape))
            return dx
        dx, dgamma, dbeta = layer_norm_grad(dy, residuals)
        for variable, gradient in ((self.gamma, dgamma), (self.beta, dbeta)):
            if variable is not None:
                grads.add(variable, gradient.reshape(variable.shape))
        return dx

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        for axis in axes:
            if not -len(input_shape) <= axis < len(input_shape):
                raise ValueError(
                    f"Axis {axis} is out of bounds for input shape {input_shape}. "
                    f"Received: axis={self.axis}"
                )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": self.rms_scaling,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
