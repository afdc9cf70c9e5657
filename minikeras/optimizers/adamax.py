"""Adamax: Adam with the largest recent gradient instead of the mean square."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def adamax_step(
    value: np.ndarray,
    gradient: np.ndarray,
    absolutes: np.ndarray | None,
    momentum: np.ndarray,
    norm: np.ndarray,
    *,
    rate: Any,
    beta_1: float,
    beta_2: float,
    correction: Any,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `absolutes` replaces |gradient| where that is not the same: the sum of the absolute
    values of rows (`RowGradient`).
    """
    work = gradient - momentum
    work *= 1 - beta_1
    momentum += work  # m <- m + (1 - beta_1) (g - m)
    norm *= beta_2
    absolutes = np.abs(gradient, out=work) if absolutes is None else absolutes
    np.maximum(norm, absolutes, out=norm)  # u <- max(beta_2 u, |g|)
    np.add(norm, epsilon, out=work)
    work *= correction
    step = momentum * rate
    step /= work
    value -= step  # w <- w - rate m / ((1 - beta_1^t) (u + eps))


@public("keras.optimizers")
class Adamax(Optimizer):
    """Adam, with the largest recent gradient in place of the root mean square.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, the part of the old mean gradient that is kept.
        beta_2: float, how fast a large gradient is forgotten.
        epsilon: float, added to the divisor.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: at step t = 1, 2, ...

        m = beta_1 m + (1 - beta_1) g
        u = max(beta_2 u, |g|)
        w -= rate * m / ((1 - beta_1**t) * (u + epsilon))

    **Keeps**: m and u, as `momentum` and `norm`, in turn for each variable.

    Reference: Kingma & Ba 2015, algorithm 2.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> Adamax(learning_rate=0.5).apply([np.array([0.2])], [w])
    >>> w.numpy().round(4)
    array([0.5])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(adamax_step)
    square = np.abs

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `momentum` and `norm` for each variable."""
        if self.built:
            return
        super().build(variables)
        self._slots = self.add_optimizer_variables(variables, ["momentum", "norm"])
        self._m, self._u = self._slots

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate, the constants and the bias correction."""
        # NB: only the power sees the float32 detour of `cast`, 1 - beta does not.
        step = np.dtype(dtype).type(int(self.iterations) + 1)
        power = in_double(np.power, cast(self.beta_1, dtype), step)
        return {
            "rate": rate,
            "beta_1": float(self.beta_1),
            "beta_2": float(self.beta_2),
            "correction": 1 - power,
            "epsilon": float(self.epsilon),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
            }
        )
        return config
