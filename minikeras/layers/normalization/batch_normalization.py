"""BatchNormalization: each channel gets mean 0 and variance 1 over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import config, constraints, initializers, regularizers
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.ops import normalizing as norm
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class BatchNormalizationResiduals(NamedTuple):
    """What `BatchNormalization.backward` needs.

    Attributes:
        norm: those of `ops.norm.batch_norm`.
        renorm: the corrections (r, d) of batch renormalization, or None.
    """

    norm: norm.BatchNormResiduals
    renorm: tuple[np.ndarray, np.ndarray] | None


@public("keras.layers")
class BatchNormalization(Layer):
    """Normalizes each channel; in training with the statistics of the batch.

    Args:
        axis: the channel axis: -1, or 1 for images with channels first.
        momentum: how slowly the moving statistics follow.
        epsilon: added to the variance.
        center: whether `beta` exists.
        scale: whether `gamma` exists.
        beta_initializer, gamma_initializer: how the weights start.
        moving_mean_initializer, moving_variance_initializer: how the statistics start.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections after each update.
        renorm: batch renormalization: training is corrected towards slowly moving
            statistics, so that it resembles inference.
        renorm_clipping: dict with limits `rmin`, `rmax`, `dmax` of the corrections.
        renorm_momentum: momentum of those slowly moving statistics.
        synchronized: False only; one process has nothing to synchronize with.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        training: True uses the statistics of the batch and moves the moving ones. A
            frozen layer (`trainable=False`) always uses the moving ones.
        mask: the input's shape without its last axis; where it is False a position does
            not count in the statistics. It is normalized all the same.

    Input shape:
        Any, rank 2 or more; the channel axis known.

    Output shape:
        The same.

    Weights:
        `gamma`, `beta`, `moving_mean`, `moving_variance`, each (C,); with renorm also
        `moving_stddev`, `renorm_mean`, `renorm_stddev`. Only the first two are trained.

    **Formula**: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and
    (biased) variance per channel over all other axes. In training also
    `moving = moving * momentum + batch * (1 - momentum)` for both.

    With renorm, `(x - mean) / stddev` is replaced by `(x - mean) / stddev * r + d`,
    where `r = stddev / renorm_stddev` and `d = (mean - renorm_mean) / renorm_stddev`
    count as constants.

    **Gradient**: in training x acts directly and through the mean and the variance;
    with `n = (x - mean) / sqrt(variance + epsilon)` and means over the batch

        dbeta = sum(dy)        dgamma = sum(dy * n)
        dx = gamma / stddev * (dy - mean(dy) - n * mean(dy * n))

    The last two terms take from dy what moves all x together, or scales them together:
    such changes are undone by the normalization. In inference only the first is there.
    `ops.norm.batch_norm_grad` has the derivation, and the masked case.

    **Keeps**: the input, and four numbers per channel.

    NB: Keras does not use TensorFlow's fused kernel, on no rank: the results are those
    of the formula, to rounding.

    Reference: Ioffe and Szegedy, "Batch normalization", 2015, section 3; Ioffe, "Batch
    renormalization", 2017, section 3.

    >>> layer = BatchNormalization()
    >>> layer(np.array([[1.0], [3.0]], "float32"), training=True).round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if synchronized:
            raise ValueError(
                "Argument synchronized=True is only supported with the TensorFlow "
                "backend of Keras: minikeras runs in one process, which has nothing to "
                "synchronize with."
            )
        self.axis = int(axis)
        self.synchronized = synchronized
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.renorm = renorm
        self.renorm_clipping = (
            _checked_clipping(renorm_clipping) if renorm else (renorm_clipping)
        )
        self.renorm_momentum = renorm_momentum
        self.gamma = self.beta = self.moving_mean = self.moving_variance = None

    couples_in_inference = False

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """True unless frozen: in training every example moves the mean."""
        return self.trainable

    def build(self, input_shape: Any) -> None:
        """Makes the weights, one number per channel each."""
        size = input_shape[self.axis]
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=(size,),
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=(size,),
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self._statistic(
            "moving_mean", size, self.moving_mean_initializer
        )
        self.moving_variance = self._statistic(
            "moving_variance", size, self.moving_variance_initializer
        )
        if self.renorm:
            self.moving_stddev = self._statistic("moving_stddev", size, self._stddev)
            self.renorm_mean = self._statistic(
                "renorm_mean", size, _clone(self.moving_mean_initializer)
            )
            self.renorm_stddev = self._statistic("renorm_stddev", size, self._stddev)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def _statistic(self, name: str, size: int, initializer: Any) -> Any:
        return self.add_weight(
            name=name, shape=(size,), initializer=initializer, trainable=False
        )

    def _stddev(self, shape: Any, dtype: Any = None) -> np.ndarray:
        """Initializer of the standard deviations: the root of the variance's."""
        initializer = _clone(self.moving_variance_initializer)
        return np.sqrt(initializer(shape, dtype=dtype))

    def forward(
        self, x: np.ndarray, *, training: bool = False, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, BatchNormalizationResiduals]:
        """Normalized `x`; in training this moves the moving statistics."""
        if mask is not None and mask.ndim != x.ndim - 1:
            raise ValueError(
                "The mask provided should be one dimension less than the inputs. "
                f"Received: mask.shape={mask.shape}, inputs.shape={x.shape} in layer "
                f"'{self.name}'"
            )
        shape = x.shape
        x = x.astype(self.compute_dtype, copy=False)
        if mask is not None:  # (N, ...) -> (N, ..., 1) -> (N, ..., C)
            mask = np.broadcast_to(mask[..., np.newaxis].astype(bool), shape)
            mask = norm.by_channel(mask, self.axis)
        x = norm.by_channel(x, self.axis)  # (A, C, B)
        gamma = None if self.gamma is None else self.gamma.value
        beta = None if self.beta is None else self.beta.value
        renorm = None
        if training and self.trainable:
            statistics = norm.moments(x, mask, config.epsilon())
            if self.renorm:
                renorm = self._corrections(statistics)
                gamma, beta = _compose(*renorm, gamma, beta)
                self._move_renorm(statistics)
            else:
                _move(self.moving_mean, statistics.mean, self.momentum)
                _move(self.moving_variance, statistics.variance, self.momentum)
        else:
            statistics = (self.moving_mean.value, self.moving_variance.value, None)
        y, kept = norm.batch_norm(x, statistics, gamma, beta, self.epsilon, mask)
        return y.reshape(shape), BatchNormalizationResiduals(kept, renorm)

    def backward(
        self, dy: np.ndarray, residuals: BatchNormalizationResiduals, grads: Gradients
    ) -> np.ndarray:
        """See `ops.norm.batch_norm_grad`; adds dgamma and dbeta."""
        dy_channels = norm.by_channel(dy, self.axis)  # (A, C, B)
        dx, dgamma, dbeta = norm.batch_norm_grad(dy_channels, residuals.norm)
        if residuals.renorm is not None:
            r, d = residuals.renorm
            # in forward: the scale is r * gamma, the shift d * gamma + beta
            dgamma = r * dgamma + d * dbeta
        if self.gamma is not None:
            grads.add(self.gamma, dgamma)
        if self.beta is not None:
            grads.add(self.beta, dbeta)
        return dx.reshape(dy.shape)

    def _corrections(self, statistics: norm.Moments) -> tuple[np.ndarray, np.ndarray]:
        """r and d, clipped."""
        mean, variance, _ = statistics
        stddev = np.sqrt(variance + self.epsilon)
        # NB: Keras casts epsilon by way of float32 here.
        floor = np.sqrt(np.float32(self.epsilon).astype(mean.dtype))
        renorm_stddev = np.maximum(self.renorm_stddev.value, floor)
        r = stddev / renorm_stddev
        d = (mean - self.renorm_mean.value) / renorm_stddev
        rmin, rmax, dmax = map(self.renorm_clipping.get, ("rmin", "rmax", "dmax"))
        if rmin is not None:
            r = np.maximum(r, rmin)
        if rmax is not None:
            r = np.minimum(r, rmax)
        if dmax is not None:
            d = np.clip(d, -dmax, dmax)
        return r, d

    def _move_renorm(self, statistics: norm.Moments) -> None:
        """Moves the statistics; inference follows the standard deviation."""
        mean, variance, _ = statistics
        stddev = np.sqrt(variance + self.epsilon)
        _move(self.renorm_mean, mean, self.renorm_momentum)
        _move(self.renorm_stddev, stddev, self.renorm_momentum)
        _move(self.moving_mean, mean, self.momentum)
        _move(self.moving_stddev, stddev, self.momentum)
        stddev = self.moving_stddev.value
        self.moving_variance.assign(np.maximum(stddev * stddev - self.epsilon, 0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {input_shape}. "
                f"Received: axis={self.axis}"
            )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        objects = {
            f"{name}_{kind}": module.serialize(getattr(self, f"{name}_{kind}"))
            for kind, module, names in (
                (
                    "initializer",
                    initializers,
                    ("beta", "gamma", "moving_mean", "moving_variance"),
                ),
                ("regularizer", regularizers, ("beta", "gamma")),
                ("constraint", constraints, ("beta", "gamma")),
            )
            for name in names
        }
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **objects,
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


def _move(statistic: Any, batch: np.ndarray, momentum: float) -> None:
    """One step of a moving average."""
    statistic.assign(statistic.value * momentum + batch * (1.0 - momentum))


def _compose(
    r: np.ndarray, d: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """`(n * r + d) * gamma + beta` as one scale and one shift of n."""
    scale, shift = (r, d) if gamma is None else (r * gamma, d * gamma)
    return scale, shift if beta is None else shift + beta


def _clone(initializer: Any) -> Any:
    """A new initializer with the same config: a random one draws a new seed."""
    if isinstance(initializer, initializers.Initializer):
        return type(initializer).from_config(initializer.get_config())
    return initializer


def _checked_clipping(clipping: dict[str, float] | None) -> dict[str, float]:
    clipping = clipping or {}
    keys = ["rmax", "rmin", "dmax"]
    if set(clipping) - set(keys):
        raise ValueError(
            "Received invalid keys for `renorm_clipping` argument: "
            f"{clipping}. Supported values: {keys}."
        )
    rmax, rmin, dmax = map(clipping.get, keys)
    if rmax is not None and rmin is not None and rmax < rmin:
        raise ValueError(
            "rmax should be greater than rmin in the `renorm_clipping` argument. "
            f"Received: rmax={rmax}, rmin={rmin}."
        )
    if dmax is not None and dmax < 0:
        raise ValueError(
            "dmax should be non-negative in the `renorm_clipping` argument. Received: "
            f"dmax={dmax}."
        )
    return clipping
