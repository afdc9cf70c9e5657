"""Learning rate schedules: `keras.optimizers.schedules`."""

from __future__ import annotations

from typing import Any

from minikeras.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from minikeras.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from minikeras.optimizers.schedules.learning_rate_schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as a plain dict, in Keras's form."""
    from minikeras.serialization import serialize_keras_object

    return serialize_keras_object(learning_rate_schedule)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule that `serialize` described; `module` may be missing.

    >>> deserialize({"class_name": "ExponentialDecay", "config": {
    ...     "initial_learning_rate": 0.5, "decay_steps": 1, "decay_rate": 0.5}})(1)
    np.float32(0.25)
    """
    from minikeras.serialization import deserialize_keras_object

    config = {"module": "keras.optimizers.schedules", **config}
    return deserialize_keras_object(config, custom_objects=custom_objects)
