"""LearningRateScheduler: a learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.callbacks.callback import Callback
from minikeras.registry import public
from minikeras.utils.io_utils import print_msg


@public("keras.callbacks")
class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: function of the epoch (from 0) and the learning rate up to now, which
            returns the new learning rate, a float. A function of the epoch alone will
            do, too.
        verbose: 1 prints the learning rate.

    Adds `learning_rate` to the logs of each epoch.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Asks `schedule`."""
        optimizer = self.model.optimizer
        if not hasattr(optimizer, "learning_rate"):
            raise ValueError(
                'Optimizer must have a "learning_rate" attribute. Received: '
                f"{type(optimizer)}"
            )
        try:
            learning_rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # a function of the epoch alone
            learning_rate = self.schedule(epoch)
        if not isinstance(learning_rate, float | np.float32 | np.float64):
            raise ValueError(
                "The output of the `schedule` function should be a float. Received: "
                f"{learning_rate!r} of type {type(learning_rate)}"
            )
        optimizer.learning_rate = learning_rate
        if self.verbose > 0:
            print_msg(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to "
                f"{learning_rate}."
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Records it."""
        logs = logs or {}
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
