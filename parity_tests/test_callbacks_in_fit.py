"""Callbacks and datasets in real training runs, beside the same runs of Keras."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from itertools import chain
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal, assert_trajectory_close

# Keras converts its own variables in a way that NumPy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
PAIR = (minikeras, keras)
X = np.random.default_rng(0).normal(size=(50, 4))
Y = np.sin(X[:, :1]) + X[:, 1:2] ** 2


def make(
    library: Any, optimizer: str = "Adam", metrics: Any = ("mae",), **options: Any
) -> Any:
    """The same compiled model in either library, in float64."""
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((4,), dtype="float64"),
            layers.Dense(5, activation="tanh", dtype="float64"),
            layers.Dense(1, dtype="float64"),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    options.setdefault("learning_rate", 0.05)
    model.compile(
        getattr(library.optimizers, optimizer)(**options), "mse", metrics=list(metrics)
    )
    return model


def assert_same_models(ours: Any, theirs: Any, steps: int) -> None:
    pairs = zip(ours.get_weights(), theirs.get_weights(), strict=True)
    for i, (a, b) in enumerate(pairs):
        assert_trajectory_close(a, b, steps=steps, name=f"weight {i}")


def assert_same_histories(ours: Any, theirs: Any, steps: int) -> None:
    assert list(ours.history) == list(theirs.history)
    assert ours.epoch == theirs.epoch
    assert ours.params == theirs.params
    for name, values in theirs.history.items():
        # Metrics are float32 in both libraries: that is what can be asked of them.
        found, expected = (np.float32(v) for v in (ours.history[name], values))
        assert_trajectory_close(found, expected, steps=steps, name=name)


def without_times(text: str) -> str:
    text = re.sub(r"\x1b\[\d+m|[\b\r]", "", text)
    return re.sub(r"\d+s( -)? \d+(us|ms|s)/step", "TIME", text)


def run_with_all(library: Any, folder: Any) -> tuple[Any, Any, str]:
    """`fit` with many callbacks: (model, history, what it printed)."""
    callbacks = library.callbacks
    os.makedirs(folder)
    model = make(library)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        history = model.fit(
            X,
            Y,
            epochs=30,
            batch_size=16,
            shuffle=False,
            validation_split=0.3,
            validation_freq=1,
            verbose=2,
            callbacks=[
                callbacks.ReduceLROnPlateau("val_mae", 0.5, patience=1, verbose=1),
                callbacks.EarlyStopping(
                    "val_loss", patience=4, restore_best_weights=True, verbose=1
                ),
                callbacks.CSVLogger(folder / "log.csv"),
                callbacks.TerminateOnNaN(),
                callbacks.ModelCheckpoint(
                    folder / "{epoch:02d}.weights.h5",
                    monitor="val_mae",
                    save_weights_only=True,
                    save_best_only=True,
                ),
            ],
        )
    return model, history, output.getvalue()


def test_a_fit_with_many_callbacks(tmp_path: Any) -> None:
    ours, history, text = run_with_all(minikeras, tmp_path / "ours")
    theirs, expected, keras_text = run_with_all(keras, tmp_path / "theirs")
    steps = 3 * len(expected.epoch)
    assert 5 < len(expected.epoch) < 30  # it did stop early
    assert len(set(expected.history["learning_rate"])) > 2  # and slowed down
    assert_same_histories(history, expected, steps)
    assert_same_models(ours, theirs, steps)
    assert sorted(os.listdir(tmp_path / "ours")) == sorted(
        os.listdir(tmp_path / "theirs")
    )
    assert without_times(text) == without_times(keras_text)
    tables = [(tmp_path / n / "log.csv").read_text() for n in ("ours", "theirs")]
    assert tables[0].splitlines()[0] == tables[1].splitlines()[0]


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_the_lines_of_fit_evaluate_and_predict(verbose: Any) -> None:
    texts = []
    for library in PAIR:
        model, output = make(library, learning_rate=0.0), io.StringIO()
        options = {"batch_size": 16, "verbose": verbose}
        with contextlib.redirect_stdout(output):
            model.fit(X, Y, epochs=2, validation_data=(X, Y), **options)
            model.evaluate(X, Y, **options)
            model.predict(X, **options)
        lines = without_times(output.getvalue()).splitlines()
        # Keras draws its bar into files too, again and again in one line.
        texts.append([re.sub(r"^.*(4/4 )", r"\1", line).rstrip() for line in lines])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2 * 2 + 1 + 1


class Numbers:
    """Batches for a PyDataset of either library, with new examples in every epoch."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        rows = slice(10 * index, 10 * index + 10)
        return X[rows] * self.factor, Y[rows]

    factor = 1.0

    def on_epoch_end(self) -> None:
        self.factor *= 0.9


@pytest.mark.parametrize("workers", [1, 3])
def test_py_datasets_in_fit(workers: int) -> None:
    found = []
    for library in PAIR:
        cls = type("Data", (Numbers, library.utils.PyDataset), {})
        model = make(library)
        library.utils.set_random_seed(3)
        history = model.fit(
            cls(workers=workers if library is minikeras else 1),
            epochs=3,
            verbose=0,
            validation_data=cls(),
            validation_steps=2,
            batch_size=None,
        )
        found.append((model, history))
    (ours, history), (theirs, expected) = found
    assert_same_histories(history, expected, 15)
    assert_same_models(ours, theirs, 15)


def test_every_validation_begins_with_the_first_batch() -> None:
    histories = []
    for library in PAIR:
        model = make(library, learning_rate=0.0)
        histories.append(
            model.fit(
                X, Y, epochs=3, verbose=0, validation_data=(X, Y), validation_steps=2,
                validation_batch_size=10,
            )
        )  # fmt: skip
    assert_same_histories(*histories, 1)
    assert len(set(histories[0].history["val_loss"])) == 1


class Stop(Exception):
    pass


def interrupt(library: Any, epoch: int) -> Any:
    def on_epoch_begin(current: int, logs: Any) -> None:
        if current == epoch:
            raise Stop

    return library.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)


@pytest.mark.parametrize("first", PAIR)
@pytest.mark.parametrize("second", PAIR)
def test_a_backup_is_taken_up_by_either_library(
    first: Any, second: Any, tmp_path: Any
) -> None:
    folder, options = str(tmp_path / "backup"), {"epochs": 6, "verbose": 0}
    options["shuffle"] = False
    whole = make(minikeras)
    whole.fit(X, Y, **options)
    model = make(first)
    backup = first.callbacks.BackupAndRestore(folder)
    with pytest.raises(Stop):
        model.fit(X, Y, callbacks=[backup, interrupt(first, 4)], **options)
    with open(os.path.join(folder, "training_metadata.json")) as file:
        assert json.load(file) == {"epoch": 4, "batch": 0}
    model = make(second)
    backup = second.callbacks.BackupAndRestore(folder)
    history = model.fit(X, Y, callbacks=[backup], **options)
    assert history.epoch == [4, 5]
    assert not os.path.exists(folder)
    if first is second is minikeras:
        for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
            assert_equal(a, b)
    assert_same_models(model, whole, 12)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swapping_in_averaged_weights(swap_on_epoch: bool) -> None:
    found = []
    for library in PAIR:
        model = make(library, "SGD", use_ema=True, ema_momentum=0.8)
        swap = library.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
        seen: list[Any] = []
        watch = library.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, m=model, s=seen: s.append(m.get_weights())
        )
        history = model.fit(
            X, Y, epochs=3, verbose=0, shuffle=False, callbacks=[swap, watch],
            validation_data=(X, Y),
        )  # fmt: skip
        scores = model.evaluate(X, Y, verbose=0, callbacks=[swap])
        predictions = model.predict(X, verbose=0, callbacks=[swap])
        found.append((model, history, seen, scores, predictions))
    (ours, history, seen, scores, predictions), theirs = found
    assert_same_histories(history, theirs[1], 6)
    for a, b in zip(chain(*seen), chain(*theirs[2]), strict=True):
        assert_trajectory_close(a, b, steps=6)
    assert_trajectory_close(np.float32(scores), np.float32(theirs[3]), steps=6)
    assert_trajectory_close(predictions, theirs[4], steps=6)
    assert_same_models(ours, theirs[0], 6)


def test_swapping_needs_averages() -> None:
    for library in PAIR:
        with pytest.raises(ValueError, match="use_ema=True"):
            make(library).evaluate(
                X, Y, verbose=0, callbacks=[library.callbacks.SwapEMAWeights()]
            )


def test_nan_ends_training() -> None:
    bad = X.copy()
    bad[20] = np.nan
    printed = []
    for library in PAIR:
        model, output = make(library), io.StringIO()
        with contextlib.redirect_stdout(output):
            history = model.fit(
                bad, Y, batch_size=8, epochs=5, verbose=0, shuffle=False,
                callbacks=[library.callbacks.TerminateOnNaN()],
            )  # fmt: skip
        assert history.epoch == [0]
        printed.append(output.getvalue())
    assert printed[0] == printed[1] == "Batch 2: Invalid loss, terminating training\n"


def test_the_direction_of_compiled_metrics() -> None:
    for library in PAIR:
        model = make(library)
        stop = library.callbacks.EarlyStopping("val_mae", patience=99)
        model.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[stop])
        assert stop.monitor_op.__name__ == "less"
        with pytest.raises(ValueError, match=r"received monitor=lost"):
            model.fit(
                X, Y, verbose=0, callbacks=[library.callbacks.EarlyStopping("lost")]
            )


@pytest.mark.parametrize("initial", [0, 2])
def test_initial_epoch_and_a_second_fit(initial: int) -> None:
    found = []
    for library in PAIR:
        model = make(library)
        options = {"verbose": 0, "shuffle": False}
        first = model.fit(X, Y, epochs=3, initial_epoch=initial, **options)
        history = model.fit(X, Y, epochs=2, callbacks=[first], **options)
        found.append((model, history))
    (ours, history), (theirs, expected) = found
    assert_same_histories(history, expected, 10)
    assert_same_models(ours, theirs, 10)
