"""Adam: steps from running means of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def adam_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    momentum: np.ndarray,
    velocity: np.ndarray,
    velocity_hat: np.ndarray | None,
    *,
    rate: Any,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `squares` replaces gradient squared where that is not the same (`RowGradient`);
    `rate` is the learning rate with the bias correction in it.
    """
    work = gradient - momentum
    work *= 1 - beta_1
    momentum += work  # m <- m + (1 - beta_1) (g - m)
    squares = np.multiply(gradient, gradient, out=work) if squares is None else squares
    np.subtract(squares, velocity, out=work)
    work *= 1 - beta_2
    velocity += work  # v <- v + (1 - beta_2) (g^2 - v)
    if velocity_hat is not None:
        velocity = np.maximum(velocity_hat, velocity, out=velocity_hat)
    np.sqrt(velocity, out=work)
    work += epsilon
    step = momentum * rate
    step /= work
    value -= step  # w <- w - rate m / (sqrt(v) + eps)


def corrected_rate(rate: Any, beta_1: Any, beta_2: Any, step: int) -> Any:
    """The learning rate, corrected for means that began at 0.

    **Formula**: `rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)`. The mean m of t
    gradients misses the factor `1 - beta_1**t`, and the root of v misses
    `sqrt(1 - beta_2**t)`.

    Reference: Kingma & Ba 2015, section 2, last paragraph, and section 3.
    """
    t = rate.dtype.type(step)
    power_1, power_2 = in_double(np.power, beta_1, t), in_double(np.power, beta_2, t)
    return rate * np.sqrt(1 - power_2) / (1 - power_1)


@public("keras.optimizers")
class Adam(Optimizer):
    """Steps along a running mean of the gradient, divided by its running size.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, the part of the old mean gradient that is kept.
        beta_2: float, the part of the old mean square that is kept.
        epsilon: float, added to the root; the "epsilon hat" of the paper.
        amsgrad: whether to divide by the largest mean square so far.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: at step t = 1, 2, ...

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g**2          (amsgrad: max over the steps so far)
        w -= rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    **Keeps**: m and v, as `momentum` and `velocity`, in turn for each variable; with
    amsgrad then `velocity_hat` for each.

    Reference: Kingma & Ba 2015, algorithm 1 as reordered at the end of section 2;
    Reddi et al. 2018, On the convergence of Adam and beyond, algorithm 2 (amsgrad).

    >>> w = Variable(np.array([1.0]), name="w")
    >>> Adam(learning_rate=0.5).apply([np.array([0.2])], [w])
    >>> w.numpy().round(4)  # the first step has the size of the learning rate
    array([0.5])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(adam_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `momentum` and `velocity` for each variable, then `velocity_hat`."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        self._velocity_hats = [None] * len(variables)
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(
                variables, "velocity_hat"
            )
        self._slots = (self._momentums, self._velocities, self._velocity_hats)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate with the bias correction in it, and the constants."""
        # NB: only the powers see the float32 detour of `cast`, 1 - beta does not.
        beta_1, beta_2 = cast(self.beta_1, dtype), cast(self.beta_2, dtype)
        return {
            "rate": corrected_rate(rate, beta_1, beta_2, int(self.iterations) + 1),
            "beta_1": float(self.beta_1),
            "beta_2": float(self.beta_2),
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
                "amsgrad": self.amsgrad,
            }
        )
        return config
