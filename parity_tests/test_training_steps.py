"""evaluate, predict, the `*_on_batch` methods, callbacks in `fit`, own steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests import runner
from parity_tests.functions import default_dtype
from parity_tests.model_checks import shape_of
from parity_tests.model_twins import (
    PerLibrary,
    call,
    check_fit,
    compare_logs,
    compare_numbers,
    compare_variables,
    compiled,
    pair,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, 6))
Y = RNG.integers(0, 3, 20)
WEIGHTS = RNG.uniform(0, 2, 20)


def classifier(k: Any, **options: Any) -> Any:
    model = k.Sequential(
        [
            k.Input((6,)),
            k.layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
            k.layers.Dropout(0.3),
            k.layers.Dense(3, activation="softmax"),
        ]
    )
    options.setdefault("loss", "sparse_categorical_crossentropy")
    options.setdefault("metrics", ["accuracy"])
    return compiled(model, "adam", run_eagerly=True, **options)


def two_outputs(k: Any, **options: Any) -> Any:
    x = k.Input((6,))
    a = k.layers.Dense(2, name="a")(x)
    b = k.layers.Dense(1, name="b")(x)
    options.setdefault("loss", "mse")
    return compiled(k.Model(x, {"a": a, "b": b}), run_eagerly=True, **options)


def both(twins: Any, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """The method's result for both models."""
    return tuple(call(m, method, *args, **kwargs) for m in (twins.ours, twins.theirs))


class TestEvaluate:
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"batch_size": 7},
            {"batch_size": 7, "return_dict": True},
            {"batch_size": 3, "steps": 2},
            {"sample_weight": WEIGHTS, "return_dict": True},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("metrics", [None, ["accuracy"]], ids=["loss", "metrics"])
    def test_equals_keras(self, arguments, metrics):
        options = {"metrics": metrics, "weighted_metrics": metrics}
        with default_dtype("float64"):
            twins = pair(lambda k: classifier(k, **options))
            ours, theirs = both(twins, "evaluate", X, Y, **arguments)
            assert type(ours) is type(theirs)
            if isinstance(theirs, dict):
                compare_logs(ours, theirs)
            else:
                compare_numbers(ours, theirs)

    def test_several_outputs(self):
        targets = {"a": X[:, :2], "b": X[:, :1]}
        with default_dtype("float64"):
            twins = pair(lambda k: two_outputs(k, metrics={"a": ["mae"]}))
            for return_dict in (False, True):
                results = both(
                    twins, "evaluate", X, targets, return_dict=return_dict, batch_size=8
                )
                compare_numbers(*results)
            assert_equal(twins.ours.metrics_names, twins.theirs.metrics_names)

    def test_leaves_the_model_as_it_is(self):
        model = classifier(minikeras)
        before = runner.state_of(model)
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
        for a, b in zip(runner.state_of(model), before, strict=True):
            assert_equal(a, b)


class TestPredict:
    @pytest.mark.parametrize(
        "arguments", [{}, {"batch_size": 7}, {"steps": 1}], ids=str
    )
    def test_equals_keras(self, arguments):
        with default_dtype("float64"):
            twins = pair(classifier)
            compare_numbers(*both(twins, "predict", X, **arguments))
            compare_numbers(*both(twins, "predict_on_batch", X))
            compare_numbers(twins.ours(X), np.asarray(twins.theirs(X)))

    def test_without_compile(self):
        with default_dtype("float64"):
            twins = pair(lambda k: k.Sequential([k.Input((6,)), k.layers.Dense(2)]))
            compare_numbers(*both(twins, "predict", X))
            compare_numbers(*both(twins, "predict_on_batch", X))

    @pytest.mark.parametrize("structure", ["list", "tuple", "dict", "nested", "single"])
    def test_structure_of_outputs(self, structure):
        def make(k):
            x = k.Input((6,))
            a, b = k.layers.Dense(2, name="a")(x), k.layers.Dense(1, name="b")(x)
            outputs = {
                "list": [a, b],
                "tuple": (a, b),
                "dict": {"z": a, "y": b},
                "nested": {"z": [a, {"u": b}]},
                "single": [a],
            }
            return k.Model(x, outputs[structure])

        with default_dtype("float64"):
            twins = pair(make)
            ours, theirs = both(twins, "predict", X, batch_size=8)
            assert_equal(shape_of(ours), shape_of(theirs))
            compare_numbers(ours, theirs)
            assert_equal(shape_of(twins.ours(X)), shape_of(twins.theirs(X)))

    def test_data_in_portions(self):
        def batches(_):
            return ((X[i : i + 5],) for i in range(0, 20, 5))

        with default_dtype("float64"):
            twins = pair(classifier)
            compare_numbers(*both(twins, "predict", PerLibrary(batches), steps=3))

    def test_the_result_is_a_new_array(self):
        model = minikeras.Sequential([minikeras.layers.Identity()])
        x = np.ones((3, 2), "float32")
        model.predict(x, verbose=0)[:] = 5
        assert_equal(x, np.ones((3, 2), "float32"))


class TestOnBatch:
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"return_dict": True},
            {"sample_weight": WEIGHTS},
            {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}},
        ],
        ids=lambda a: str(list(a)),
    )
    def test_train_on_batch(self, arguments):
        with default_dtype("float64"):
            twins = pair(classifier)
            for _ in range(3):
                compare_numbers(*both(twins, "train_on_batch", X, Y, **arguments))
            compare_variables(twins)

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"return_dict": True}, {"sample_weight": WEIGHTS}],
        ids=lambda a: str(list(a)),
    )
    def test_test_on_batch(self, arguments):
        with default_dtype("float64"):
            twins = pair(classifier)
            for _ in range(2):
                compare_numbers(*both(twins, "test_on_batch", X, Y, **arguments))

    def test_returns_numbers(self):
        model = classifier(minikeras, metrics=None)
        assert type(model.train_on_batch(X, Y)) is float
        assert type(model.test_on_batch(X, Y)) is float
        assert all(
            type(v) is float
            for v in model.evaluate(X, Y, verbose=0, return_dict=True).values()
        )

    def test_several_outputs(self):
        targets = {"a": X[:, :2], "b": X[:, :1]}
        with default_dtype("float64"):
            twins = pair(lambda k: two_outputs(k, metrics={"a": ["mae"]}))
            compare_numbers(*both(twins, "train_on_batch", X, targets))
            compare_numbers(*both(twins, "test_on_batch", X, targets, return_dict=True))
            compare_numbers(*both(twins, "predict_on_batch", X))


def recorder(k: Any, log: list[Any]) -> Any:
    """A callback that notes every call with the names it is given."""

    class Recorder(k.callbacks.Callback):
        pass

    def note(name):
        def method(self, *args, logs=None):
            known = [sorted(a) if isinstance(a, dict) else a for a in [*args, logs]]
            log.append((name, *(a for a in known if a is not None)))

        return method

    for kind in ("train", "test", "predict"):
        names = [f"on_{kind}_begin", f"on_{kind}_end"]
        names += [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        for name in names:
            setattr(Recorder, name, note(name))
    for name in ("on_epoch_begin", "on_epoch_end"):
        setattr(Recorder, name, note(name))
    return Recorder()


class TestCallbacks:
    def test_same_calls_in_the_same_order(self):
        logs: dict[str, list[Any]] = {"minikeras": [], "keras": []}
        callbacks = PerLibrary(lambda k: [recorder(k, logs[k.__name__])])
        with default_dtype("float64"):
            twins = pair(classifier)
            options = {"batch_size": 8, "callbacks": callbacks}
            both(twins, "fit", X, Y, epochs=2, validation_split=0.3, **options)
            both(twins, "evaluate", X, Y, **options)
            both(twins, "predict", X, **options)
        assert_equal(logs["minikeras"], logs["keras"])

    def test_early_stopping(self):
        def callbacks(k):
            return [
                k.callbacks.EarlyStopping(
                    monitor="val_loss", patience=1, restore_best_weights=True
                )
            ]

        def make(k):
            model = classifier(k)
            model.optimizer.learning_rate = 2.0
            return model

        twins = check_fit(
            make, X, Y, epochs=8, validation_split=0.5, callbacks=PerLibrary(callbacks)
        )
        assert len(twins.history.epoch) < 8

    def test_changing_the_learning_rate(self):
        def callbacks(k):
            return [
                k.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5),
                k.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=10),
            ]

        check_fit(classifier, X, Y, epochs=4, callbacks=PerLibrary(callbacks))

    def test_stopping_in_the_middle_of_an_epoch(self):
        def callbacks(k):
            class Stop(k.callbacks.Callback):
                def on_train_batch_end(self, batch, logs=None):
                    if batch == 1:
                        self.model.stop_training = True

            return [Stop()]

        check_fit(
            classifier, X, Y, batch_size=5, epochs=3, callbacks=PerLibrary(callbacks)
        )

    def test_nan_stops_the_training(self):
        x = X.copy()
        x[7] = np.nan

        def callbacks(k):
            return [k.callbacks.TerminateOnNaN()]

        with default_dtype("float64"):
            twins = pair(classifier)
            options = {"batch_size": 5, "epochs": 3, "shuffle": False}
            ours, theirs = both(
                twins, "fit", x, Y, callbacks=PerLibrary(callbacks), **options
            )
        assert_equal(ours.epoch, theirs.epoch)
        assert np.isnan(ours.history["loss"]).all()


class TestByHand:
    def test_the_loop_in_four_lines(self):
        """What `fit` does, written out; here with the logits path off (tanh)."""

        def make(k):
            model = k.Sequential(
                [k.Input((6,)), k.layers.Dense(4, activation="tanh"), k.layers.Dense(1)]
            )
            return compiled(model, k.optimizers.Adam(0.01), loss="mse")

        y = X[:, :1] * 2
        with default_dtype("float64"):
            twins = pair(make)
            model, loss = twins.ours, minikeras.losses.MeanSquaredError()
            for _ in range(5):
                y_pred, residuals = model.forward(X, training=True)
                _, loss_residuals = loss.forward(y, y_pred)
                grads = minikeras.Gradients()
                model.backward(loss.backward(1.0, loss_residuals), residuals, grads)
                model.optimizer.apply(grads, model.trainable_variables)
            twins.theirs.fit(X, y, batch_size=20, epochs=5, verbose=0)
            compare_variables(twins)

    def test_run_eagerly_and_jit_compile_are_accepted(self):
        model = classifier(minikeras)
        model.compile(loss="mse", jit_compile=True, steps_per_execution=4)
        assert model.steps_per_execution == 4
        assert model.make_train_function()
        assert isinstance(keras.Model, type)
