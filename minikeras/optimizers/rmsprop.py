"""RMSprop: steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def rmsprop_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    velocity: np.ndarray,
    average: np.ndarray | None,
    momentum: np.ndarray | None,
    *,
    rate: Any,
    rho: float,
    momentum_rate: float,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value`, `velocity`, `average`, `momentum`.

    `squares` replaces gradient squared where that is not the same (`RowGradient`).
    """
    work = np.square(gradient) if squares is None else squares.copy()
    work *= 1 - rho
    velocity *= rho
    velocity += work  # v <- rho v + (1 - rho) g^2
    if average is None:
        np.add(velocity, epsilon, out=work)
    else:
        average *= rho
        average += gradient * (1 - rho)  # a <- rho a + (1 - rho) g
        np.subtract(velocity, np.square(average), out=work)
        work += epsilon
    np.sqrt(work, out=work)
    step = gradient * rate
    step /= work  # rate g / sqrt(v - a^2 + eps)
    if momentum is None:
        value -= step
    else:
        momentum *= momentum_rate
        momentum += step
        value -= momentum


@public("keras.optimizers")
class RMSprop(Optimizer):
    """Divides each step by a running root mean square of the gradient.

    Args:
        learning_rate: float, schedule or callable.
        rho: float, the part of the old mean square that is kept.
        momentum: float, the part of the last step that is made again.
        epsilon: float, added to the mean square.
        centered: whether to take the square of the mean gradient off the mean square,
            which leaves the variance.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: `v = rho v + (1 - rho) g**2`; `w -= rate g / sqrt(v + epsilon)`.
    Centered: `a = rho a + (1 - rho) g` and `v - a**2` instead of v. With momentum the
    step is added to `momentum` times the last one.

    NB: epsilon is inside the root, unlike Adam's.

    **Keeps**: v, as `velocity`, for each variable; then, where used, `momentum` for
    each, then `average_gradient` for each.

    Reference: Hinton 2012, Neural networks for machine learning, lecture 6e.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> RMSprop(learning_rate=0.5, rho=0.75).apply([np.array([0.2])], [w])
    >>> w.numpy().round(4)  # 1 - 0.5 * 0.2 / sqrt(0.25 * 0.04 + 1e-7)
    array([0.])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(rmsprop_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `velocity`, then `momentum`, then `average_gradient`, where used."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = [None] * len(variables)
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(variables, "momentum")
        self._average_gradients = [None] * len(variables)
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(
                variables, "average_gradient"
            )
        self._slots = (self._velocities, self._average_gradients, self._momentums)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate and the constants."""
        return {
            "rate": rate,
            "rho": float(self.rho),
            "momentum_rate": float(self.momentum),
            "epsilon": float(self.epsilon),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "rho": self.rho,
                "momentum": self.momentum,
                "epsilon": self.epsilon,
                "centered": self.centered,
            }
        )
        return config
