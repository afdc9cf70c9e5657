"""Slips in normalization and dropout: statistics, epsilons, random masks."""

from __future__ import annotations

import numpy as np

from minikeras.gradients import Gradients
from parity_tests.planted_bugs.planting import (
    Specimen,
    input_gradient,
    outputs,
    plant,
)
from parity_tests.strategies import Values

# --- Normalization --------------------------------------------------------------------

NORM = Specimen("BatchNormalization", {}, Values((4, 4), seed=6))
NORM_TRAINING = Specimen(
    "BatchNormalization", {}, Values((5, 3), seed=6), {"training": True}
)


def _epsilon_outside(self, y):
    variance = self.moving_variance.value
    ratio = np.sqrt(variance + self.epsilon) / (np.sqrt(variance) + self.epsilon)
    return (y - self.beta.value) * ratio + self.beta.value


plant(
    "epsilon outside the root",
    NORM,
    "batch_normalization: y",
    forward=outputs(_epsilon_outside),
)
plant(
    "mean and variance taken for constants",
    NORM_TRAINING,
    "batch_normalization: dx",
    backward=lambda self, original, dy, residuals, grads, **options: (
        original(dy, residuals, grads, **options) * 0
        + dy * self.gamma.value / np.sqrt(NORM_TRAINING.inputs().var(0) + self.epsilon)
    ),
)


def _unbiased(self, original, x, *args, **kwargs):
    before = self.moving_variance.numpy()
    result = original(x, *args, **kwargs)
    if kwargs.get("training"):
        n = len(x)
        batch = (self.moving_variance.numpy() - before * self.momentum) * n / (n - 1)
        self.moving_variance.assign(before * self.momentum + batch)
    return result


plant(
    "moving variance unbiased",
    NORM_TRAINING,
    "moving_variance afterwards",
    options={"numeric": False},
    forward=_unbiased,
)


def _moves_always(self, original, x, *args, **kwargs):
    result = original(x, *args, **kwargs)
    self.moving_mean.assign(self.moving_mean.value * 0.99)
    return result


plant(
    "moving mean moves in inference",
    NORM,
    "moving_mean after",
    forward=_moves_always,
)


def _wrong_axis(self, original, dy, residuals, grads, **options):
    collected = Gradients(self.trainable_weights)
    dx = original(dy, residuals, collected, **options)
    for variable, gradient in collected.items():
        wrong = dy.sum(axis=1) if variable.name == "beta" else gradient
        grads.add(variable, wrong)
    return dx


plant(
    "beta gradient summed over the wrong axis",
    NORM,
    "d batch_normalization/beta",
    options={"empty_batch": False},
    backward=_wrong_axis,
)

# --- Dropout --------------------------------------------------------------------------

DROPOUT = Specimen(
    "Dropout", {"rate": 0.4, "seed": 3}, Values((4, 5), seed=7), {"training": True}
)

plant(
    "dropout: not scaled up",
    DROPOUT,
    "dropout: y",
    forward=outputs(lambda self, y: y * (1 - self.rate)),
    backward=input_gradient(lambda dx: dx * 0.6),
)
plant(
    "dropout: another mask on the way back",
    DROPOUT,
    "dropout: dx",
    backward=lambda self, original, dy, residuals, grads, **options: original(
        dy[::-1], residuals, grads, **options
    )[::-1],
)


def _always_training(self, original, x, **kwargs):
    return original(x, **{**kwargs, "training": True})


plant(
    "dropout: active in inference",
    Specimen("Dropout", {"rate": 0.4, "seed": 3}, Values((4, 5), seed=7)),
    "dropout: y",
    forward=_always_training,
)


def _seed_put_back(self, original, x, **kwargs):
    state = self.seed_generator.state
    before = state.numpy()
    result = original(x, **kwargs)
    state.assign(before)
    return result


plant(
    "dropout: seed not advanced",
    DROPOUT,
    "seed_generator_state afterwards",
    forward=_seed_put_back,
)
