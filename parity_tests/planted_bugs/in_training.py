"""Slips in losses, optimizers, schedules and metrics, for their own batteries.

`MISTAKES` has for each a check that passes and the same check with the slip in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minikeras import losses, metrics, optimizers
from parity_tests.functions import check_loss
from parity_tests.oracle import keras
from parity_tests.strategies import Values
from parity_tests.updates import check_metric, check_optimizer, check_schedule


@dataclass(frozen=True)
class Mistake:
    """A slip in something that is not a layer."""

    name: str
    check: Callable[[Callable[[], Any]], None]
    right: Callable[[], Any]
    wrong: Callable[[], Any]
    message: str


MISTAKES: list[Mistake] = []


def plant(name: str, check: Any, right: Any, wrong: Any, message: str) -> None:
    """Adds a slip to the list."""
    MISTAKES.append(Mistake(name, check, right, wrong, message))


# --- Losses ---------------------------------------------------------------------------


def _check_loss(make: Callable[[], Any], mask: Any = None) -> None:
    check_loss(
        make,
        keras.losses.MeanSquaredError,
        Values((4, 3), seed=1),
        Values((4, 3), seed=2),
        sample_weight=np.array([1.0, 0.0, 2.0, 0.5]),
        mask=mask,
        dtype="float64",
        name="MeanSquaredError",
    )


def _check_masked_loss(make: Callable[[], Any]) -> None:
    _check_loss(make, np.array([True, False, True, True]))


class _OverWeights(losses.MeanSquaredError):
    def forward(self, y_true, y_pred, sample_weight=None, mask=None, **options):
        denominator = None if sample_weight is None else sample_weight.sum()
        return super().forward(y_true, y_pred, sample_weight, mask, denominator)


class _SumGradient(losses.MeanSquaredError):
    def backward(self, dvalue, residuals):
        return super().backward(dvalue, residuals) * 4


class _HalfGradient(losses.MeanSquaredError):
    def backward(self, dvalue, residuals):
        return super().backward(dvalue, residuals) / 2


class _BackwardOfOne(losses.MeanSquaredError):
    def backward(self, dvalue, residuals):
        return super().backward(1.0, residuals)


class _NoMask(losses.MeanSquaredError):
    def forward(self, y_true, y_pred, sample_weight=None, mask=None, **options):
        return super().forward(y_true, y_pred, sample_weight, None, **options)


_MSE = losses.MeanSquaredError
plant("mean over the weights", _check_loss, _MSE, _OverWeights, "MeanSquaredError: y")
plant("gradient of the sum", _check_loss, _MSE, _SumGradient, "MeanSquaredError: dx")
plant("factor 2 forgotten", _check_loss, _MSE, _HalfGradient, "MeanSquaredError: dx")
plant("dvalue ignored", _check_loss, _MSE, _BackwardOfOne, "MeanSquaredError: dx")
plant("mask ignored", _check_masked_loss, _MSE, _NoMask, "MeanSquaredError: y")

# --- Optimizers and schedules ---------------------------------------------------------


def _check_adam(make: Callable[[], Any]) -> None:
    check_optimizer(make, keras.optimizers.Adam, dtype="float64", name="Adam")


def _check_sgd(make: Callable[[], Any]) -> None:
    check_optimizer(
        make,
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        dtype="float64",
        name="SGD",
    )


class _Spoiled:
    """An optimizer whose update is followed by `spoil(before, variable, ...)`."""

    def __init__(self, inner: Any, spoil: Callable[..., Any]):
        self.inner, self.spoil = inner, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def apply(self, grads: Any, variables: Any) -> None:
        before = [v.numpy() for v in variables]
        self.inner.apply(grads, variables)
        self.spoil(self.inner, before, variables)


def _epsilon_inside(adam: Any, before: list, variables: list) -> None:
    step = float(adam.iterations)
    rate = float(adam.learning_rate)
    beta_1, beta_2 = float(np.float32(0.9)), float(np.float32(0.999))
    rate *= np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    states = adam.variables[2:]
    for i, (start, variable) in enumerate(zip(before, variables, strict=True)):
        m, v = states[2 * i].value, states[2 * i + 1].value
        variable.assign(start - rate * m / np.sqrt(v + adam.epsilon**2))


def _forget_step(optimizer: Any, before: list, variables: list) -> None:
    optimizer.iterations.assign(0)


def _twice(optimizer: Any, before: list, variables: list) -> None:
    for start, variable in zip(before, variables, strict=True):
        variable.assign(variable.value + (variable.value - start))


def _momentum_decays_late(optimizer: Any, before: list, variables: list) -> None:
    for state in optimizer.variables[2:]:
        state.assign(state.value * 0.9)


_ADAM, _SGD = optimizers.Adam, lambda: optimizers.SGD(0.1, momentum=0.9)
plant(
    "Adam: epsilon inside the root",
    _check_adam,
    _ADAM,
    lambda: _Spoiled(_ADAM(), _epsilon_inside),
    "w0, step",
)
plant(
    "step not counted",
    _check_adam,
    _ADAM,
    lambda: _Spoiled(_ADAM(), _forget_step),
    "iteration",
)
plant("updated twice", _check_sgd, _SGD, lambda: _Spoiled(_SGD(), _twice), "w0, step")
plant(
    "momentum decays after the step",
    _check_sgd,
    _SGD,
    lambda: _Spoiled(_SGD(), _momentum_decays_late),
    "momentum",
)
plant(
    "another epsilon",
    _check_adam,
    _ADAM,
    lambda: optimizers.Adam(epsilon=1e-8),
    "w0, step",
)


def _check_schedule(make: Callable[[], Any]) -> None:
    make_keras = keras.optimizers.schedules.ExponentialDecay
    check_schedule(make, lambda: make_keras(0.1, 10, 0.9), name="ExponentialDecay")


class _OneLate(optimizers.schedules.ExponentialDecay):
    def __call__(self, step):
        return super().__call__(step + 1)


plant(
    "schedule read one step late",
    _check_schedule,
    lambda: optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
    lambda: _OneLate(0.1, 10, 0.9),
    "at step 0",
)

# --- Metrics --------------------------------------------------------------------------


def _check_metric(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(3)
    weights = np.array([1.0, 0.0, 2.0])
    updates = [
        (rng.standard_normal((n, 2)), rng.standard_normal((n, 2)), weights[:n])
        for n in (3, 1, 2)
    ]
    make_keras = keras.metrics.MeanSquaredError
    check_metric(make, make_keras, updates, dtype="float32", name="MeanSquaredError")


class _MeanOfMeans(metrics.MeanSquaredError):
    def update_state(self, y_true, y_pred, sample_weight=None):
        mean = np.average(np.mean((y_true - y_pred) ** 2, -1), weights=sample_weight)
        self.total.assign_add(mean)
        self.count.assign_add(1)


class _NeverReset(metrics.MeanSquaredError):
    def reset_state(self):
        pass


_METRIC = metrics.MeanSquaredError
plant("mean of means", _check_metric, _METRIC, _MeanOfMeans, "after update")
plant("not reset", _check_metric, _METRIC, _NeverReset, "after reset_state")
