"""GroupNormalization: each example gets mean 0 and variance 1 in groups of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import constraints, initializers, regularizers
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.layers.normalization.axes import check_axes
from minikeras.ops.group_norm import GroupNormResiduals, group_norm, group_norm_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.variables import Variable


@public("keras.layers")
class GroupNormalization(Layer):
    """Normalizes every example for itself, over positions and channels of a group.

    Args:
        groups: G, into how many groups the channels are cut; 1 is all channels
            together, -1 every channel alone (instance normalization).
        axis: that of the channels.
        epsilon: added to the variance.
        center: whether `beta` exists.
        scale: whether `gamma` exists.
        beta_initializer, gamma_initializer: how the weights start.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections after each update.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        (N, ..., C), or with the channels at `axis`.

    Output shape:
        The same.

    Weights:
        `gamma` (C,), `beta` (C,).

    **Formula**: `y = gamma * n + beta`, `n = (x - mean) / sqrt(variance + epsilon)`;
    mean and biased variance over all positions and the C / G channels of a group.

    **Gradient**: with `dn = dy * gamma` and means over each group,

        dbeta = sum(dy)        dgamma = sum(dy * n)
        dx = (dn - mean(dn) - n * mean(dn * n)) / sqrt(variance + epsilon)

    **Keeps**: x, and two numbers per example and group.

    Reference: Wu and He, "Group normalization", 2018, section 3.

    >>> x = np.array([[[1.0, 10.0], [3.0, 30.0]]], "float32")
    >>> GroupNormalization(groups=-1)(x).round(3)[0]
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(
                "Received an invalid value for argument `groups`, expected a positive "
                "integer (or `-1` for instance normalization). Received: "
                f"groups={groups!r}"
            )
        super().__init__(**kwargs)
        self.groups = groups
        self.axis = axis
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
        """Makes `gamma` and `beta`. NB: from now on `groups` is not -1."""
        check_axes(self.axis, input_shape)
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but "
                f"layer '{self.name}' received an input with shape {input_shape}."
            )
        self.groups = channels if self.groups == -1 else self.groups
        if channels < self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) cannot be more than the number of "
                f"channels ({channels}), in layer '{self.name}'."
            )
        if channels % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must be a multiple of the number of "
                f"channels ({channels}) or rather divide it, in layer '{self.name}'."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.gamma = self._weight("gamma", channels) if self.scale else None
        self.beta = self._weight("beta", channels) if self.center else None

    def _weight(self, name: str, channels: int) -> Variable:
        return self.add_weight(
            name=name,
            shape=(channels,),
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, GroupNormResiduals]:
        """Normalized `x`."""
        x = x.astype(self.compute_dtype, copy=False)
        gamma = None if self.gamma is None else self.gamma.value
        beta = None if self.beta is None else self.beta.value
        return group_norm(x, self.groups, self.axis, gamma, beta, self.epsilon)

    def backward(
        self, dy: np.ndarray, residuals: GroupNormResiduals, grads: Gradients
    ) -> np.ndarray:
        """See `ops.group_norm.group_norm_grad`; adds dgamma and dbeta."""
        dx, dgamma, dbeta = group_norm_grad(dy, residuals)
        for variable, gradient in ((self.gamma, dgamma), (self.beta, dbeta)):
            if variable is not None:
                grads.add(variable, gradient)
        return dx

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
