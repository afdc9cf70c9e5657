"""Adafactor: the mean squares of a matrix, kept as one row and one column."""

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


def root_mean_square(x: np.ndarray) -> Any:
    """`sqrt(mean(x**2))`."""
    return np.sqrt(np.mean(np.square(x)))


@public("keras.optimizers")
class Adafactor(Optimizer):
    """Adam's divisor from means of rows and columns; steps relative to the weights.

    Args:
        learning_rate: float, schedule or callable.
        beta_2_decay: float < 0; the part of the old means that is kept at step t is
            `1 - t**beta_2_decay`.
        epsilon_1: float, added to the squared gradients.
        epsilon_2: float, the least size of a variable that steps are relative to.
        clip_threshold: float, the largest root mean square of a step before scaling.
        relative_step: whether the rate is at most `1 / sqrt(t)`. NB: of no effect, in
            Keras too: it is, in any case.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: at step t, with `rate = min(rate, 1 / sqrt(t))` and
    `beta = 1 - t**beta_2_decay`

        q = g**2 + epsilon_1
        r = beta r + (1 - beta) mean of q over the last axis         (rows)
        c = beta c + (1 - beta) mean of q over the axis before it    (columns)
        v = r c / mean(r)           (a vector has v = beta v + (1 - beta) q)
        u = g / sqrt(v)
        w -= max(epsilon_2, rms(w)) * rate * u / max(1, rms(u) / clip_threshold)

    **Keeps**: r, c and v for each variable (r and c of a vector are the number 0).

    Reference: Shazeer & Stern 2018, Adafactor, algorithms 4 and 6.

    >>> w = Variable(np.array([1.0, 1.0]), name="w")
    >>> Adafactor(learning_rate=0.5).apply([np.array([0.2, -30.0])], [w])
    >>> w.numpy().round(4)
    array([0.5, 1.5])
    """

    takes_row_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes r, c and `velocity` in turn for each variable."""
        if self.built:
            return
        super().build(variables)
        self._r, self._c, self._v = [], [], []
        for variable in variables:
            for slot, axis in ((self._r, -1), (self._c, -2)):
                slot.append(self._means(variable, axis))
            self._v.append(self.add_variable_from_reference(variable, "velocity"))

    def _means(self, variable: Variable, axis: int) -> Variable:
        """For the means over `axis` of a matrix. NB: for a vector an unused int 0."""
        shape, name = list(variable.shape), variable.name
        if len(shape) < 2:
            unused = Variable(np.zeros((), "int32"), trainable=False, name=name)
            self._track_variable(unused)
            return unused
        del shape[axis]
        return self.add_variable(shape, dtype=variable.dtype, name=name)

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """See `UpdateRule.update_step`: it needs means, so one variable at a time."""
        gradient, squares = parts(gradient)
        dtype = variable.value.dtype
        step = dtype.type(int(self.iterations) + 1)
        relative = 1 / np.sqrt(step)
        rate = np.minimum(cast(learning_rate, dtype), relative)
        size = root_mean_square(variable.value)
        alpha = np.maximum(cast(self.epsilon_2, dtype), size) * rate
        q = (np.square(gradient) if squares is None else squares) + self.epsilon_1
        beta = 1 - in_double(np.power, step, dtype.type(self.beta_2_decay))
        v = self._mean_squares(variable, q, beta)
        update = gradient / np.sqrt(v)
        update_squares = np.square(update) if squares is None else squares / v
        length = np.sqrt(np.mean(update_squares)) / self.clip_threshold
        variable.assign_sub(alpha * (update / np.maximum(dtype.type(1), length)))

    def _mean_squares(self, variable: Variable, q: np.ndarray, beta: Any) -> np.ndarray:
        """Takes q into the running means; what the gradient is divided by, squared."""
        index = self._get_variable_index(variable)
        v = self._v[index]
        if len(variable.shape) < 2:
            v.assign(beta * v.value + (1 - beta) * q)
            return v.value
        r, c = self._r[index], self._c[index]
        r.assign(beta * r.value + (1 - beta) * q.mean(axis=-1))
        c.assign(beta * c.value + (1 - beta) * q.mean(axis=-2))
        rows = r.value / r.value.mean(axis=-1, keepdims=True)
        v.assign(rows[..., :, None] * c.value[..., None, :])  # (.., I, 1) * (.., 1, J)
        return v.value

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.update(
            {
                "beta_2_decay": self.beta_2_decay,
                "epsilon_1": self.epsilon_1,
                "epsilon_2": self.epsilon_2,
                "clip_threshold": self.clip_threshold,
                "relative_step": self.relative_step,
            }
        )
        return config
