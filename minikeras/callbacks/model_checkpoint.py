"""ModelCheckpoint: saves the model while it is trained."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minikeras.callbacks.monitor_callback import MonitorCallback
from minikeras.messages import warn
from minikeras.registry import public
from minikeras.utils.io_utils import print_msg


@public("keras.callbacks")
class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after epochs or every so many batches.

    Args:
        filepath: path of the file, `.keras` or `.h5`, or `.weights.h5` with
            `save_weights_only`. It may hold fields for `epoch` (from 1), `batch` and
            the logs: `"{epoch:02d}-{val_loss:.2f}.keras"`. Folders are made.
        monitor: the metric to watch, as it is called in `history.history`.
        verbose: 1 prints what is done.
        save_best_only: save only if the metric has improved.
        save_weights_only: `model.save_weights` instead of `model.save`.
        mode: "min", "max" or "auto" (by the metric).
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: the value that the first saved model must beat.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._batches_seen_since_last_saving = 0
        self._last_batch_seen: int | None = None
        self._current_epoch = 0
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                "Unrecognized save_freq. Expected 'epoch' or an integer number of "
                f"batches. Received: save_freq={save_freq!r}"
            )
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the "
                "filepath provided must end in `.weights.h5` (Keras weights format). "
                f"Received: filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            raise ValueError(
                "The filepath provided must end in `.keras` (Keras model format). "
                f"Received: filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remembers the epoch for the file name."""
        self._current_epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Saves, if it is time."""
        if self._should_save_on_batch(batch):
            self._save_model(self._current_epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves, if it is time."""
        if self.monitor_op is None:
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save_model(epoch, None, logs)

    def _should_save_on_batch(self, batch: int) -> bool:
        if self.save_freq == "epoch":
            return False
        if self._last_batch_seen is None or batch <= self._last_batch_seen:
            self._batches_seen_since_last_saving += batch + 1  # a new epoch
        else:
            self._batches_seen_since_last_saving += batch - self._last_batch_seen
        self._last_batch_seen = batch
        if self._batches_seen_since_last_saving < self.save_freq:
            return False
        self._batches_seen_since_last_saving = 0
        return True

    def _save_model(
        self, epoch: int, batch: int | None, logs: dict[str, Any] | None
    ) -> None:
        logs = logs or {}
        filepath = self._get_file_path(epoch, batch, logs)
        if not self._should_save_model(epoch, logs, filepath):
            return
        if os.path.isdir(filepath):
            raise OSError(
                "Please specify a non-directory filepath for ModelCheckpoint. "
                f"Received: {filepath}, which is an existing directory."
            )
        folder = os.path.dirname(filepath)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(filepath, overwrite=True)
        else:
            self.model.save(filepath, overwrite=True)
        self._say(epoch, f"finished saving model to {filepath}")

    def _should_save_model(
        self, epoch: int, logs: dict[str, Any], filepath: str
    ) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {filepath}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warn(
                f"Can save best model only with {self.monitor} available. Available "
                f"metrics are: {','.join(logs)}",
            )
            return True
        if np.ndim(current) > 0:
            warn(
                "Can save best model only when `monitor` is a scalar value. Received: "
                f"{current}. Falling back to `save_best_only=False`.",
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if self.monitor_op is None:  # the first save can come before the first epoch
            self._set_monitor_op()
        if not self._is_improvement(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._say(
            epoch,
            f"{self.monitor} improved from {best} to {current:.5f}, saving model to "
            f"{filepath}",
        )
        self.best = current
        return True

    def _say(self, epoch: int, message: str) -> None:
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: {message}")

    def _get_file_path(
        self, epoch: int, batch: int | None, logs: dict[str, Any]
    ) -> str:
        """The path with its fields filled in; epochs and batches count from 1."""
        fields = {"epoch": epoch + 1}
        if batch is not None and "batch" not in logs:
            fields["batch"] = batch + 1
        try:
            return self.filepath.format(**fields, **logs)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". There is '
                f"no {error}; available are: {', '.join([*fields, *logs])}"
            ) from error
