"""BackupAndRestore: training that survives an interruption."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from minikeras.callbacks.callback import Callback
from minikeras.registry import public
from minikeras.saving.atomic import atomic_path

_WEIGHTS, _METADATA = "latest.weights.h5", "training_metadata.json"


@public("keras.callbacks")
class BackupAndRestore(Callback):
    """Backs up weights, optimizer state and epoch; `fit` goes on from there.

    Run the same script again after a crash: `fit` restores the last backup and starts
    with the epoch after it. When `fit` comes to its end, the backup is deleted.

    Args:
        backup_dir: a folder for the backup alone. The files are those of Keras.
        save_freq: "epoch", or a number of batches. (A backup in the middle of an epoch
            repeats that epoch.)
        double_checkpoint: keep the backup before the last one, too, for the case that
            the last one cannot be read.
        delete_checkpoint: whether to delete the backup at the end.

    A backup is two files, which must belong together. They are written under other
    names, `next...`, the small one last, and then renamed. Whenever that is cut off,
    either the old pair is whole or the new one is, and `on_train_begin` finds out:

        next metadata   next weights
        missing         any           not all was written: the old pair counts
        there           there         nothing was renamed: rename both
        there           missing       the weights were renamed: rename the metadata
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._batches_seen_since_last_saving = 0
        self._last_batch_seen = 0
        self._current_epoch = 0
        if not backup_dir:
            raise ValueError(
                f"Empty `backup_dir` argument passed. Received: {backup_dir!r}"
            )
        self.backup_dir = os.fspath(backup_dir)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                "Invalid value for argument `save_freq`. Expected either 'epoch' or an "
                f"integer value. Received: save_freq={save_freq!r}"
            )

    def _path(self, name: str) -> str:
        return os.path.join(self.backup_dir, name)

    # --- Restoring

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the last backup, if there is one."""
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, your model must be built before "
                f"you call `fit()`. Received: model {self.model.name!r}, which is not "
                "built. Call `model.build(input_shape)`, or call the model on a batch."
            )
        self._finish_renaming()
        try:
            self._load()
        except (OSError, ValueError):
            if not os.path.exists(self._path(_WEIGHTS + ".bkp")):
                raise
            self._remove(_METADATA)
            for name in (_WEIGHTS, _METADATA):
                self._copy(name + ".bkp", name)
            self._load()

    def _finish_renaming(self) -> None:
        """Brings the files into one state after an interruption (see the class)."""
        if os.path.exists(self._path("next." + _METADATA)):
            self._commit()
        else:
            self._remove("next." + _WEIGHTS)

    def _load(self) -> None:
        if os.path.exists(self._path(_WEIGHTS)):
            optimizer = self.model.optimizer
            if optimizer is not None and not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self._path(_WEIGHTS))
        if os.path.exists(self._path(_METADATA)):
            self.model._initial_epoch = self._read_epoch()

    def _read_epoch(self) -> int:
        path = self._path(_METADATA)
        with open(path, encoding="utf-8") as file:
            text = file.read(4096)  # two small numbers
        try:
            epoch = json.loads(text)["epoch"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is not the record of a backup.") from error
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(
                f"{path}: expected `epoch` to be a number of epochs. Received: {epoch}"
            )
        return epoch

    def _remove(self, name: str) -> None:
        if os.path.exists(self._path(name)):
            os.remove(self._path(name))

    # --- Saving

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves, if it is time."""
        self._current_epoch = epoch + 1
        self._last_batch_seen = 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Saves, if it is time."""
        if self._should_save_on_batch(batch):
            self._save()

    def _should_save_on_batch(self, batch: int) -> bool:
        if self.save_freq == "epoch":
            return False
        if batch <= self._last_batch_seen:
            self._batches_seen_since_last_saving += batch + 1  # a new epoch
        else:
            self._batches_seen_since_last_saving += batch - self._last_batch_seen
        self._last_batch_seen = batch
        if self._batches_seen_since_last_saving < self.save_freq:
            return False
        self._batches_seen_since_last_saving = 0
        return True

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        self._remove("next." + _METADATA)  # it would vouch for weights yet to come
        if self.double_checkpoint and os.path.exists(self._path(_WEIGHTS)):
            for name in (_WEIGHTS, _METADATA):
                self._copy(name, name + ".bkp")
        self.model.save_weights(self._path("next." + _WEIGHTS), overwrite=True)
        record = {"epoch": self._current_epoch, "batch": self._last_batch_seen}
        with atomic_path(self._path("next." + _METADATA)) as path:
            path.write_text(json.dumps(record), encoding="utf-8")
        self._commit()

    def _commit(self) -> None:
        """Renames what is complete: the weights first, the metadata last."""
        for name in (_WEIGHTS, _METADATA):
            if os.path.exists(self._path("next." + name)):
                os.replace(self._path("next." + name), self._path(name))

    def _copy(self, source: str, target: str) -> None:
        if os.path.exists(self._path(source)):
            with atomic_path(self._path(target)) as path:
                shutil.copyfile(self._path(source), path)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Deletes the backup.

        NB: Keras deletes the folder with everything in it. Here it goes only if nothing
        but the backup was in it.
        """
        if not self.delete_checkpoint or not os.path.isdir(self.backup_dir):
            return
        for name in os.listdir(self.backup_dir):
            if _is_ours(name):
                self._remove(name)
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)


def _is_ours(name: str) -> bool:
    """The pair, its `.bkp` and `next.` forms, and what a killed process left half."""
    for own in (_WEIGHTS, _METADATA):
        if name in (own, f"{own}.bkp", f"next.{own}"):
            return True
        if name.startswith((f".{own}.", f".next.{own}.")) and name.endswith(".tmp"):
            return True
    return False
