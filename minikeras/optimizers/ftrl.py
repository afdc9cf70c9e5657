"""FTRL: follow the regularized leader, which sets many weights to 0 exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import initializers
from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def ftrl_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray | None,
    accumulator: np.ndarray,
    linear: np.ndarray,
    *,
    rate: Any,
    power: float,
    l1: float,
    l2: Any,
    shrinkage: float,
) -> None:
    """One step, elementwise, in place on `value` and the state.

    `squares` replaces gradient squared where that is not the same (`RowGradient`).
    """
    before = accumulator**power
    accumulator += np.square(gradient) if squares is None else squares  # n <- n + g^2
    after = accumulator**power
    np.subtract(after, before, out=before)
    before /= rate
    before *= value
    shrunk = value * (2 * shrinkage)
    shrunk += gradient
    shrunk -= before
    linear += shrunk  # z <- z + g + 2 s w - (n'^p - n^p) / rate w
    after /= rate
    after += 2 * l2
    np.subtract(np.clip(linear, -l1, l1), linear, out=value)
    value /= after  # w <- (clip(z) - z) / (n'^p / rate + 2 l2)


@public("keras.optimizers")
class Ftrl(Optimizer):
    """Follow the regularized leader: the best weights for all gradients so far.

    Args:
        learning_rate: float, schedule or callable.
        learning_rate_power: float <= 0; -0.5 divides by the root of the sum of squares.
        initial_accumulator_value: float >= 0, where the sums of squares begin.
        l1_regularization_strength: float >= 0; weights whose sum of gradients is
            smaller are exactly 0.
        l2_regularization_strength: float >= 0, part of what is minimized.
        l2_shrinkage_regularization_strength: float >= 0, added to the gradients.
        beta: float, more regularization in the unit of the learning rate.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: with `p = -learning_rate_power`, `s` the shrinkage and
    `l2 = l2_regularization_strength + beta / (2 rate)`

        n' = n + g**2
        z += g + 2 s w - (n'**p - n**p) / rate * w
        w = (clip(z, -l1, l1) - z) / (n'**p / rate + 2 l2)

    **Keeps**: n and z, as `accumulator` and `linear`, in turn for each variable.

    Reference: McMahan et al. 2013, Ad click prediction: a view from the trenches,
    algorithm 1.

    >>> w = Variable(np.array([0.0, 0.0]), name="w")
    >>> optimizer = Ftrl(learning_rate=0.1, l1_regularization_strength=0.5)
    >>> optimizer.apply([np.array([0.4, 1.0])], [w])
    >>> w.numpy().round(4)  # a gradient of 0.4 is not enough to leave 0
    array([ 0.    , -0.0477])
    """

    takes_row_gradients = True
    elementwise_step = staticmethod(ftrl_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        not_negative = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": (
                l2_shrinkage_regularization_strength
            ),
        }
        for argument, given in not_negative.items():
            if given < 0.0:
                raise ValueError(
                    f"`{argument}` needs to be positive or zero. Received: "
                    f"{argument}={given}."
                )
        if learning_rate_power > 0.0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. Received: "
                f"learning_rate_power={learning_rate_power}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `accumulator` and `linear` for each variable."""
        if self.built:
            return
        super().build(variables)
        start = initializers.Constant(self.initial_accumulator_value)
        self._slots = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [start, "zeros"]
        )
        self._sums, self._linears = self._slots

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate, the exponent and the strengths."""
        return {
            "rate": rate,
            "power": -float(self.learning_rate_power),
            "l1": float(self.l1_regularization_strength),
            "l2": float(self.l2_regularization_strength) + self.beta / (2.0 * rate),
            "shrinkage": float(self.l2_shrinkage_regularization_strength),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = (
            "learning_rate_power",
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
            "beta",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
