"""Callbacks: the same decisions, files and text as Keras's, from the same logs.

Both libraries' callbacks are driven by hand, with a stand-in for the model.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import os
import time
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import callbacks, registry
from minikeras.callbacks.callback import HOOKS, overrides
from minikeras.utils.progbar import Progbar
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


# --- Surface --------------------------------------------------------------------------


@pytest.mark.parametrize("name", callbacks.__all__)
def test_names_arguments_and_defaults_are_those_of_keras(name: str) -> None:
    ours, theirs = (getattr(library, name) for library in PAIR)
    assert _signature(ours) == _signature(theirs)
    for hook in HOOKS:
        assert _signature(getattr(ours, hook)) == _signature(getattr(theirs, hook))
    assert registry.find("keras.callbacks", name) is ours


def _signature(function: Any) -> list[Any]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


def test_progbar_arguments() -> None:
    assert _signature(Progbar) == _signature(keras.utils.Progbar)


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


# --- Files ----------------------------------------------------------------------------


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


# --- The progress bar -----------------------------------------------------------------


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


def show(bar_class: Any, options: Any, updates: Any, terminal: bool = True) -> str:
    """All that a progress bar writes."""
    output = Terminal() if terminal else io.StringIO()
    with contextlib.redirect_stdout(output), standing_clock() as clock:
        bar = bar_class(**options)
        for current, seconds, values, finalize in updates:
            clock.now += seconds
            bar.update(current, values, finalize)
    return output.getvalue()


METRIC_VALUES = st.sampled_from([0.0, 1e-3, 0.5, -0.25, 1234.5, math.nan, 3, -1e-5])
UPDATES = st.lists(
    st.tuples(
        st.integers(0, 130),
        st.sampled_from([0.0, 1e-5, 0.01, 0.06, 2.0, 700.0, 40000.0]),
        st.lists(st.tuples(st.sampled_from(["loss", "b"]), METRIC_VALUES), max_size=2),
        st.sampled_from([None, None, False, True]),
    ),
    min_size=1,
    max_size=8,
)
BARS = st.fixed_dictionaries(
    {
        "target": st.sampled_from([None, 0, 1, 7, 100, 120]),
        "width": st.sampled_from([20, 5]),
        "verbose": st.integers(0, 2),
    },
    optional={
        "interval": st.sampled_from([0.0, 0.05, 1.0]),
        "stateful_metrics": st.just(["loss"]),
        "unit_name": st.just("sample"),
    },
)


@given(options=BARS, updates=UPDATES)
@example(
    {"target": 7, "verbose": 1}, [(i, 0.1, [("loss", 0.5)], None) for i in range(8)]
)
@example({"target": 7, "verbose": 1}, [(i, 9e3, [], None) for i in range(8)])
def test_every_character_of_the_bar(options: Any, updates: Any) -> None:
    expected = show(keras.utils.Progbar, options, updates)
    assert show(Progbar, options, updates) == expected


@given(options=BARS, updates=UPDATES)
def test_averaging_metrics(options: Any, updates: Any) -> None:
    options.pop("stateful_metrics", None)
    options["stateless_metrics"] = ["b"]
    expected = show(keras.utils.Progbar, options, updates)
    assert show(Progbar, options, updates) == expected


def test_outside_of_a_terminal_there_is_one_plain_line() -> None:
    updates = [(i, 0.1, [("loss", i / 10)], None) for i in range(1, 11)]
    text = show(Progbar, {"target": 10}, updates, terminal=False)
    assert text == "10/10 " + "━" * 20 + " 1s 100ms/step - loss: 1.0000\n"
    colourful = show(Progbar, {"target": 10}, updates)
    assert colourful.count("\r") == 10 and "\x1b[32m" in colourful


def test_a_terminal_without_line_drawing() -> None:
    ascii_output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(ascii_output):
        Progbar(3).update(3)
    ascii_output.seek(0)
    assert ascii_output.read().startswith("3/3 " + "=" * 20)


def test_progbar_refuses_two_lists() -> None:
    for bar in (Progbar, keras.utils.Progbar):
        with pytest.raises(ValueError, match="Only one of `stateful_metrics`"):
            bar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def loops(library: Any, options: Any, epochs: int, batches: int, seconds: float) -> str:
    """What `fit` with validation, `evaluate` and `predict` print."""
    output = Terminal()
    with contextlib.redirect_stdout(output), standing_clock() as clock:
        for kind in ("fit", "test", "predict"):
            fit = kind == "fit"
            run = library.CallbackList(
                add_history=fit, add_progbar=options["verbose"] != 0, model=Model(),
                epochs=epochs if fit else 1, **options,
            )  # fmt: skip
            begin = run.on_train_begin if fit else getattr(run, f"on_{kind}_begin")
            begin()
            for epoch in range(epochs if fit else 1):
                if fit:
                    run.on_epoch_begin(epoch)
                name = "train" if fit else kind
                for batch in range(batches):
                    clock.now += seconds
                    getattr(run, f"on_{name}_batch_begin")(batch)
                    logs = {"loss": 1 / (batch + 1), "accuracy": batch / 10}
                    if kind == "predict":
                        logs = {"outputs": np.zeros((2, 2))}
                    getattr(run, f"on_{name}_batch_end")(batch, logs)
                if fit:
                    run.on_test_begin()
                    run.on_test_batch_begin(0)
                    run.on_test_batch_end(0, {"loss": 7.0})
                    run.on_test_end({"loss": 7.0})
                    run.on_epoch_end(
                        epoch, {"loss": 0.25, "val_loss": 7, "accuracy": 1}
                    )
            end = {"loss": 0.125, "accuracy": 1} if kind == "test" else None
            (run.on_train_end if fit else getattr(run, f"on_{kind}_end"))(end)
    return output.getvalue()


@pytest.mark.parametrize("seconds", [1e-4, 0.02, 0.5])
@pytest.mark.parametrize("steps", [None, 9])
@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_what_the_loops_print(verbose: Any, steps: int | None, seconds: float) -> None:
    options = {"verbose": verbose, "steps": steps}
    for epochs in (1, 3):
        arguments = (options, epochs, 9, seconds)
        expected = loops(keras.callbacks, *arguments)
        assert loops(callbacks, *arguments) == expected
        assert bool(expected) == (verbose != 0)


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


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_waiting_progress_bar_asks_for_no_logs(verbose: int) -> None:
    asked = []

    def logs() -> Logs:
        asked.append(clock.now - start)
        return {"loss": 1.0}

    with contextlib.redirect_stdout(Terminal()), standing_clock() as clock:
        run = callbacks.CallbackList(
            add_progbar=True, model=Model(), verbose=verbose, epochs=1, steps=None
        )
        run.on_train_begin()
        run.on_epoch_begin(0)
        start = clock.now
        for batch in range(1000):
            clock.now += 2.0**-10
            run.on_train_batch_end(batch, logs)
        run.on_epoch_end(0, {"loss": 1.0})
    assert len(asked) == (20 if verbose == 1 else 0)
    assert run._progbar.target == 1000  # it has counted all the same


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


def test_messages_can_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    from minikeras import config

    config.disable_interactive_logging()
    output = io.StringIO()
    try:
        with caplog.at_level("INFO"), contextlib.redirect_stdout(output):
            Progbar(2, verbose=2).update(2)
    finally:
        config.enable_interactive_logging()
    assert output.getvalue() == "" and "2/2" in caplog.text
