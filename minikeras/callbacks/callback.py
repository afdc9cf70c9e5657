"""Callback: the base class, with all hooks empty."""

from __future__ import annotations

from typing import Any

from minikeras.messages import Checked
from minikeras.registry import public


@public("keras.callbacks")
class Callback(Checked):
    """Something to be done at certain moments of `fit`, `evaluate` and `predict`.

    Subclass it and override the hooks you need; a hook that nobody overrides costs
    nothing.

    Attributes:
        params: dict with `verbose`, `epochs` and `steps` of the running loop.
        model: the model that runs.

    `logs` is a dict from metric names to numbers: what is known at that moment. What is
    added to it in `on_epoch_end` is seen by the callbacks that follow, History being
    the last but one.

    >>> class Announce(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch}: {logs['loss']}")
    >>> Announce().on_epoch_end(0, {"loss": 0.5})
    epoch 0: 0.5
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Receives `params` before the loop begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives the model before the loop begins."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that runs."""
        return self._model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when `fit` begins."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when `fit` ends, with the logs of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before an epoch of `fit`; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after an epoch, with its metrics and, under `val_`, validation's."""

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called before a batch of `fit`; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called after a batch, with the metrics of the epoch up to it."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when `evaluate`, or the validation of an epoch, begins."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when it ends, with its metrics."""

    def on_test_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Called after it, with the metrics up to it."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called when `predict` begins."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called when `predict` ends."""

    def on_predict_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called after it; `logs["outputs"]` are the predictions."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
BATCH_HOOKS = tuple(name for name in HOOKS if "batch" in name)
# Two hooks may be overridden under an older name too.
_OLDER_NAMES = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
}


def overrides(callback: Any, hook: str) -> bool:
    """Whether calling this hook of `callback` does anything.

    >>> class Mine(Callback):
    ...     def on_batch_end(self, batch, logs=None):
    ...         pass
    >>> overrides(Mine(), "on_train_batch_end"), overrides(Mine(), "on_test_begin")
    (True, False)
    """
    method = getattr(callback, hook)
    if getattr(method, "__func__", method) is not getattr(Callback, hook):
        return True
    return hook in _OLDER_NAMES and overrides(callback, _OLDER_NAMES[hook])
