"""Callbacks that write files: names, bytes, and what a crash leaves behind."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import callbacks
from parity_tests.callback_runs import (
    LOSSES,
    PAIR,
    Logs,
    Model,
    assert_same_run,
    drive,
)
from parity_tests.oracle import keras


@given(
    losses=LOSSES,
    batches=st.integers(0, 4),
    weights_only=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "monitor": st.sampled_from(["loss", "absent"]),
            "verbose": st.integers(0, 1),
            "save_best_only": st.booleans(),
            "mode": st.sampled_from(["min", "max"]),
            "save_freq": st.sampled_from(["epoch", 1, 3, 5]),
            "initial_value_threshold": st.sampled_from([None, 0.45]),
        }
    ),
)
def test_model_checkpoint(
    tmp_path_factory: Any,
    losses: list[float],
    batches: int,
    weights_only: bool,
    options: Any,
) -> None:
    # NB: Keras compares within its first epoch before it knows how, and fails.
    options["save_best_only"] &= options["save_freq"] == "epoch"
    extension = "weights.h5" if weights_only else "keras"
    name = "{epoch:02d}-{loss:.2f}" if options["save_freq"] == "epoch" else "{batch}"
    folder = tmp_path_factory.mktemp("checkpoints") / "new" / "{epoch}"
    options["filepath"] = folder / f"{name}.{extension}"
    options["save_weights_only"] = weights_only
    epochs = [{"loss": loss} for loss in losses]
    assert_same_run("ModelCheckpoint", options, epochs, batches=batches)


def test_model_checkpoint_file_names() -> None:
    checkpoint = callbacks.ModelCheckpoint("{epoch:02d}-{val_loss:.2f}.keras")
    run = drive(checkpoint, [{"loss": 1.0, "val_loss": 0.256}] * 2)
    assert [s[1] for s in run["saved"]] == ["01-0.26.keras", "02-0.26.keras"]


def test_model_checkpoint_saves_the_best_between_epochs_too() -> None:
    checkpoint = callbacks.ModelCheckpoint(
        "{batch}.keras", "loss", save_best_only=True, save_freq=1
    )
    model = Model()
    checkpoint.set_model(model)
    for batch, loss in enumerate([3.0, 2.0, 2.5, 1.0]):
        checkpoint.on_train_batch_end(batch, logs={"loss": loss})
    assert [s[1] for s in model.saved] == ["1.keras", "2.keras", "4.keras"]


BAD_CHECKPOINTS = [
    ({"filepath": "x.weights.h5", "save_freq": "batch"}, "save_freq"),
    ({"filepath": "x.keras", "save_weights_only": True}, r"end in `\.weights\.h5`"),
    ({"filepath": "x.npz"}, r"end in `\.keras`"),
]


@pytest.mark.parametrize(("options", "message"), BAD_CHECKPOINTS)
def test_model_checkpoint_bad_arguments(options: Any, message: str) -> None:
    for library in PAIR:
        with pytest.raises(ValueError, match=message):
            library.ModelCheckpoint(**options)


def test_model_checkpoint_unusable_paths(tmp_path: Any) -> None:
    (tmp_path / "folder.keras").mkdir()
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "folder.keras")
    with pytest.raises(OSError, match="non-directory"):
        drive(checkpoint, [{"loss": 1.0}])
    for library in PAIR:
        checkpoint = library.ModelCheckpoint("{acc:.2f}.keras")
        with pytest.raises(KeyError, match="Failed to format this callback filepath"):
            drive(checkpoint, [{"loss": 1.0}])


VALUES = (
    st.floats() | st.integers(-9, 9) | st.sampled_from(["text", np.arange(3), (1, 2.5)])
)


@given(
    epochs=st.lists(
        st.dictionaries(st.sampled_from(["loss", "b", "val_loss"]), VALUES),
        min_size=1,
        max_size=4,
    ),
    separator=st.sampled_from([",", ";", "\t"]),
    append=st.booleans(),
    header=st.sampled_from([None, "", "epoch,loss\r\n"]),
)
def test_csv_logger(
    tmp_path_factory: Any,
    epochs: list[Logs],
    separator: str,
    append: bool,
    header: str | None,
) -> None:
    contents = []
    for library in PAIR:
        path = tmp_path_factory.mktemp("csv") / "log.csv"
        if header is not None:
            path.write_text(header, newline="")
        logger = library.CSVLogger(path, separator=separator, append=append)
        drive(logger, epochs, fits=2)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


class Disk:
    """A model whose weights are one number, and a disk that fails at the n-th write."""

    def __init__(self, fails_at: int, monkeypatch: pytest.MonkeyPatch):
        self.left = fails_at
        self.built, self.optimizer, self._initial_epoch = True, None, None
        self.weights = 0
        replace = os.replace
        monkeypatch.setattr(os, "replace", lambda a, b: (self.step(), replace(a, b)))

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def save_weights(self, filepath: str, overwrite: bool = False) -> None:
        with open(filepath, "w") as file:  # a file that may remain half written
            file.write("broken")
            file.flush()
            self.step()
            file.seek(0)
            file.write(f"weights {self.weights}")

    def load_weights(self, filepath: str) -> None:
        with open(filepath) as file:
            text = file.read()
        if not text.startswith("weights "):
            raise ValueError(f"damaged: {text}")
        self.weights = int(text.split()[1])


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("fails_at", range(1, 30))
def test_a_backup_is_whole_wherever_it_is_cut_off(
    fails_at: int, double: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of epoch n are the number n: after a restart they must agree."""
    folder = tmp_path / "backup"

    def fit(fails_at: int) -> tuple[int, int]:
        with monkeypatch.context() as patch:
            model = Disk(fails_at, patch)
            callback = callbacks.BackupAndRestore(folder, double_checkpoint=double)
            callback.set_model(model)
            callback.on_train_begin()
            start, weights = model._initial_epoch or 0, model.weights
            assert weights == start
            for epoch in range(start, 5):
                model.weights = epoch + 1
                callback.on_epoch_end(epoch)
            callback.on_train_end()
        return start, model.weights

    for attempt in (fails_at, fails_at + 1, 10**6):
        try:
            _, weights = fit(attempt)
        except KeyboardInterrupt:
            continue
        assert weights == 5
    assert not folder.exists()


def test_backups_by_batches_and_what_is_left(tmp_path: Any, monkeypatch: Any) -> None:
    folder = tmp_path / "backup"
    model = Disk(-1, monkeypatch)
    callback = callbacks.BackupAndRestore(
        folder, save_freq=3, double_checkpoint=True, delete_checkpoint=False
    )
    callback.set_model(model)
    callback.on_train_begin()
    saved = []
    for epoch in range(3):
        for batch in range(4):
            model.weights += 1
            callback.on_train_batch_end(batch)
            path = folder / "latest.weights.h5"
            saved.append(path.read_text() if path.exists() else "")
        callback.on_epoch_end(epoch)
    changes = [i + 1 for i in range(1, 12) if saved[i] != saved[i - 1]]
    theirs = keras.callbacks.BackupAndRestore("unused", save_freq=3)
    expected = []
    for step in range(12):
        if theirs._should_save_on_batch(step % 4):
            expected.append(step + 1)
        if step % 4 == 3:
            theirs._last_batch_seen = 0
    assert changes == expected
    callback.on_train_end()
    names = ["latest.weights.h5", "training_metadata.json"]
    assert sorted(os.listdir(folder)) == sorted([*names, *(f"{n}.bkp" for n in names)])
    # The last backup is damaged: the one before counts.
    (folder / names[0]).write_text("damaged")
    model = Disk(-1, monkeypatch)
    callback = callbacks.BackupAndRestore(folder)
    callback.set_model(model)
    callback.on_train_begin()
    assert model.weights == changes[-2]
    assert model._initial_epoch == (changes[-2] - 1) // 4
    (folder / "mine.txt").write_text("not to be deleted")
    callback.on_train_end()
    assert os.listdir(folder) == ["mine.txt"]


def test_backup_bad_input(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in PAIR:
        with pytest.raises(ValueError, match="Empty `backup_dir`"):
            library.BackupAndRestore("")
        with pytest.raises(ValueError, match=r"save_freq='?batch"):
            library.BackupAndRestore("x", save_freq="batch")
        callback = library.BackupAndRestore(str(tmp_path))
        callback.set_model(SimpleNamespace(built=False, name="model"))
        with pytest.raises(ValueError, match="must be built"):
            callback.on_train_begin()
    for text in ("", "[]", '{"epoch": "2"}', '{"epoch": -1}', "[" * 5000):
        (tmp_path / "training_metadata.json").write_text(text)
        callback = callbacks.BackupAndRestore(tmp_path)
        callback.set_model(Disk(-1, monkeypatch))
        with pytest.raises(ValueError, match=r"training_metadata\.json"):
            callback.on_train_begin()
