"""SGD: gradient descent, with momentum if wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def sgd_step(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: None,
    velocity: np.ndarray | None,
    *,
    rate: Any,
    momentum: Any,
    nesterov: bool,
) -> None:
    """One step, elementwise, in place on `value` and `velocity`."""
    step = gradient * rate
    if velocity is None:
        value -= step  # w <- w - rate g
        return
    velocity *= momentum
    velocity -= step  # u <- momentum u - rate g
    if nesterov:
        ahead = velocity * momentum
        ahead -= step
        value += ahead  # w <- w + momentum u - rate g
    else:
        value += velocity  # w <- w + u


@public("keras.optimizers")
class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Args:
        learning_rate: float, schedule or callable.
        momentum: float in [0, 1], the part of the last step that is made again.
        nesterov: whether to take the gradient's step from where momentum leads.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: `w -= rate g`; with momentum `u = momentum u - rate g`, then
    `w += u`, or with nesterov `w += momentum u - rate g`.

    **Keeps**: u, as `momentum`, for each variable if momentum is not 0.

    Reference: Sutskever et al. 2013, On the importance of initialization and momentum
    in deep learning, section 2 (eq. 1-4).

    >>> w = Variable(np.array([1.0]), name="w")
    >>> SGD(learning_rate=0.5).apply([np.array([0.2])], [w])
    >>> w.numpy()
    array([0.9])
    """

    elementwise_step = staticmethod(sgd_step)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(
                "`momentum` must be a float between [0, 1]. Received: "
                f"momentum={momentum!r}"
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes one `momentum` for each variable, if momentum is used."""
        if self.built:
            return
        super().build(variables)
        self.momentums = []
        if self.momentum != 0:
            self.momentums = self.add_optimizer_variables(variables, "momentum")
        self._slots = (self.momentums or [None] * len(variables),)

    def scalars(self, rate: Any, dtype: np.dtype) -> dict[str, Any]:
        """The learning rate and the constants."""
        momentum = cast(self.momentum, dtype)  # NB: Keras: through float32
        return {"rate": rate, "momentum": momentum, "nesterov": bool(self.nesterov)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update({"momentum": self.momentum, "nesterov": self.nesterov})
        return config
