"""Lion: steps of one size, in the direction of the sign of the momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def lion_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: None,
    momentum: np.ndarray,
    *,
    rate: Any,
    beta_1: Any,
    beta_2: Any,
) -> None:
    """One step, elementwise, in place on `value` and `momentum`."""
    work = momentum * beta_1
    work += gradient * (1.0 - beta_1)
    np.sign(work, out=work)
    work *= rate
    value -= work  # w <- w - rate sign(beta_1 m + (1 - beta_1) g)
    momentum *= beta_2
    momentum += gradient * (1.0 - beta_2)  # m <- beta_2 m + (1 - beta_2) g


@public("keras.optimizers")
class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of a running mean.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float in (0, 1], the part of the mean in the direction of the step.
        beta_2: float, the part of the old mean that is kept.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: `w -= rate * sign(beta_1 m + (1 - beta_1) g)`, then
    `m = beta_2 m + (1 - beta_2) g`

    **Keeps**: m, as `momentum`, for each variable.

    Reference: Chen et al. 2023, Symbolic discovery of optimization algorithms,
    algorithm 2.

    >>> w = Variable(np.array([1.0, 1.0]), name="w")
    >>> Lion(learning_rate=0.25).apply([np.array([0.2, -30.0])], [w])
    >>> w.numpy()
    array([0.75, 1.25])
    """

    elementwise_step = staticmethod(lion_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the "
                f"optimizer degenerates to SignSGD. Received: beta_1={beta_1}."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `momentum` for each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")
        self._slots = (self._momentums,)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate and the constants."""
        # NB: through float32, in Keras too.
        betas = {"beta_1": cast(self.beta_1, dtype), "beta_2": cast(self.beta_2, dtype)}
        return {"rate": rate, **betas}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
            }
        )
        return config
