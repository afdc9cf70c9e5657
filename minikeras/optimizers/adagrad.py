"""Adagrad: steps divided by the root of all squared gradients so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import initializers
from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def adagrad_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    accumulator: np.ndarray,
    *,
    rate: Any,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value` and `accumulator`.

    `squares` replaces gradient squared where that is not the same (`RowGradient`).
    """
    accumulator += np.square(gradient) if squares is None else squares  # a <- a + g^2
    work = accumulator + epsilon
    np.sqrt(work, out=work)
    step = gradient * rate
    step /= work
    value -= step  # w <- w - rate g / sqrt(a + eps)


@public("keras.optimizers")
class Adagrad(Optimizer):
    """Steps that shrink, element by element, with the gradients seen so far.

    Args:
        learning_rate: float, schedule or callable.
        initial_accumulator_value: float, where the sums of squares begin.
        epsilon: float, added to the sum, inside the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: `a += g**2`; `w -= rate g / sqrt(a + epsilon)`

    **Keeps**: a, as `accumulator`, for each variable.

    Reference: Duchi et al. 2011, Adaptive subgradient methods, figure 1.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> optimizer = Adagrad(learning_rate=0.5, initial_accumulator_value=0.0)
    >>> optimizer.apply([np.array([0.2])], [w])
    >>> w.numpy().round(4)
    array([0.5])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(adagrad_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `accumulator` for each variable."""
        if self.built:
            return
        super().build(variables)
        start = initializers.Constant(self.initial_accumulator_value)
        self._sums = self.add_optimizer_variables(variables, "accumulator", start)
        self._slots = (self._sums,)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate and the constant."""
        return {"rate": rate, "epsilon": float(self.epsilon)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "initial_accumulator_value": self.initial_accumulator_value,
                "epsilon": self.epsilon,
            }
        )
        return config
