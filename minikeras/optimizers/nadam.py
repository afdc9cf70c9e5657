"""Nadam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import config
from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def nadam_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    momentum: np.ndarray,
    velocity: np.ndarray,
    *,
    rate: Any,
    beta_1: Any,
    beta_2: Any,
    ahead: Any,
    ahead_correction: Any,
    now: Any,
    now_correction: Any,
    correction: Any,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `squares` replaces gradient squared where that is not the same (`RowGradient`); the
    scalars are those of `Nadam.scalars`.
    """
    work = gradient - momentum
    work *= 1 - beta_1
    momentum += work  # m <- m + (1 - beta_1) (g - m)
    squares = np.multiply(gradient, gradient, out=work) if squares is None else squares
    np.subtract(squares, velocity, out=work)
    work *= 1 - beta_2
    velocity += work  # v <- v + (1 - beta_2) (g^2 - v)
    step = momentum * ahead
    step /= ahead_correction
    np.multiply(gradient, now, out=work)
    work /= now_correction
    step += work
    step *= rate
    np.divide(velocity, correction, out=work)
    np.sqrt(work, out=work)
    work += epsilon
    step /= work
    value -= step  # w <- w - rate m^ / (sqrt(v^) + eps)


@public("keras.optimizers")
class Nadam(Optimizer):
    """Adam, with the momentum that the next step will have.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, the part of the old mean gradient that is kept.
        beta_2: float, the part of the old mean square that is kept.
        epsilon: float, added to the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: at step t = 1, 2, ... with `u_t = beta_1 (1 - 0.96**t / 2)` and `U_t`
    the product of the u up to t

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g**2
        m^ = u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)
        w -= rate * m^ / (sqrt(v / (1 - beta_2**t)) + epsilon)

    **Keeps**: m and v, as `momentum` and `velocity`, in turn for each variable; then
    the number U.

    Reference: Dozat 2016, Incorporating Nesterov momentum into Adam, algorithm 2.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> Nadam(learning_rate=0.5).apply([np.array([0.2])], [w])
    >>> w.numpy().round(2)
    array([0.47])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(nadam_step)

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
        """Makes `momentum` and `velocity` for each variable, then the product U."""
        if self.built:
            return
        dtype = variables[0].dtype if variables else config.floatx()
        super().build(variables)
        self._slots = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._momentums, self._velocities = self._slots
        # NB: a Variable without a name, in Keras too.
        self._u_product = Variable(np.ones((), dtype), trainable=False)

    def _update(
        self, gradients: list[Any], variables: list[Variable], learning_rate: Any
    ) -> None:
        product = self._u_product
        step = product.value.dtype.type(int(self.iterations) + 1)
        # NB: here Keras takes 0.96 and beta_1 as they are; below, through float32.
        power = in_double(np.power, step.dtype.type(0.96), step)
        product.assign(product.value * self.beta_1 * (1.0 - 0.5 * power))
        super()._update(gradients, variables, learning_rate)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate, the constants, and the factors of both momenta."""
        step = np.dtype(dtype).type(int(self.iterations) + 1)
        beta_1, beta_2 = cast(self.beta_1, dtype), cast(self.beta_2, dtype)
        decay = cast(0.96, dtype)
        u_now = beta_1 * (1.0 - 0.5 * in_double(np.power, decay, step))
        u_next = beta_1 * (1.0 - 0.5 * in_double(np.power, decay, step + 1))
        product = self._u_product.value.astype(dtype)[()]
        return {
            "rate": rate,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "ahead": u_next,
            "ahead_correction": 1 - product * u_next,
            "now": 1 - u_now,
            "now_correction": 1 - product,
            "correction": 1 - in_double(np.power, beta_2, step),
            "epsilon": float(self.epsilon),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = super().get_config()
        own.update(
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
            }
        )
        return own
