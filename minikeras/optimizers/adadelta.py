"""Adadelta: steps in the unit of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def adadelta_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    accumulated_grad: np.ndarray,
    accumulated_delta: np.ndarray,
    *,
    rate: Any,
    rho: float,
    epsilon: float,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `squares` replaces gradient squared where that is not the same (`RowGradient`).
    """
    work = np.square(gradient) if squares is None else squares.copy()
    work *= 1 - rho
    accumulated_grad *= rho
    accumulated_grad += work  # a <- rho a + (1 - rho) g^2
    root = np.sqrt(accumulated_grad + epsilon)
    delta = np.sqrt(accumulated_delta + epsilon)
    size = delta / root if squares is not None else None
    delta *= gradient
    delta /= root
    np.negative(delta, out=delta)  # -sqrt(d + eps) / sqrt(a + eps) g
    work = np.square(delta) if size is None else np.square(size) * squares
    work *= 1 - rho
    accumulated_delta *= rho
    accumulated_delta += work  # d <- rho d + (1 - rho) delta^2
    delta *= rate
    value += delta


@public("keras.optimizers")
class Adadelta(Optimizer):
    """Steps as long as the recent steps, by the size of the recent gradients.

    Args:
        learning_rate: float, schedule or callable.
        rho: float, the part of the old means that is kept.
        epsilon: float, added to both means, inside the roots.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**:

        a = rho a + (1 - rho) g**2
        delta = -sqrt(d + epsilon) / sqrt(a + epsilon) * g
        d = rho d + (1 - rho) delta**2
        w += rate * delta

    **Keeps**: a and d, as `accumulated_grad` and `accumulated_delta_var`, in turn for
    each variable.

    Reference: Zeiler 2012, ADADELTA, algorithm 1.

    >>> w = Variable(np.array([1.0]), name="w")
    >>> Adadelta(learning_rate=1.0, epsilon=0.25).apply([np.array([0.0])], [w])
    >>> w.numpy()
    array([1.])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(adadelta_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        rho: float = 0.95,
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
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `accumulated_grad` and `accumulated_delta_var` for each variable."""
        if self.built:
            return
        super().build(variables)
        names = ["accumulated_grad", "accumulated_delta_var"]
        self._slots = self.add_optimizer_variables(variables, names)
        self._accumulated_grads, self._accumulated_delta_vars = self._slots

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate and the constants."""
        return {"rate": rate, "rho": float(self.rho), "epsilon": float(self.epsilon)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "rho": self.rho,
                "epsilon": self.epsilon,
            }
        )
        return config
