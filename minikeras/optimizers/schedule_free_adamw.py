"""ScheduleFreeAdamW: Adam's steps, averaged instead of slowed down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def schedule_free_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    z: np.ndarray,
    velocity: np.ndarray,
    *,
    rate: Any,
    beta_1: Any,
    beta_2: Any,
    correction: Any,
    weight: Any,
    epsilon: Any,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `squares` replaces gradient squared where that is not the same (`RowGradient`);
    `correction` is that of a mean which began at 0, `weight` that of the new z.
    """
    squares = np.square(gradient) if squares is None else squares
    work = squares - velocity
    work *= 1 - beta_2
    velocity += work  # v <- v + (1 - beta_2) (g^2 - v)
    root = np.sqrt(np.divide(velocity, correction, out=work), out=work)
    root += epsilon
    z -= gradient * rate / root
    # y = (1 - beta_1) z + beta_1 x: the average x, which is not kept, from y and z.
    # NB: with the old y the old z belongs here; Keras on TensorFlow takes the new one.
    x = (value - (1 - beta_1) * z) / beta_1
    x *= 1 - weight
    x += weight * z  # x <- (1 - weight) x + weight z
    x *= beta_1
    np.add((1 - beta_1) * z, x, out=value)


@public("keras.optimizers")
class ScheduleFreeAdamW(Optimizer):
    """Steps of Adam's size along z; the variable is between z and its average.

    What a falling learning rate is for, to come to rest, is done by the average. So no
    schedule is needed, and it need not be known how long training will take.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, how near to the average x the gradient is taken.
        beta_2: float, the part of the old mean square that is kept.
        epsilon: float, added to the root.
        warmup_steps: int; over so many steps the rate rises linearly.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: the variable is y; at step t = 1, 2, ...

        v = beta_2 v + (1 - beta_2) g**2
        z -= rate * min(t / warmup_steps, 1) * g / (sqrt(v / (1 - beta_2**t)) + epsilon)
        x = (y - (1 - beta_1) z) / beta_1
        x = (1 - 1 / t) x + z / t
        y = (1 - beta_1) z + beta_1 x

    **Keeps**: z, which begins as the variable, and v, as `momentum` and `velocity`, in
    turn for each variable.

    NB: in the paper x is computed from the old z, and one predicts with x, not y; see
    `parity_tests/keras_findings/schedule_free_from_the_new_z.py`.

    Reference: Defazio et al. 2024, The road less scheduled, algorithm 1.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> ScheduleFreeAdamW(learning_rate=0.5).apply([np.array([0.2])], [w])
    >>> w.numpy().round(4)
    array([0.5])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(schedule_free_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.warmup_steps = warmup_steps

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `momentum`, a copy, and `velocity` for each variable."""
        if self.built:
            return
        super().build(variables)
        self._slots = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        for z, variable in zip(self._slots[0], variables, strict=True):
            if z is not None:
                z.assign(variable.value)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate with the warm-up in it, and the constants."""
        dtype = np.dtype(dtype)
        step, one = dtype.type(int(self.iterations) + 1), dtype.type(1)
        if self.warmup_steps > 0:
            rate = rate * min(step / dtype.type(self.warmup_steps), one)
        # NB: Keras: all constants through float32.
        beta_1, beta_2 = cast(self.beta_1, dtype), cast(self.beta_2, dtype)
        return {
            "rate": rate,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "correction": one - in_double(np.power, beta_2, step),
            "weight": one / step,
            "epsilon": cast(self.epsilon, dtype),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
                "warmup_steps": self.warmup_steps,
            }
        )
        return config
