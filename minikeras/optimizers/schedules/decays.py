"""Schedules that decay: exponential, inverse in time, polynomial, in steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.scalars import cast, in_double
from minikeras.optimizers.schedules.learning_rate_schedule import (
    Formula,
    LearningRateSchedule,
    as_tensor,
    check_positive,
    ratio,
    start,
)
from minikeras.registry import public


@public("keras.optimizers.schedules")
class ExponentialDecay(Formula):
    """Divides the learning rate by the same factor every `decay_steps` steps.

    Args:
        initial_learning_rate: float, the rate at step 0.
        decay_steps: int above 0.
        decay_rate: float, the factor gained in `decay_steps` steps.
        staircase: if True, the rate changes only every `decay_steps` steps.
        name: accepted as in Keras; it goes into the config.

    **Formula**: `initial * decay_rate ** (step / decay_steps)`; the exponent is rounded
    down with `staircase`.

    >>> ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)(200)
    np.float32(0.025)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        check_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: Any, compiled: bool) -> Any:
        """The learning rate of this step; see `Formula`."""
        initial, step, dtype = start(self.initial_learning_rate, step)
        exponent = ratio(step, cast(self.decay_steps, dtype), compiled)
        if self.staircase:
            exponent = np.floor(exponent)
        return initial * in_double(np.power, cast(self.decay_rate, dtype), exponent)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@public("keras.optimizers.schedules")
class InverseTimeDecay(Formula):
    """Decays like 1 / time.

    Args:
        initial_learning_rate: float, the rate at step 0.
        decay_steps: number above 0, how often the decay applies.
        decay_rate: float; at step `decay_steps` the rate is `initial / (1 + rate)`.
        staircase: if True, the rate changes only every `decay_steps` steps.
        name: accepted as in Keras; it goes into the config.

    **Formula**: `initial / (1 + decay_rate * step / decay_steps)`; the quotient is
    rounded down with `staircase`.

    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    np.float32(0.05)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        check_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def rate(self, step: Any, compiled: bool) -> Any:
        """The learning rate of this step; see `Formula`."""
        initial, step, dtype = start(self.initial_learning_rate, step)
        decay_steps = cast(self.decay_steps, dtype)
        decay_rate = cast(self.decay_rate, dtype)
        if self.staircase:
            decay = decay_rate * np.floor(ratio(step, decay_steps, compiled))
        else:
            decay = ratio(step, decay_steps, compiled, decay_rate)
        return initial / (1 + decay)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@public("keras.optimizers.schedules")
class PolynomialDecay(Formula):
    """Goes from one learning rate to another along a power of the time left.

    Args:
        initial_learning_rate: float, the rate at step 0.
        decay_steps: int above 0, the step at which the end is reached.
        end_learning_rate: float, the rate from then on.
        power: float, 1.0 is a straight line.
        cycle: if True, `decay_steps` is replaced by its first multiple that is not
            below `step`, so that the rate jumps up again and never stays at the end.
        name: accepted as in Keras; it goes into the config.

    **Formula**: `(initial - end) * (1 - step / decay_steps) ** power + end`, with step
    at most `decay_steps`.

    >>> PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)(50)
    np.float32(0.05)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        check_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def rate(self, step: Any, compiled: bool) -> Any:
        """The learning rate of this step; see `Formula`."""
        initial, step, dtype = start(self.initial_learning_rate, step)
        end = cast(self.end_learning_rate, dtype)
        decay_steps = cast(self.decay_steps, dtype)
        if self.cycle:
            cycles = np.ceil(ratio(step, decay_steps, compiled))
            cycles = np.where(step == 0, 1, cycles).astype(dtype)[()]
            left = 1 - step / (decay_steps * cycles)
        else:
            step = np.minimum(step, decay_steps)
            left = 1 - ratio(step, decay_steps, compiled)
        return (initial - end) * in_double(
            np.power, left, cast(self.power, dtype)
        ) + end

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@public("keras.optimizers.schedules")
class PiecewiseConstantDecay(LearningRateSchedule):
    """One learning rate up to each boundary, and another one after it.

    Args:
        boundaries: steps, increasing. A step that equals a boundary still belongs to
            the interval before it.
        values: one rate more than boundaries, all of one type.
        name: accepted as in Keras; it goes into the config.

    >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
    >>> [float(schedule(step)) for step in (10, 11, 20, 21)]
    [1.0, 0.5, 0.5, 0.10000000149011612]
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. "
                f"Received: boundaries={boundaries} of length {len(boundaries)}, and "
                f"values={values} of length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        """The learning rate of this step."""
        values = [as_tensor(value) for value in self.values]
        if len({value.dtype for value in values}) > 1:
            raise ValueError(
                "The values of `PiecewiseConstantDecay` must all be floats, or all be "
                f"integers. Received: values={self.values}"
            )
        step = np.asarray(getattr(step, "value", step))
        # NB: Keras casts a boundary to the type of the step, so 7.5 counts as 7.
        boundaries = [cast(b, step.dtype) for b in self.boundaries]
        interval = sum((step > b).astype(int) for b in boundaries)
        return np.asarray(values)[interval]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "boundaries": self.boundaries,
            "values": self.values,
            "name": self.name,
        }
