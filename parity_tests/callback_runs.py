"""Drives a callback by hand, with a stand-in for the model, in either library."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import os
import time
import warnings
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minikeras import callbacks
from parity_tests.oracle import keras

Logs = dict[str, Any]
PAIR = (callbacks, keras.callbacks)


class Optimizer:
    """Keeps its learning rate in float32, as a variable does."""

    def __init__(self, learning_rate: float = 0.1):
        self.learning_rate = learning_rate

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, np.float32(value))


class Model:
    """What callbacks use of a model, and a record of what they did with it."""

    def __init__(self, metrics: Any = ()):
        self.optimizer = Optimizer()
        self.stop_training = False
        self.metrics = metrics
        self.weights = [0]
        self.saved: list[Any] = []

    def get_weights(self) -> list[int]:
        return list(self.weights)

    def set_weights(self, weights: list[int]) -> None:
        self.weights = list(weights)

    def save(self, path: str, overwrite: bool = False) -> None:
        self.saved.append(("save", path, overwrite, os.path.isdir(_folder(path))))

    def save_weights(self, path: str, overwrite: bool = False) -> None:
        self.saved.append(("weights", path, overwrite, os.path.isdir(_folder(path))))


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def drive(
    callback: Any, epochs: list[Logs], batches: int = 0, fits: int = 1
) -> dict[str, Any]:
    """Runs `fit` around a callback, with given logs; returns all that can be seen."""
    model = Model()
    callback.set_model(model)
    callback.set_params({"verbose": 1, "epochs": len(epochs), "steps": batches})
    trace, output = [], io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        for _ in range(fits):
            model.stop_training = False
            callback.on_train_begin()
            for epoch, values in enumerate(epochs):
                logs = dict(values)
                callback.on_epoch_begin(epoch)
                for batch in range(batches):
                    callback.on_train_batch_begin(batch)
                    callback.on_train_batch_end(batch, logs={"loss": logs["loss"]})
                model.weights = [epoch + 1]
                callback.on_epoch_end(epoch, logs)
                rate = float(model.optimizer.learning_rate)
                trace.append((epoch, rate, logs, model.stop_training))
                if model.stop_training:
                    break
            callback.on_train_end()
    return {
        "trace": trace,
        "weights": model.weights,
        "saved": model.saved,
        "output": output.getvalue(),
        "warnings": [(x.category, str(x.message).split()[:6]) for x in w],
    }


def assert_same_run(name: str, options: Any, *args: Any, **kwargs: Any) -> Any:
    """Both libraries' callback `name` do the same; returns ours."""
    ours, theirs = (getattr(library, name)(**options) for library in PAIR)
    found, expected = drive(ours, *args, **kwargs), drive(theirs, *args, **kwargs)
    for key, value in expected.items():
        assert repr(found[key]) == repr(value), key  # repr: NaN is equal to NaN
    return ours


# A loss that falls, rises, stays, and differs by less than float32 can tell.
LOSSES = st.lists(
    st.sampled_from([1.0, 0.5, 0.5 - 1e-9, 0.5 - 1e-4, 0.49, 0.4, math.nan, math.inf])
    | st.floats(0, 2),
    min_size=1,
    max_size=12,
)


def signature(function: Any) -> list[Any]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A `time.time` that is set by hand."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def standing_clock() -> Any:
    clock, real = Clock(), time.time
    time.time = clock
    try:
        yield clock
    finally:
        time.time = real
