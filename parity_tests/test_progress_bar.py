"""The progress bar prints what Keras's prints, character by character."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikeras import callbacks
from minikeras.utils.progbar import Progbar
from parity_tests.callback_runs import (
    Logs,
    Model,
    Terminal,
    signature,
    standing_clock,
)
from parity_tests.oracle import keras


def test_progbar_arguments() -> None:
    assert signature(Progbar) == signature(keras.utils.Progbar)


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
