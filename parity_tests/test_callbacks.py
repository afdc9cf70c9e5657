"""Callbacks decide as Keras's do, and the list calls them as Keras's does."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import callbacks, registry
from minikeras.callbacks.callback import HOOKS, overrides
from parity_tests.callback_runs import (
    LOSSES,
    PAIR,
    Logs,
    Model,
    assert_same_run,
    signature,
)
from parity_tests.oracle import keras

# --- Surface --------------------------------------------------------------------------


@pytest.mark.parametrize("name", callbacks.__all__)
def test_names_arguments_and_defaults_are_those_of_keras(name: str) -> None:
    ours, theirs = (getattr(library, name) for library in PAIR)
    assert signature(ours) == signature(theirs)
    for hook in HOOKS:
        assert signature(getattr(ours, hook)) == signature(getattr(theirs, hook))
    assert registry.find("keras.callbacks", name) is ours


def test_what_is_missing_is_named() -> None:
    for name in ("TensorBoard", "RemoteMonitor", "OrbaxCheckpoint"):
        with pytest.raises(AttributeError, match=rf"not have keras\.callbacks\.{name}"):
            getattr(callbacks, name)
    with pytest.raises(AttributeError, match="Did you mean 'EarlyStopping'"):
        callbacks.EarlyStoping  # noqa: B018
    known = {n for n in dir(keras.callbacks) if not n.startswith("_")}
    missing = known - set(callbacks.__all__)
    assert missing == {"TensorBoard", "RemoteMonitor", "OrbaxCheckpoint"}


# --- Decisions ------------------------------------------------------------------------


@given(
    losses=LOSSES,
    options=st.fixed_dictionaries(
        {
            "monitor": st.sampled_from(["loss", "val_loss"]),
            "min_delta": st.sampled_from([0, 1e-10, 1e-3, -0.05]),
            "patience": st.integers(0, 3),
            "verbose": st.integers(0, 1),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "baseline": st.sampled_from([None, 0.45, 0.5, 2.0]),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.integers(0, 3),
        }
    ),
)
@example(losses=[0.5, 0.5 - 1e-9, 0.5 - 2e-9], options={"monitor": "loss"})
@example([1.0, 0.9, 0.95, 0.8], {"monitor": "loss", "baseline": 0.5, "patience": 2})
def test_early_stopping(losses: list[float], options: Any) -> None:
    epochs = [{"loss": loss, "val_loss": 1 - loss} for loss in losses]
    assert_same_run("EarlyStopping", options, epochs, fits=2)


def test_early_stopping_without_its_metric() -> None:
    assert_same_run("EarlyStopping", {}, [{"loss": 1.0}] * 3)
    with pytest.warns(UserWarning, match="`val_loss` which is not available"):
        callbacks.EarlyStopping().get_monitor_value({"loss": 1.0})


@given(
    losses=LOSSES,
    options=st.fixed_dictionaries(
        {
            "monitor": st.just("loss"),
            "factor": st.sampled_from([0.1, 0.5, 0.99]),
            "patience": st.integers(0, 3),
            "verbose": st.integers(0, 1),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "min_delta": st.sampled_from([0.0, 1e-4, 0.1]),
            "cooldown": st.integers(0, 2),
            "min_lr": st.sampled_from([0.0, 0.03, 0.1]),
        }
    ),
)
def test_reduce_lr_on_plateau(losses: list[float], options: Any) -> None:
    assert_same_run("ReduceLROnPlateau", options, [{"loss": x} for x in losses], fits=2)


def test_reduce_lr_on_plateau_bad_arguments() -> None:
    for library in PAIR:
        with pytest.raises(ValueError, match=r"factor >= 1\.0"):
            library.ReduceLROnPlateau(factor=1.0)
    with pytest.raises(TypeError, match="epsilon"):
        callbacks.ReduceLROnPlateau(epsilon=0.1)
    options = {"monitor": "no", "mode": "min"}
    assert_same_run("ReduceLROnPlateau", options, [{"loss": 1.0}] * 2)


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, lr: lr * 0.9,
        lambda epoch: 0.1 / (epoch + 1),
        lambda epoch, lr: np.float32(lr) / 3,
        lambda epoch, lr: np.float64(0.3),
    ],
)
def test_learning_rate_scheduler(schedule: Callable, verbose: int) -> None:
    options = {"schedule": schedule, "verbose": verbose}
    assert_same_run("LearningRateScheduler", options, [{"loss": 1.0}] * 4)


def test_learning_rate_scheduler_wants_floats() -> None:
    for library in PAIR:
        for value in (1, None, "0.1", np.zeros(2)):
            callback = library.LearningRateScheduler(lambda epoch, lr, v=value: v)
            callback.set_model(Model())
            with pytest.raises(ValueError, match="should be a float"):
                callback.on_epoch_begin(0)
        callback.set_model(SimpleNamespace(optimizer=object()))
        with pytest.raises(ValueError, match="learning_rate"):
            callback.on_epoch_begin(0)


@given(losses=LOSSES)
def test_terminate_on_nan(losses: list[float]) -> None:
    epochs = [{"loss": loss} for loss in losses]
    assert_same_run("TerminateOnNaN", {}, epochs, batches=2)
    for library in PAIR:
        callback = library.TerminateOnNaN(raise_error=True)
        callback.on_train_batch_end(0, logs={"loss": 1.0})
        callback.on_train_batch_end(0, logs={})
        for loss in (math.nan, -math.inf):
            with pytest.raises(RuntimeError, match="batch 7"):
                callback.on_train_batch_end(7, logs={"loss": loss})


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_the_direction_of_a_metric(name: str) -> None:
    def metric(direction: str | None) -> Any:
        extra = {} if direction is None else {"_direction": direction}
        return SimpleNamespace(name="score", **extra)

    for direction, expected in (("up", np.greater), ("down", np.less)):
        callback = getattr(callbacks, name)(monitor="val_score")
        group = SimpleNamespace(name="all", metrics=[metric(direction)])
        callback.set_model(Model([metric("down"), group]))
        callback._set_monitor_op()
        assert callback.monitor_op is expected
    callback = getattr(callbacks, name)(monitor="val_score")
    callback.set_model(Model([SimpleNamespace(name="all", metrics=[metric(None)])]))
    with pytest.raises(ValueError, match="maximized or minimized"):
        callback.on_epoch_end(0, {"val_score": 1.0})
    with pytest.warns(UserWarning, match="mode 'best' is unknown"):
        assert getattr(callbacks, name)(mode="best").mode == "auto"


# --- The list -------------------------------------------------------------------------


def test_all_hooks_get_sorted_python_floats_in_one_dict() -> None:
    values = {"loss": np.float32(0.5), "b": np.int64(3), "c": {"a": 1, "d": "text"}}
    seen = []
    for library in PAIR:

        def record(self: Any, *args: Any, **kwargs: Any) -> None:
            logs = kwargs.get("logs", args[-1] if args else None)
            seen[-1].append((args[:-1], list(logs.items()), *map(type, logs.values())))
            logs["extra"] = 1

        seen.append([])
        recorder = type("R", (library.Callback,), dict.fromkeys(HOOKS, record))
        run = library.CallbackList([recorder(), [recorder()]], model=Model(), epochs=1)
        for hook in HOOKS:
            place = () if "epoch" not in hook and "batch" not in hook else (3,)
            if "test" not in hook and "predict" not in hook:
                getattr(run, hook)(*place, values)
        for kind in ("test", "predict"):
            for hook in HOOKS:
                if kind in hook:
                    place = (3,) if "batch" in hook else ()
                    getattr(run, hook)(*place, values)
    assert sorted(map(repr, seen[0])) == sorted(map(repr, seen[1]))


def test_hooks_that_nobody_overrides_are_not_called() -> None:
    calls = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            calls.append(logs["loss"])

    def logs() -> Logs:
        calls.append("computed")
        return {"loss": 1}

    quiet = callbacks.CallbackList([callbacks.History()], model=Model(), epochs=1)
    for run in (quiet, callbacks.CallbackList([Old(), callbacks.History()])):
        run.on_train_begin()
        run.on_train_batch_begin(0, logs)
        run.on_train_batch_end(0, logs)
        run.on_test_batch_end(0, logs)
    assert calls == ["computed", 1.0]
    added = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: None)
    assert overrides(added, "on_predict_batch_end")
    assert not overrides(added, "on_train_batch_end")


def test_history() -> None:
    model = Model()
    run = callbacks.CallbackList(add_history=True, model=model, verbose=0, epochs=2)
    assert run.params == model.history.params == {"verbose": 0, "epochs": 2}
    for _ in range(2):
        run.on_train_begin()
        run.on_epoch_end(0, {"loss": 2.0, "accuracy": 0.5})
        run.on_epoch_end(1, {"loss": 1.0, "accuracy": 0.75, "val_loss": 3.0})
    assert list(model.history.history) == ["accuracy", "loss", "val_loss"]
    assert model.history.history["loss"] == [2.0, 1.0, 2.0, 1.0]
    assert model.history.epoch == [0, 1]


def test_callbacks_of_the_user_are_not_doubled() -> None:
    mine = [callbacks.History(), callbacks.ProgbarLogger()]
    run = callbacks.CallbackList(mine, add_history=True, add_progbar=True)
    assert run.callbacks == mine
    one = callbacks.History()
    assert callbacks.CallbackList(one).callbacks == [one]


def test_things_that_are_no_callbacks() -> None:
    with pytest.raises(TypeError, match=r"write `EarlyStopping\(\.\.\.\)`"):
        callbacks.CallbackList([callbacks.EarlyStopping])
    with pytest.raises(TypeError, match="Received: 'early'"):
        callbacks.CallbackList(["early"])
    for library in PAIR:  # a class of one's own with all the hooks will do
        methods = {name: lambda self, *args, **kwargs: None for name in HOOKS}
        methods |= {"set_model": methods["on_epoch_end"]}
        methods |= {"set_params": methods["on_epoch_end"]}
        run = library.CallbackList([type("Duck", (), methods)()], model=Model(), a=1)
        run.on_epoch_end(0)


def test_lambda_callback() -> None:
    calls: list[Any] = []
    names = [*HOOKS]
    callback = callbacks.LambdaCallback(
        note="mine",
        **{n: lambda *args, n=n, **kwargs: calls.append(n) for n in names},
    )
    for name in names:
        getattr(callback, name)(0, logs={})
    assert calls == names and callback.note == "mine"
    with pytest.raises(TypeError, match="Did you mean 'on_epoch_end'"):
        callbacks.LambdaCallback(on_epoch_ends=print)
