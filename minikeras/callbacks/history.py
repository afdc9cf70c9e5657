"""History: what the metrics were after each epoch."""

from __future__ import annotations

from typing import Any

from minikeras.callbacks.callback import Callback
from minikeras.registry import public


@public("keras.callbacks")
class History(Callback):
    """Records the logs of every epoch. `fit` adds one, and returns it.

    Attributes:
        history: dict from metric names to lists with one value per epoch.
        epoch: the epochs of the last `fit`, counted from 0.
        params: `verbose`, `epochs` and `steps`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts a new list of epochs; the values of an earlier `fit` stay."""
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Appends the values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
