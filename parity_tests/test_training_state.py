"""What `fit` changes and what it leaves alone: frozen layers, penalties, constraints,
optimizers, moving averages, random masks, dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    Twins,
    call,
    check_fit,
    compare_gradients,
    compare_histories,
    compare_variables,
    compiled,
    pair,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(2)
X = RNG.standard_normal((20, 6))
Y = RNG.standard_normal((20, 2))
IMAGES = RNG.standard_normal((10, 6, 6, 2))
LABELS = RNG.integers(0, 3, 10)


def stack(k, *layers, shape=(6,), optimizer="sgd", loss="mse", **options):
    """A compiled Sequential of these layers."""
    return compiled(
        k.Sequential([k.Input(shape), *layers]), optimizer, loss=loss, **options
    )


class TestOptimizers:
    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
            ("SGD", {"clipnorm": 0.1}),
            ("SGD", {"global_clipnorm": 0.1, "weight_decay": 0.1}),
            ("RMSprop", {"centered": True, "momentum": 0.5}),
            ("Adam", {}),
            ("Adam", {"amsgrad": True, "clipvalue": 0.01}),
            ("AdamW", {"weight_decay": 0.1}),
            ("Adam", {"use_ema": True, "ema_momentum": 0.7}),
            ("Adam", {"use_ema": True, "ema_overwrite_frequency": 2}),
            ("SGD", {"gradient_accumulation_steps": 3}),
        ],
        ids=str,
    )
    def test_equals_keras(self, name, config):
        def make(k):
            return stack(
                k,
                k.layers.Dense(4, activation="tanh"),
                k.layers.Dense(2),
                optimizer=getattr(k.optimizers, name)(**config),
            )

        check_fit(make, X, Y, batch_size=5, epochs=3, steps=12)

    @pytest.mark.parametrize("name", ["sgd", "adam", "RMSprop"])
    def test_by_name(self, name):
        def make(k):
            return stack(k, k.layers.Dense(2, activation="tanh"), optimizer=name)

        check_fit(make, X, Y, batch_size=5)

    @pytest.mark.parametrize(
        ("schedule", "config"),
        [
            ("ExponentialDecay", {"decay_steps": 3, "decay_rate": 0.5}),
            (
                "ExponentialDecay",
                {"decay_steps": 3, "decay_rate": 0.5, "staircase": True},
            ),
            (
                "CosineDecay",
                {"decay_steps": 8, "warmup_target": 0.3, "warmup_steps": 2},
            ),
            ("PolynomialDecay", {"decay_steps": 5, "power": 2.0}),
        ],
        ids=str,
    )
    def test_schedules(self, schedule, config):
        def make(k):
            rate = getattr(k.optimizers.schedules, schedule)(0.1, **config)
            return stack(k, k.layers.Dense(2), optimizer=k.optimizers.SGD(rate))

        check_fit(make, X, Y, batch_size=5, epochs=3, steps=12)

    def test_learning_rate_set_between_fits(self):
        def make(k):
            model = stack(k, k.layers.Dense(2))
            model.fit(X, Y, verbose=0, batch_size=5)
            model.optimizer.learning_rate = 0.003
            return model

        twins = check_fit(make, X, Y, batch_size=5)
        assert_equal(
            float(np.asarray(twins.ours.optimizer.learning_rate)),
            float(twins.theirs.optimizer.learning_rate),
        )


class TestFrozen:
    def test_a_frozen_layer_stays_as_it_is(self):
        def make(k):
            first = k.layers.Dense(4, activation="tanh", trainable=False)
            return stack(k, first, k.layers.Dense(2))

        twins = check_fit(make, X, Y, batch_size=5)
        assert len(twins.ours.trainable_weights) == 2

    def test_a_frozen_layer_in_the_middle(self):
        def make(k):
            middle = k.layers.Dense(4, activation="tanh")
            model = k.Sequential(
                [k.Input((6,)), k.layers.Dense(5), middle, k.layers.Dense(2)]
            )
            middle.trainable = False
            return compiled(model, "adam", loss="mse")

        check_fit(make, X, Y, batch_size=5)

    def test_a_frozen_nested_model(self):
        def make(k):
            inner = k.Sequential([k.Input((6,)), k.layers.Dense(4), k.layers.Dense(3)])
            inner.trainable = False
            return stack(k, inner, k.layers.Dense(2))

        check_fit(make, X, Y, batch_size=5)

    def test_frozen_batch_normalization_runs_in_inference_mode(self):
        def make(k):
            norm = k.layers.BatchNormalization(momentum=0.5)
            norm.trainable = False
            return stack(k, k.layers.Dense(4), norm, k.layers.Dense(2))

        check_fit(make, X, Y, batch_size=5)

    def test_freezing_and_thawing_between_fits(self):
        def make(k):
            model = stack(k, k.layers.Dense(4), k.layers.Dense(2), optimizer="sgd")
            model.layers[0].trainable = False
            compiled(model, loss="mse")
            model.fit(X, Y, verbose=0, batch_size=5)
            model.trainable = False
            model.trainable = True
            return compiled(model, "adam", loss="mse")

        check_fit(make, X, Y, batch_size=5)

    def test_thawing_a_model_thaws_its_layers(self):
        """Keras on TensorFlow alone does nothing here: its base class for tracking
        skips an assignment of the value that an attribute already has."""
        model = stack(minikeras, minikeras.layers.Dense(4), minikeras.layers.Dense(2))
        model.layers[0].trainable = False
        model.trainable = True
        assert len(model.trainable_weights) == 4

    def test_nothing_to_train(self):
        model = stack(minikeras, minikeras.layers.Dense(2, trainable=False))
        before = model.get_weights()
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            model.fit(X, Y, verbose=0, batch_size=20)
        for a, b in zip(model.get_weights(), before, strict=True):
            assert_equal(a, b)


class TestPenaltiesAndConstraints:
    def test_regularizers(self):
        def make(k):
            r = k.regularizers
            return stack(
                k,
                k.layers.Dense(
                    4,
                    activation="tanh",
                    kernel_regularizer=r.L1L2(0.1, 0.2),
                    bias_regularizer="l1",
                    activity_regularizer=r.L2(0.3),
                ),
                k.layers.ActivityRegularization(l1=0.1, l2=0.2),
                k.layers.Dense(2, kernel_regularizer="l1"),
            )

        check_fit(make, X, Y, batch_size=7, epochs=2, validation_split=0.2)

    def test_orthogonal_regularizer(self):
        def make(k):
            r = k.regularizers.OrthogonalRegularizer(0.1)
            return stack(k, k.layers.Dense(2, kernel_regularizer=r))

        check_fit(make, X, Y, batch_size=7, dtype="float32")  # float64 fails in Keras

    def test_a_shared_layer_is_penalized_once_its_activities_twice(self):
        def make(k):
            a, b = k.Input((6,)), k.Input((6,))
            shared = k.layers.Dense(
                2, kernel_regularizer="l2", activity_regularizer="l1"
            )
            model = k.Model(
                [a, b],
                k.layers.Subtract()([shared(a), shared(b)])
                if False
                else shared(a) - shared(b),
            )
            return compiled(model, loss="mse")

        check_fit(make, [X, X[::-1] + 1], Y, batch_size=7)

    def test_penalties_in_a_nested_model(self):
        def make(k):
            inner = k.Sequential(
                [
                    k.Input((6,)),
                    k.layers.Dense(
                        3, kernel_regularizer="l2", activity_regularizer="l2"
                    ),
                ]
            )
            return stack(k, inner, k.layers.Dense(2))

        check_fit(make, X, Y, batch_size=7)

    def test_a_regularized_frozen_layer_has_no_penalty(self):
        def make(k):
            first = k.layers.Dense(3, kernel_regularizer="l2", trainable=False)
            return stack(k, first, k.layers.Dense(2))

        check_fit(make, X, Y, batch_size=7)

    def test_constraints(self):
        def make(k):
            c = k.constraints
            return stack(
                k,
                k.layers.Dense(
                    4, kernel_constraint=c.MaxNorm(0.5), bias_constraint="non_neg"
                ),
                k.layers.Dense(2, kernel_constraint=c.UnitNorm()),
            )

        check_fit(make, X, Y, batch_size=7, epochs=2)


class TestStatefulLayers:
    def test_batch_normalization(self):
        def make(k):
            return stack(
                k,
                k.layers.Conv2D(3, 3, use_bias=False),
                k.layers.BatchNormalization(momentum=0.7),
                k.layers.ReLU(),
                k.layers.MaxPooling2D(),
                k.layers.Flatten(),
                k.layers.Dense(3, activation="softmax"),
                shape=(6, 6, 2),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        check_fit(make, IMAGES, LABELS, batch_size=4, epochs=2, validation_split=0.3)

    @pytest.mark.parametrize(
        "name", ["Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout"]
    )
    def test_random_layers(self, name):
        def make(k):
            return stack(
                k,
                k.layers.Dense(8, activation="tanh"),
                getattr(k.layers, name)(0.4),
                k.layers.Dense(2),
            )

        check_fit(make, X, Y, batch_size=7, epochs=2, validation_split=0.2)

    def test_dropout_in_float32(self):
        def make(k):
            return stack(k, k.layers.Dense(8), k.layers.Dropout(0.4), k.layers.Dense(2))

        check_fit(make, X, Y, batch_size=7, epochs=2, dtype="float32")

    def test_lstm(self):
        def make(k):
            return stack(
                k,
                k.layers.LSTM(4, return_sequences=True, dropout=0.2),
                k.layers.LSTM(3, recurrent_dropout=0.2),
                k.layers.Dense(2),
                shape=(5, 3),
                optimizer="adam",
            )

        x = RNG.standard_normal((20, 5, 3))
        check_fit(make, x, Y, batch_size=7, epochs=2)

    def test_stateful_lstm(self):
        def make(k):
            model = k.Sequential(
                [
                    k.Input(batch_shape=(4, 5, 3)),
                    k.layers.LSTM(4, stateful=True),
                    k.layers.Dense(2),
                ]
            )
            return compiled(model, loss="mse")

        x = RNG.standard_normal((20, 5, 3))
        check_fit(make, x, Y, batch_size=4, epochs=2, shuffle=False)


class TestDtypes:
    def test_layers_of_their_own_dtype(self):
        """A float64 layer between float32 ones: gradients are cast at the borders."""

        def make(k):
            return stack(
                k,
                k.layers.Dense(4, activation="tanh"),
                k.layers.Dense(3, dtype="float64"),
                k.layers.Dense(2),
            )

        # The numbers that reach it have passed through float32.
        check_fit(make, X, Y, batch_size=7, dtype="float32", precision="float32")

    def test_a_float64_model_under_float32(self):
        def make(k):
            return stack(
                k,
                k.layers.Dense(4, activation="tanh", dtype="float64"),
                k.layers.Dense(2, dtype=k.DTypePolicy("float64")),
            )

        check_fit(make, X, Y, batch_size=7, dtype="float32")

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_everything_has_the_default_dtype(self, dtype):
        with default_dtype(dtype):
            model = stack(
                minikeras,
                minikeras.layers.Dense(4, activation="softmax"),
                minikeras.layers.BatchNormalization(),
                minikeras.layers.Dense(2),
                optimizer="adam",
            )
            model.fit(X, Y, verbose=0)
            assert {v.dtype for v in model.weights} == {dtype}
            floats = [
                v.dtype for v in model.optimizer.variables if "int" not in v.dtype
            ]
            assert set(floats) == {dtype}
            assert model.predict(X, verbose=0).dtype == dtype
            assert model(X).dtype == dtype


class TestWholeRuns:
    """From the seed alone, with nothing copied from one library to the other."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_from_the_seed_alone(self, dtype):
        def make(k):
            return stack(
                k,
                k.layers.Conv2D(4, 3, activation="relu"),
                k.layers.MaxPooling2D(2),
                k.layers.Flatten(),
                k.layers.Dropout(0.3),
                k.layers.Dense(3, activation="softmax"),
                shape=(6, 6, 2),
                optimizer="adam",
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )

        histories, models = [], []
        with default_dtype(dtype):
            for k in (minikeras, keras):
                k.utils.clear_session()
                k.utils.set_random_seed(7)
                models.append(make(k))
                histories.append(
                    models[-1].fit(IMAGES, LABELS, epochs=4, batch_size=4, verbose=0)
                )
            compare_histories(*histories, steps=12)
            compare_variables(Twins(*models), steps=12)

    def test_gradients_of_a_whole_model(self):
        def make(k):
            return stack(
                k,
                k.layers.Conv2D(4, 3, activation="relu"),
                k.layers.BatchNormalization(),
                k.layers.AveragePooling2D(2),
                k.layers.Flatten(),
                k.layers.Dense(3, activation="softmax"),
                shape=(6, 6, 2),
                loss="sparse_categorical_crossentropy",
            )

        for dtype in ("float32", "float64"):
            with default_dtype(dtype):
                twins = pair(make)
                compare_gradients(twins, IMAGES, LABELS)
                call(twins.ours, "fit", IMAGES, LABELS)
                call(twins.theirs, "fit", IMAGES, LABELS)
                compare_variables(twins)
