"""Schedules along a cosine: from 1 down to 0, perhaps more than once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minikeras.optimizers.scalars import cast, cos, in_double, log
from minikeras.optimizers.schedules.learning_rate_schedule import (
    Formula,
    check_positive,
    ratio,
    start,
)
from minikeras.registry import public


@public("keras.optimizers.schedules")
class CosineDecay(Formula):
    """Half a period of a cosine, after an optional linear warmup.

    Args:
        initial_learning_rate: float, the rate at step 0.
        decay_steps: int above 0, how many steps the decay takes.
        alpha: float, what remains at the end, as a fraction.
        name: accepted as in Keras; it goes into the config.
        warmup_target: float, the rate that the warmup goes to in a straight line, and
            that the decay starts from. None: no warmup.
        warmup_steps: int, how many steps the warmup takes.

    **Formula**: with `t = min(step - warmup_steps, decay_steps) / decay_steps`
    after the warmup, `start * ((1 - alpha) * (1 + cos(pi t)) / 2 + alpha)`, where
    `start` is `warmup_target`, or `initial_learning_rate` without a warmup.

    Reference: Loshchilov & Hutter 2016, SGDR, eq. 5 (without restarts).

    >>> CosineDecay(1.0, decay_steps=100)(50).round(6)
    np.float32(0.5)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        check_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_steps = warmup_steps
        self.warmup_target = warmup_target

    def rate(self, step: Any, compiled: bool) -> Any:
        """The learning rate of this step; see `Formula`."""
        initial, step, dtype = start(self.initial_learning_rate, step)
        decay_steps = cast(self.decay_steps, dtype)
        if self.warmup_target is None:
            step = np.minimum(step, decay_steps)
            return self._decay(step, decay_steps, initial, compiled)
        if dtype.kind != "f":
            raise ValueError(
                "`initial_learning_rate` must be a float when `warmup_target` is given "
                "(an integer would round the target). Received: "
                f"initial_learning_rate={self.initial_learning_rate!r}"
            )
        target = cast(self.warmup_target, dtype)
        warmup_steps = cast(self.warmup_steps, dtype)
        step = np.minimum(step, decay_steps + warmup_steps)
        # TensorFlow does not rearrange the branches of a condition.
        if step < warmup_steps:
            return (target - initial) * (step / warmup_steps) + initial
        return self._decay(step - warmup_steps, decay_steps, target, compiled=False)

    def _decay(self, step: Any, decay_steps: Any, rate: Any, compiled: bool) -> Any:
        pi = decay_steps.dtype.type(math.pi)
        cosine = 0.5 * (1 + cos(ratio(step, decay_steps, compiled, pi)))
        alpha = float(self.alpha)
        return rate * ((1 - alpha) * cosine + alpha)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@public("keras.optimizers.schedules")
class CosineDecayRestarts(Formula):
    """Cosine decays one after the other, each starting high again.

    Args:
        initial_learning_rate: float, the rate at step 0.
        first_decay_steps: int above 0, the length of the first decay.
        t_mul: float, how much longer each decay is than the one before.
        m_mul: float, how much higher each starts than the one before.
        alpha: float, what remains at the end of a decay, as a fraction of
            `initial_learning_rate`.
        name: accepted as in Keras; it goes into the config.

    **Formula**: with x = step / first_decay_steps, decay number i starts at
    `x_i = 1 + t + ... + t**(i-1) = (1 - t**i) / (1 - t)` (t is t_mul), so i is the
    floor of `log(1 - x (1 - t)) / log t`. Within it `f = (x - x_i) / t**i` and the rate
    is `initial * ((1 - alpha) * m_mul**i * (1 + cos(pi f)) / 2 + alpha)`.

    Reference: Loshchilov & Hutter 2016, SGDR, section 3.

    >>> schedule = CosineDecayRestarts(1.0, first_decay_steps=10)  # then 20, 40, ...
    >>> [float(schedule(step).round(6)) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        check_positive("first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def rate(self, step: Any, compiled: bool) -> Any:
        """The learning rate of this step; see `Formula`."""
        initial, step, dtype = start(self.initial_learning_rate, step)
        if dtype.kind != "f":
            raise ValueError(
                "`initial_learning_rate` of `CosineDecayRestarts` must be a float. "
                f"Received: initial_learning_rate={self.initial_learning_rate!r}"
            )
        alpha, m_mul = cast(self.alpha, dtype), cast(self._m_mul, dtype)
        first = cast(self.first_decay_steps, dtype)
        decay, fraction = self._position(ratio(step, first, compiled))
        height = in_double(np.power, m_mul, decay)
        wave = 1 + cos(dtype.type(math.pi) * fraction)
        if not compiled:
            return initial * ((1 - alpha) * (0.5 * height * wave) + alpha)
        # All constant factors first, and without alpha `initial` is one of them.
        if alpha == 0:
            return 0.5 * initial * height * wave
        return initial * (0.5 * (1 - alpha) * height * wave + alpha)

    def _position(self, x: Any) -> tuple[Any, Any]:
        """Which decay this is, and the fraction of it that has passed."""
        t_mul = cast(self._t_mul, x.dtype)
        if t_mul == 1:
            return np.floor(x), x - np.floor(x)
        decay = np.floor(log(1 - x * (1 - t_mul)) / log(t_mul))
        length = in_double(np.power, t_mul, decay)
        begin = (1 - length) / (1 - t_mul)
        return decay, (x - begin) / length

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
