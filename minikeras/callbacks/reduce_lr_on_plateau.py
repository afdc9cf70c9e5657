"""ReduceLROnPlateau: smaller steps when a metric no longer improves."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.callbacks.monitor_callback import MonitorCallback
from minikeras.messages import warn
from minikeras.registry import public
from minikeras.utils.io_utils import print_msg


@public("keras.callbacks")
class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs on a plateau.

    Args:
        monitor: the metric to watch, as it is called in `history.history`.
        factor: below 1; new learning rate = factor * old one.
        patience: epochs without improvement that are tolerated.
        verbose: 1 prints what is done.
        mode: "min", "max" or "auto" (by the metric).
        min_delta: smaller changes are no improvement.
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: the learning rate does not fall below it.

    Adds `learning_rate` to the logs of each epoch.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if kwargs:  # NB: Keras ignores them
            raise TypeError(
                "ReduceLROnPlateau does not know these arguments. Received: "
                f"{sorted(kwargs)}"
            )
        if factor >= 1.0:
            raise ValueError(
                "ReduceLROnPlateau does not support a factor >= 1.0. Received: "
                f"factor={factor}"
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets an earlier `fit`."""
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares with the best epoch, and perhaps reduces the learning rate."""
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = logs or {}
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` "
                f"which is not available. Available metrics are: {','.join(logs)}.",
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Returns whether the learning rate could still be reduced."""
        old = float(self.model.optimizer.learning_rate)
        if old <= np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print_msg(
                f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to "
                f"{new}."
            )
        return True

    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that epochs do not count yet."""
        return self.cooldown_counter > 0
