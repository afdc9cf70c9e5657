"""LAMB: Adam's steps, as long as the weights of a layer ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.row_gradient import parts
from minikeras.variables import Variable


@public("keras.optimizers")
class Lamb(Optimizer):
    """Adam's steps, made as long as the rate times the norm of the variable.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, the part of the old mean gradient that is kept.
        beta_2: float, the part of the old mean square that is kept.
        epsilon: float, added to the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: at step t = 1, 2, ...

        m = beta_1 m + (1 - beta_1) g
        v = beta_2 v + (1 - beta_2) g**2
        u = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)
        w -= rate * |w| / |u| * u              (without |w| / |u| where one is 0)

    **Keeps**: m and v, as `momentum` and `velocity`, in turn for each variable.

    Reference: You et al. 2020, Large batch optimization for deep learning, algorithm 2.

    >>> w = Variable(np.array([3.0, 4.0]), name="w")  # of length 5
    >>> Lamb(learning_rate=0.1).apply([np.array([0.2, 0.0])], [w])
    >>> w.numpy().round(4)
    array([2.5, 4. ])
    """

    takes_row_gradients = True

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
        """Makes `momentum` and `velocity` for each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """See `UpdateRule.update_step`: it needs norms, so one variable at a time."""
        gradient, squares = parts(gradient)
        w, dtype = variable.value, variable.value.dtype
        squares = np.square(gradient) if squares is None else squares
        step = dtype.type(int(self.iterations) + 1)
        powers = [in_double(np.power, cast(b, dtype), step) for b in self._betas]
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        momentum.assign_add((gradient - momentum.value) * (1 - self.beta_1))
        velocity.assign_add((squares - velocity.value) * (1 - self.beta_2))
        root = np.sqrt(velocity.value / (1.0 - powers[1])) + float(self.epsilon)
        update = momentum.value / (1.0 - powers[0]) / root
        w_norm, u_norm = np.sqrt(np.sum(w * w)), np.sqrt(np.sum(update * update))
        ratio = w_norm / u_norm if w_norm > 0 and u_norm > 0 else dtype.type(1)
        variable.assign_sub(ratio * cast(learning_rate, dtype) * update)

    @property
    def _betas(self) -> tuple[float, float]:
        return self.beta_1, self.beta_2

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
