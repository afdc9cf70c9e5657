"""Muon: momentum whose steps are made orthogonal, for the matrices of a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import config as settings
from minikeras.optimizers import blocks
from minikeras.optimizers.adam import adam_step, corrected_rate
from minikeras.optimizers.optimizer import Optimizer
from minikeras.optimizers.scalars import cast
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from minikeras.registry import public
from minikeras.variables import Variable


def orthogonalized(
    x: np.ndarray, steps: int, coefficients: tuple[float, float, float]
) -> np.ndarray:
    """Nearly the orthogonal matrix that is nearest to a multiple of x.

    With x = U S V', each step applies `a s + b s**3 + c s**5` to every singular value
    s, which takes all of them, large or small, into the neighbourhood of 1: U V' is
    what remains. A product of matrices is all that it takes.

    >>> x = np.array([[3.0, 0.0], [0.0, 0.5]])
    >>> orthogonalized(x, 5, (3.4445, -4.7750, 2.0315)).round(1)
    array([[0.7, 0. ],
           [0. , 1. ]])
    """
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (np.sqrt(np.square(x).sum()) + 1e-7)  # no singular value above 1
    for _ in range(steps):
        squares = x @ x.T
        x = a * x + (b * squares + (c * squares) @ squares) @ x
    return x.T if tall else x


@public("keras.optimizers")
class Muon(Optimizer):
    """Momentum with orthogonal steps for matrices, AdamW for everything else.

    A step that is orthogonal changes the layer equally in all directions, those with
    small gradients too. It is meant for the matrices inside a model; biases, kernels
    of convolutions, embeddings and, if named in `exclude_layers`, the last layer get
    Adam's steps.

    Args:
        learning_rate: float, schedule or callable.
        adam_beta_1, adam_beta_2, epsilon: of Adam, see there.
        adam_weight_decay: float or None, the weight decay of Adam's variables.
        weight_decay: float or None, that of Muon's.
        exclude_layers: list of regular expressions, searched for in the paths of
            variables: these get Adam's steps.
        exclude_embeddings: whether those with "embedding" in their path do, too.
        muon_a, muon_b, muon_c: the polynomial of `orthogonalized`.
        adam_lr_ratio: float, by which the rate is multiplied for Adam.
        momentum: float, the part of the old momentum that is kept.
        ns_steps: int, how often the polynomial is applied.
        nesterov: whether to look one step of the momentum ahead.
        rms_rate: float: the steps get this root mean square, about that of Adam's
            (times the rate). None: their singular values stay about 1.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name: see `Optimizer`.

    **Formula**: for matrices of shape (p, q)

        m = momentum * m + g
        u = g + momentum * m                          (nesterov; else m)
        w -= rate * orthogonalized(u) * sqrt(max(p, q)) * rms_rate

    **Keeps**: m for each variable, as `momentum`, followed by `velocity` for those
    that get Adam's steps.

    Reference: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural
    networks; Liu et al. 2025, Muon is scalable for LLM training, section 2.2
    (`rms_rate` and weight decay).

    >>> w = Variable(np.eye(2), name="w")
    >>> Muon(learning_rate=0.5, weight_decay=None, rms_rate=None).apply(
    ...     [np.array([[0.3, 0.0], [0.0, 0.1]])], [w]
    ... )
    >>> w.numpy().round(2)
    array([[0.62, 0.  ],
           [0.  , 0.43]])
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any] = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = exclude_layers or []
        self.exclude_embeddings = exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _is_for_adam(self, variable: Variable) -> bool:
        """Whether a variable is no matrix, or excluded by its path."""
        if len(variable.shape) != 2:
            return True
        if self.exclude_embeddings and "embedding" in variable.path.lower():
            return True
        return any(re.search(key, variable.path) for key in self.exclude_layers)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes `momentum` for each variable, and `velocity` for those of Adam."""
        if self.built:
            return
        super().build(variables)
        self.momentums: list[Any] = [None] * len(variables)
        self.adam_velocities: list[Any] = [None] * len(variables)
        for i, variable in enumerate(variables):
            if variable.overwrite_with_gradient:
                continue
            add = self.add_variable_from_reference
            self.momentums[i] = add(variable, "momentum")
            if self._is_for_adam(variable):
                self.adam_velocities[i] = add(variable, "velocity")

    def update_step(
        self, gradient: np.ndarray, variable: Variable, learning_rate: Any
    ) -> None:
        """See `UpdateRule.update_step`: of matrices, so one variable at a time."""
        index = self._get_variable_index(variable)
        momentum, velocity = self.momentums[index], self.adam_velocities[index]
        if velocity is None:
            self._orthogonal_step(gradient, variable, learning_rate, momentum)
            return
        dtype = variable.value.dtype
        betas = [cast(b, dtype) for b in (self.adam_beta_1, self.adam_beta_2)]
        rate = cast(learning_rate * self.adam_lr_ratio, dtype)
        scalars = {
            "rate": corrected_rate(rate, *betas, int(self.iterations) + 1),
            "beta_1": float(self.adam_beta_1),
            "beta_2": float(self.adam_beta_2),
            "epsilon": float(self.epsilon),
        }
        state = (momentum, velocity, None)
        pieces = blocks.pieces(adam_step, variable, gradient, None, *state, **scalars)
        blocks.run(pieces)

    def _orthogonal_step(
        self, g: np.ndarray, variable: Variable, learning_rate: Any, momentum: Variable
    ) -> None:
        momentum.assign_add(g + momentum.value * (self.momentum - 1))
        u = g + self.momentum * momentum.value if self.nesterov else momentum.value
        coefficients = (self.muon_a, self.muon_b, self.muon_c)
        step = orthogonalized(u, self.ns_steps, coefficients)
        # NB: here, and here only, Keras does not take a Python float through float32.
        rate = learning_rate
        step = (rate if type(rate) is float else cast(rate, g.dtype)) * step
        if self.rms_rate is not None:
            # NB: Keras takes the root of an integer in floatx.
            root = np.sqrt(np.asarray(max(g.shape), settings.floatx()))
            step = step * root.astype(g.dtype) * self.rms_rate
        variable.assign_sub(step)

    def _apply_weight_decay(self, variables: list[Variable], rate: Any) -> None:
        """That of Adam's variables, and that of Muon's."""
        own = self.weight_decay
        for for_adam, decay in ((True, self.adam_weight_decay), (False, own)):
            chosen = [v for v in variables if self._is_for_adam(v) == for_adam]
            self.weight_decay = decay
            super()._apply_weight_decay(chosen, rate)
        self.weight_decay = own

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = (
            "adam_beta_1 adam_beta_2 epsilon exclude_layers muon_a muon_b muon_c "
            "adam_lr_ratio momentum ns_steps nesterov exclude_embeddings "
            "adam_weight_decay rms_rate"
        ).split()
        return super().get_config() | {name: getattr(self, name) for name in names}
