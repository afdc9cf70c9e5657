"""`fit` against `fit`: what data it takes, in which portions, and what it reports."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from parity_tests.model_twins import PerLibrary, check_fit, compiled
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(0)
X = RNG.standard_normal((22, 5))
Y = RNG.integers(0, 3, 22)
ONE_HOT = np.eye(3)[Y]
WEIGHTS = RNG.uniform(0.2, 2.0, 22)


def classifier(k, **options):
    """Five features to three classes."""
    model = k.Sequential(
        [
            k.Input((5,)),
            k.layers.Dense(4, activation="tanh"),
            k.layers.Dense(3, activation="softmax"),
        ]
    )
    options.setdefault("loss", "sparse_categorical_crossentropy")
    options.setdefault("metrics", ["accuracy"])
    return compiled(model, k.optimizers.SGD(0.1, momentum=0.9), **options)


class TestPortions:
    """How the data is cut into epochs and batches."""

    @pytest.mark.parametrize(
        "arguments",
        [
            {"epochs": 2},
            {"epochs": 2, "batch_size": 8},
            {"epochs": 2, "batch_size": 5, "shuffle": False},
            {"epochs": 2, "batch_size": 5, "shuffle": "batch"},
            {"epochs": 1, "batch_size": 100},
            {"epochs": 4, "initial_epoch": 2, "batch_size": 11},
            {"epochs": 2, "initial_epoch": 2, "batch_size": 11},
            {"epochs": 3, "steps_per_epoch": 2, "batch_size": 4},
        ],
        ids=str,
    )
    def test_equals_keras(self, arguments):
        check_fit(classifier, X, Y, **arguments)

    def test_traced_by_keras(self):
        check_fit(classifier, X, Y, epochs=3, batch_size=8, eager=False)

    def test_float32(self):
        check_fit(classifier, X, Y, epochs=3, batch_size=8, dtype="float32")

    def test_steps_per_execution_changes_nothing(self):
        def make(k):
            return classifier(k, steps_per_execution=2 if k is minikeras else 1)

        check_fit(make, X, Y, epochs=2, batch_size=4)

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "bool"])
    def test_any_dtype_of_data(self, dtype):
        x = (np.abs(X) * 2).astype(dtype)
        check_fit(classifier, x, Y.astype("uint8"), batch_size=8)

    def test_labels_in_a_column(self):
        check_fit(classifier, X, Y[:, None], batch_size=8)


class TestValidation:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"validation_split": 0.25},
            {"validation_split": 0.1, "validation_batch_size": 1},
            {"validation_data": (X[:9], Y[:9])},
            {"validation_data": (X[:9], Y[:9], WEIGHTS[:9])},
            {"validation_data": (X, Y), "validation_steps": 2},
            {"validation_data": (X[:9], Y[:9]), "validation_freq": 2},
            {"validation_data": (X[:9], Y[:9]), "validation_freq": [1, 3]},
            {"validation_split": 0.5, "sample_weight": WEIGHTS},
        ],
        ids=lambda a: str(list(a)),
    )
    def test_equals_keras(self, arguments):
        check_fit(classifier, X, Y, epochs=3, batch_size=6, **arguments)

    def test_data_and_split(self):
        """The data wins: nothing is split off."""
        twins = check_fit(
            classifier,
            X,
            Y,
            batch_size=6,
            validation_split=0.5,
            validation_data=(X[:9], Y[:9]),
        )
        assert "val_loss" in twins.history.history


class TestWeighting:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"sample_weight": WEIGHTS},
            {"sample_weight": WEIGHTS[:, None]},
            {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}},
            {"class_weight": {0: 0.5, 2: 4.0}},
            {"sample_weight": np.zeros(22)},
        ],
        ids=lambda a: str(list(a)),
    )
    @pytest.mark.parametrize("labels", [Y, ONE_HOT], ids=["sparse", "one_hot"])
    def test_equals_keras(self, arguments, labels):
        kind = "sparse_categorical" if labels.ndim == 1 else "categorical"

        def make(k):
            return classifier(
                k,
                loss=f"{kind}_crossentropy",
                metrics=["accuracy"],
                weighted_metrics=["accuracy", f"{kind}_crossentropy"],
            )

        check_fit(make, X, labels, epochs=2, batch_size=8, **arguments)

    def test_weights_per_time_step(self):
        x = RNG.standard_normal((10, 4, 3))
        y = RNG.standard_normal((10, 4, 2))

        def make(k):
            model = k.Sequential([k.Input((4, 3)), k.layers.Dense(2)])
            return compiled(model, loss="mse", weighted_metrics=["mae"])

        weights = RNG.uniform(0, 2, (10, 4))
        check_fit(make, x, y, sample_weight=weights, batch_size=4)


def generator(epochs_of_batches):
    """A generator of batches that never ends."""

    def make():
        i = 0
        while True:
            part = slice(5 * (i % 4), 5 * (i % 4) + 5)
            yield X[part], Y[part]
            i += 1

    return make()


class TestSources:
    def test_generator(self):
        check_fit(
            classifier,
            PerLibrary(lambda _: generator(4)),
            epochs=2,
            steps_per_epoch=3,
            shuffle=False,
            validation_data=PerLibrary(lambda _: generator(4)),
            validation_steps=2,
        )

    def test_generator_with_weights(self):
        def batches(_):
            for i in range(0, 20, 5):
                yield X[i : i + 5], Y[i : i + 5], WEIGHTS[i : i + 5]

        with pytest.warns(UserWarning, match="ran out of data"):
            check_fit(classifier, PerLibrary(batches), shuffle=False, epochs=2)

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_py_dataset(self, shuffle):
        def make(k):
            class Batches(k.utils.PyDataset):
                def __len__(self):
                    return 4

                def __getitem__(self, i):
                    return X[5 * i : 5 * i + 5], Y[5 * i : 5 * i + 5]

            return Batches()

        check_fit(
            classifier,
            PerLibrary(make),
            epochs=3,
            shuffle=shuffle,
            validation_data=PerLibrary(make),
        )

    def test_no_targets(self):
        """The penalties alone are a loss."""

        def make(k):
            model = k.Sequential(
                [
                    k.Input((5,)),
                    k.layers.Dense(
                        3, kernel_regularizer="l2", activity_regularizer="l1"
                    ),
                ]
            )
            return compiled(model)

        check_fit(make, X, batch_size=8, epochs=2)


class TestReports:
    def test_history_object(self):
        twins = check_fit(classifier, X, Y, epochs=2, batch_size=8)
        assert twins.history is twins.ours.history
        assert twins.history.model is twins.ours
        assert set(twins.history.params) == set(twins.keras_history.params)
        assert_equal(twins.history.params, twins.keras_history.params)
        for values in twins.history.history.values():
            assert all(type(v) is float for v in values)

    def test_fit_goes_on_where_it_was(self):
        def fit_twice(k):
            model = classifier(k)
            model.fit(X, Y, epochs=2, verbose=0, batch_size=8)
            return model

        twins = check_fit(fit_twice, X, Y, epochs=3, initial_epoch=2, batch_size=8)
        assert twins.ours.history.epoch == [2]

    def test_recompiling_starts_the_optimizer_anew(self):
        def make(k):
            model = classifier(k)
            model.fit(X, Y, verbose=0, batch_size=8)
            return compiled(model, k.optimizers.SGD(0.01), loss="mse", metrics=["mae"])

        check_fit(make, X, ONE_HOT, batch_size=8)

    def test_recompiling_keeps_what_is_not_given(self):
        def make(k):
            return compiled(classifier(k), k.optimizers.SGD(0.01))

        twins = check_fit(make, X, Y, batch_size=8)
        assert list(twins.history.history) == ["accuracy", "loss"]
