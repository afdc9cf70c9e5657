"""The base class of learning rate schedules."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.messages import Checked
from minikeras.optimizers.scalars import cast
from minikeras.registry import public


@public("keras.optimizers.schedules")
class LearningRateSchedule(Checked):
    """A learning rate that depends on how many steps the optimizer has made.

    Pass an instance as the `learning_rate` of an optimizer. To write one of your own,
    override `__call__(step)`, and `get_config` if it shall be saved.

    NB: Keras makes a tensor of the initial learning rate, and so computes in float32,
    whatever `floatx` is (an integer 1 even gives integer arithmetic). So here.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 / 2 ** int(step)
    >>> Halving()(3)
    0.0125
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate of step number `step` (0, 1, 2, ...)."""
        raise NotImplementedError(
            f"Learning rate schedule '{self.__class__.__name__}' must override "
            "`__call__(self, step)`."
        )

    def in_compiled_step(self, step: Any) -> Any:
        """The rate as a compiled training step rounds it; see `Formula`."""
        return self(step)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        raise NotImplementedError(
            f"Learning rate schedule '{self.__class__.__name__}' must override "
            "`get_config()` in order to be serializable."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """The schedule that `get_config` described."""
        return cls(**config)


class Formula(LearningRateSchedule):
    """A schedule that is a formula of `step / constant`, which is rounded in two ways.

    NB: called by itself, Keras computes as the formula says. In `fit` TensorFlow first
    rearranges it: for `factor * (step / divisor)` it computes
    `step * (factor * (1 / divisor))`, with one operation at run time in place of two.
    The results differ in their last bit, and in a float64 run it is float32's last bit.
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate of this step."""
        return self.rate(step, compiled=False)

    def in_compiled_step(self, step: Any) -> Any:
        """The learning rate of this step, as `fit` rounds it."""
        return self.rate(step, compiled=True)

    def rate(self, step: Any, compiled: bool) -> Any:
        """The formula."""
        raise NotImplementedError


def ratio(step: Any, divisor: Any, compiled: bool, factor: Any = None) -> Any:
    """`factor * (step / divisor)`; `step * (factor * (1 / divisor))` if compiled.

    >>> step, divisor = np.float32(7), np.float32(3)
    >>> ratio(step, divisor, compiled=False), ratio(step, divisor, compiled=True)
    (np.float32(2.3333333), np.float32(2.3333335))
    """
    if factor is None:
        factor = divisor.dtype.type(1)
    if compiled:
        return step * (factor * (1 / divisor))
    return factor * (step / divisor)


def as_tensor(value: Any) -> Any:
    """A scalar of the dtype TensorFlow gives a Python number: float32 or int32."""
    if type(value) is float:
        return np.float32(value)
    if type(value) is int:
        return np.int32(value)
    return np.asarray(value)[()]


def start(initial_learning_rate: Any, step: Any) -> tuple[Any, Any, np.dtype]:
    """(initial learning rate, step, dtype): both of the dtype everything has."""
    initial = as_tensor(initial_learning_rate)
    return initial, cast(step, initial.dtype), initial.dtype


def check_positive(name: str, value: Any) -> None:
    """Refuses a number of decay steps that is not above 0."""
    if value <= 0:
        raise ValueError(f"Argument `{name}` must be > 0. Received: {name}={value}")
