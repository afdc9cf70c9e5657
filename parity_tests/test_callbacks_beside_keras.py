"""Every callback in a whole `fit`, beside Keras: history, rates, files and weights."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras
from parity_tests.records import parity_case
from parity_tests.tolerance import assert_close, assert_equal, assert_trajectory_close

# Keras converts its own variables in a way that NumPy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
PAIR = (minikeras, keras)
EPOCHS, BATCH, EXAMPLES = 5, 8, 20
STEPS = EPOCHS * -(-EXAMPLES // BATCH)
X = np.random.default_rng(0).normal(size=(EXAMPLES, 4))
Y = np.sin(X[:, :1]) + X[:, 1:2] ** 2
Make = Callable[[Any, Path], list[Any]]


def own(library: Any, folder: Path) -> list[Any]:
    """A callback of the user, which shrinks the weights after every second batch."""

    class Shrink(library.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 2:
                self.model.set_weights([w * 0.9 for w in self.model.get_weights()])

    return [Shrink()]


def slower(library: Any, folder: Path) -> list[Any]:
    """A LambdaCallback that sets the learning rate of each epoch."""

    def set_rate(epoch: int, logs: Any) -> None:
        callback.model.optimizer.learning_rate = 0.05 / (epoch + 1)

    callback = library.callbacks.LambdaCallback(on_epoch_begin=set_rate)
    return [callback]


CALLBACKS: dict[str, Make] = {
    "BackupAndRestore": lambda k, f: [k.callbacks.BackupAndRestore(f / "backup")],
    "CSVLogger": lambda k, f: [k.callbacks.CSVLogger(f / "log.csv")],
    "Callback": own,
    "EarlyStopping": lambda k, f: [
        k.callbacks.EarlyStopping(
            "val_loss", patience=1, min_delta=0.4, restore_best_weights=True
        )
    ],
    "History": lambda k, f: [k.callbacks.History()],
    "LambdaCallback": slower,
    "LearningRateScheduler": lambda k, f: [
        k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.7)
    ],
    "ModelCheckpoint": lambda k, f: [
        k.callbacks.ModelCheckpoint(
            f / "{epoch:02d}.weights.h5", save_weights_only=True, save_best_only=True
        )
    ],
    "ProgbarLogger": lambda k, f: [k.callbacks.ProgbarLogger()],
    "ReduceLROnPlateau": lambda k, f: [
        k.callbacks.ReduceLROnPlateau("loss", 0.3, patience=1, min_delta=0.5)
    ],
    "SwapEMAWeights": lambda k, f: [k.callbacks.SwapEMAWeights(swap_on_epoch=True)],
    "TerminateOnNaN": lambda k, f: [k.callbacks.TerminateOnNaN()],
}


def make(library: Any, dtype: str) -> Any:
    """The same compiled model in either library."""
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((4,), dtype=dtype),
            layers.Dense(5, activation="tanh", dtype=dtype),
            layers.Dense(1, dtype=dtype),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    optimizer = library.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def fit(library: Any, dtype: str, callbacks: Any) -> tuple[Any, Any]:
    """(model, history) of a quiet `fit`."""
    model = make(library, dtype)
    with contextlib.redirect_stdout(io.StringIO()):
        history = model.fit(
            X,
            Y,
            epochs=EPOCHS,
            batch_size=BATCH,
            shuffle=False,
            validation_data=(X[:7], Y[:7]),
            verbose=0,
            callbacks=callbacks,
        )
    return model, history


# What a callback changed, so that a case in which it slept is noticed.
CHANGES = {
    "EarlyStopping": lambda model, history: len(history.epoch) < EPOCHS,
    "ReduceLROnPlateau": lambda model, history: model.optimizer.learning_rate < 0.049,
    "LearningRateScheduler": lambda model, history: (
        model.optimizer.learning_rate < 0.01
    ),
}


def compare(ours: tuple[Any, Any], theirs: tuple[Any, Any], dtype: str) -> None:
    """Epochs, logs, the learning rate, and the weights at the end."""
    (model, history), (twin, expected) = ours, theirs
    assert_equal(history.epoch, expected.epoch, name="epochs")
    assert_equal(list(history.history), list(expected.history), name="logs")
    for name, values in expected.history.items():
        found, wanted = (np.asarray(v, dtype) for v in (history.history[name], values))
        assert_close(found, wanted, k=STEPS * EXAMPLES, name=name, depth="forward")
    rates = [np.asarray(m.optimizer.learning_rate) for m in (model, twin)]
    assert_equal(*rates, name="learning rate")
    pairs = zip(model.get_weights(), twin.get_weights(), strict=True)
    for i, (a, b) in enumerate(pairs):
        assert_trajectory_close(a, b, steps=STEPS, name=f"weight {i}")


def files(folder: Path) -> list[str]:
    """What a callback has left behind."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_fit(name: str, dtype: str, tmp_path: Path) -> None:
    runs = []
    with default_dtype(dtype), parity_case("callback", name, dtype):
        for library in PAIR:
            folder = tmp_path / library.__name__
            os.makedirs(folder)
            runs.append(fit(library, dtype, CALLBACKS[name](library, folder)))
        compare(*runs, dtype)
    assert all(CHANGES[name](*run) for run in runs if name in CHANGES)
    assert_equal(*(files(tmp_path / library.__name__) for library in PAIR))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_list_of_callbacks(dtype: str, tmp_path: Path) -> None:
    """A CallbackList made by hand, in place of the one that `fit` makes."""
    runs = []
    with default_dtype(dtype), parity_case("callback", "CallbackList", dtype):
        for library in PAIR:
            callbacks = [
                *CALLBACKS["LearningRateScheduler"](library, tmp_path),
                *CALLBACKS["Callback"](library, tmp_path),
                library.callbacks.History(),
            ]
            made = library.callbacks.CallbackList(callbacks)
            model = make(library, dtype)
            made.set_model(model)
            made.on_train_begin()
            for epoch in range(EPOCHS):
                made.on_epoch_begin(epoch)
                for step in range(3):
                    rows = slice(step * BATCH, step * BATCH + BATCH)
                    made.on_train_batch_begin(step)
                    loss, mae = model.train_on_batch(X[rows], Y[rows])
                    made.on_train_batch_end(step, {"loss": loss, "mae": mae})
                made.on_epoch_end(epoch, {"loss": loss, "mae": mae})
            made.on_train_end()
            runs.append((model, callbacks[-1]))
        compare(*runs, dtype)


def test_every_callback_is_here() -> None:
    names = {n for n in dir(keras.callbacks) if not n.startswith("_")}
    here = set(minikeras.callbacks.__all__)
    assert_equal(names & here, {*CALLBACKS, "CallbackList"})
