"""Models with a `compute_loss` of their own: trained, evaluated, and refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import layers, losses
from parity_tests.functions import default_dtype
from parity_tests.model_twins import check_fit, compiled, pair
from parity_tests.tolerance import assert_close, assert_equal

RNG = np.random.default_rng(12)
X = RNG.standard_normal((12, 4))
Y = RNG.standard_normal((12, 2))
ONE_HOT = np.eye(3)[RNG.integers(0, 3, 12)]
WEIGHT = RNG.random(12)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
RUN = {"batch_size": 5, "epochs": 2, "validation_split": 0.25}


def model_with(compute_loss: Callable, output: Callable | None = None) -> Callable:
    """`make(k)` of a model whose `compute_loss(self, k, parent, x, y, y_pred, weight,
    training)` is the one given; `parent` is that of the class above."""

    def make(k: Any) -> Any:
        class Own(k.Model):
            def compute_loss(
                self, x=None, y=None, y_pred=None, sample_weight=None, training=True
            ):
                parent = super().compute_loss
                return compute_loss(
                    self, k, parent, x, y, y_pred, sample_weight, training
                )

        x = k.Input((4,))
        h = k.layers.Dense(3, activation="tanh", kernel_regularizer="l2")(x)
        y = output(k)(h) if output else k.layers.Dense(2)(h)
        return compiled(Own(x, y), loss="mse", metrics=["mae"])

    return make


def doubled(self, k, parent, x, y, y_pred, weight, training):
    return parent(x, y, y_pred, weight, training) * 2


def with_term(self, k, parent, x, y, y_pred, weight, training):
    loss = parent(x, y, y_pred, weight)
    return loss + 0.3 * k.losses.Huber()(y, y_pred)


def with_other_predictions(self, k, parent, x, y, y_pred, weight, training):
    return parent(x, y, k.activations.tanh(y_pred * 2) - 1, weight)


def fully_own(self, k, parent, x, y, y_pred, weight, training):
    loss = k.losses.MeanSquaredError()(y, y_pred, sample_weight=weight)
    return loss + sum(self.losses)


def without_penalties(self, k, parent, x, y, y_pred, weight, training):
    return k.losses.LogCosh(reduction="sum")(y, y_pred)


def of_the_inputs(self, k, parent, x, y, y_pred, weight, training):
    difference = k.losses.MeanAbsoluteError()(x[:, :2] * y, y_pred)
    return difference / 3 - 0.5 * k.losses.CosineSimilarity()(y, y_pred)


def of_functions(self, k, parent, x, y, y_pred, weight, training):
    """An array: its sum is minimized, its mean reported."""
    return k.losses.huber(y, y_pred, 0.5) + k.losses.mean_squared_error(y, y_pred)


def of_operators(self, k, parent, x, y, y_pred, weight, training):
    return abs(y_pred - y) ** 1.5


def of_operations(self, k, parent, x, y, y_pred, weight, training):
    """As in Keras's documentation."""
    loss = k.ops.mean((y_pred - y) ** 2)
    loss += k.ops.sum(self.losses)
    return loss + 0.01 * k.ops.sum(k.ops.square(self.trainable_variables[0]))


def with_a_gradient_stopped(self, k, parent, x, y, y_pred, weight, training):
    target = k.ops.stop_gradient(y_pred) * 0.9
    return parent(x, y, y_pred) + k.losses.MeanSquaredError()(target, y_pred)


def by_phase(self, k, parent, x, y, y_pred, weight, training):
    return parent(x, y, y_pred, weight) * (3.0 if training else 1.0)


OWN = (doubled, with_term, with_other_predictions, fully_own, without_penalties,
       of_the_inputs, of_functions, of_operators, of_operations,
       with_a_gradient_stopped, by_phase)  # fmt: skip


@DTYPES
@pytest.mark.parametrize("own", OWN, ids=lambda f: f.__name__)
def test_losses(own, dtype):
    check_fit(model_with(own), X, Y, dtype=dtype, **RUN)


@pytest.mark.parametrize("own", [doubled, by_phase])
def test_compiled(own):
    check_fit(model_with(own), X, Y, eager=False, **RUN)


@DTYPES
def test_sample_weights(dtype):
    for own in (doubled, fully_own):
        check_fit(model_with(own), X, Y, sample_weight=WEIGHT, dtype=dtype, **RUN)


@DTYPES
@pytest.mark.parametrize("factor", [1.0, 0.25, 0.0])
def test_activity_penalties_count_as_often_as_they_are_added(factor, dtype):
    def own(self, k, parent, x, y, y_pred, weight, training):
        loss = k.losses.MeanSquaredError()(y, y_pred)
        return loss + factor * sum(self.losses) if factor else loss

    def output(k):
        x = k.Input((3,))
        h = k.layers.Dense(4, activity_regularizer="l1", name="h")(x)
        y = k.layers.Dense(2, activity_regularizer="l2", name="y")(h)
        return k.Model(x, y, name="inner")

    check_fit(model_with(own, output), X, Y, dtype=dtype, **RUN)


@DTYPES
@pytest.mark.parametrize("final", ["softmax", "sigmoid"])
def test_logits(final, dtype):
    """Crossentropies take the logits, of the outputs and of nothing made of them."""

    def own(self, k, parent, x, y, y_pred, weight, training):
        loss = parent(x, y, y_pred, weight)
        loss = loss + k.losses.CategoricalCrossentropy()(y, y_pred)
        loss = loss + k.losses.categorical_crossentropy(y, y_pred)
        loss = loss + k.losses.BinaryCrossentropy()(y, k.ops.convert_to_tensor(y_pred))
        return loss + k.losses.CategoricalCrossentropy()(y, y_pred * 1.0)

    def make(k):
        output = model_with(own, lambda k: k.layers.Dense(3, activation=final))(k)
        return compiled(output, k.optimizers.SGD(1e-3), loss="categorical_crossentropy")

    check_fit(make, X * 40, ONE_HOT, dtype=dtype, **RUN)


@DTYPES
def test_masks_come_with_the_outputs(dtype):
    def make(k):
        class Own(k.Model):
            def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
                loss = super().compute_loss(x, y, y_pred, sample_weight)
                return loss + k.losses.MeanAbsoluteError()(y, y_pred)

        x = k.Input((5, 1))
        h = k.layers.LSTM(2, return_sequences=True)(k.layers.Masking()(x))
        return compiled(Own(x, h), loss="mse")

    x = RNG.standard_normal((6, 5, 1))
    x[:, 3:] = 0
    y = RNG.standard_normal((6, 5, 2))
    check_fit(make, x, y, dtype=dtype, batch_size=3)


@DTYPES
def test_metrics_updated_in_it(dtype):
    """The pattern of Keras's documentation."""

    def make(k):
        class Own(k.Model):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.loss_tracker = k.metrics.Mean(name="loss")
                self.error = k.metrics.MeanAbsoluteError(name="error")

            def compute_loss(self, x, y, y_pred, sample_weight, training=True):
                loss = k.losses.MeanSquaredError()(y, y_pred)
                loss += sum(self.losses)
                self.loss_tracker.update_state(loss)
                self.error.update_state(y, y_pred=y_pred, sample_weight=sample_weight)
                return loss

            def reset_metrics(self):
                self.loss_tracker.reset_state()
                self.error.reset_state()

            @property
            def metrics(self):
                return [self.loss_tracker, self.error]

        x = k.Input((4,))
        return compiled(Own(x, k.layers.Dense(2, kernel_regularizer="l1")(x)))

    check_fit(make, X, Y, dtype=dtype, **RUN)


@DTYPES
def test_variables_and_layers_in_it(dtype):
    """A trained factor of the loss, and a loss of features."""

    def make(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.out = k.layers.Dense(2)
                self.features = k.layers.Dense(3, activation="tanh")

            def build(self, input_shape):
                self.out.build(input_shape)
                self.features.build((None, 2))
                self.factor = self.add_weight(shape=(), name="factor")
                self.built = True

            def call(self, x):
                return self.out(x)

            def compute_loss(self, x, y, y_pred, sample_weight=None):
                loss = k.losses.MeanSquaredError()(y, y_pred) * self.factor
                target = self.features(y)
                return loss + abs(self.features(y_pred) - target)[:, 0]

        model = Own()
        model.build((None, 4))
        return compiled(model)

    check_fit(make, X, Y, dtype=dtype, batch_size=5, epochs=2)


@DTYPES
def test_several_outputs(dtype):
    def make(k):
        class Own(k.Model):
            def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
                loss = super().compute_loss(x, y, y_pred, sample_weight)
                return loss + k.losses.MeanAbsoluteError()(y["b"], y_pred["b"])

        x = k.Input((4,))
        outputs = {
            "a": k.layers.Dense(3, activation="softmax", name="a")(x),
            "b": k.layers.Dense(2, name="b")(x),
        }
        model = Own(inputs=x, outputs=outputs)
        return compiled(model, loss={"a": "categorical_crossentropy", "b": "mse"})

    check_fit(make, X, {"a": ONE_HOT, "b": Y}, dtype=dtype, **RUN)


def test_labels_that_are_integers():
    def own(self, k, parent, x, y, y_pred, weight, training):
        return k.losses.SparseCategoricalCrossentropy()(y, y_pred)

    def make(k):
        model = model_with(own, lambda k: k.layers.Dense(3, "softmax"))(k)
        return compiled(model, metrics=["accuracy"])

    check_fit(make, X, np.argmax(ONE_HOT, -1), **RUN)


def test_a_model_with_a_backward_of_its_own():
    class Linear(minikeras.Model):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 2), name="w")

        def forward(self, x, *, training=False):
            return x @ self.w.value, x

        def backward(self, dy, residuals, grads, need_dx=True):
            grads.add(self.w, residuals.T @ dy)
            return dy @ self.w.value.T

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            return 2 * losses.MeanSquaredError()(y, y_pred)

    model = Linear()
    model(X)
    before = model.w.numpy()
    compiled(model, "sgd")
    model.fit(X, Y, batch_size=12, verbose=0)
    x, y = X.astype("float32"), Y.astype("float32")
    gradient = 2 * x.T @ (x @ before - y) * np.float32(2 / y.size)
    assert_close(model.w.numpy(), before - np.float32(0.01) * gradient, k=24)


class TestRefused:
    """What cannot be traced, and what a trace would get wrong."""

    def fit(self, own: Callable, match: str, error: type = NotImplementedError) -> Any:
        with default_dtype("float64"):
            model = model_with(own)(minikeras)
            before = model.get_weights()
            with pytest.raises(error, match=match):
                model.fit(X, Y, verbose=0)
            for a, b in zip(before, model.get_weights(), strict=True):
                assert_equal(a, b)
        return model

    def test_numpy(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return np.mean((y - y_pred) ** 2)

        self.fit(own, "gradient of the `compute_loss` of Own is not known")

    def test_a_number(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return np.float64(0)

        self.fit(own, "it returned np.float64")

    @pytest.mark.parametrize("what", ["sum", "penalty", "losses", "float", "assign"])
    def test_values_of_variables(self, what):
        """They would be numbers without a gradient, silently."""

        def own(self, k, parent, x, y, y_pred, weight, training):
            kernel, bias = self.trainable_variables[:2]
            number = {
                "sum": lambda: np.sum(kernel),
                "penalty": lambda: k.regularizers.L2(0.1)(kernel),
                "losses": lambda: sum(self.layers[1].losses),
                "float": lambda: float(self.optimizer.learning_rate),
                "assign": lambda: bias.assign(np.zeros(bias.shape)),
            }[what]()
            return parent(x, y, y_pred) + number

        self.fit(own, "while `compute_loss` is traced")

    def test_targets_made_of_predictions(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return k.losses.MeanSquaredError()(y_pred * 2, y_pred)

        self.fit(own, "a target or a sample weight that depends on the model")

    def test_compiled_loss_of_such_targets(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return parent(x, y + y_pred, y_pred)

        self.fit(own, "a target or a sample weight that depends on the model")

    def test_results_of_metrics(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            self.metrics[0].update_state(1.0)
            return parent(x, y, y_pred) * self.metrics[0].result()

        model = self.fit(own, "`result\\(\\)` is not known")
        assert not {"update_state", "result"} & set(model.metrics[0].__dict__)

    def test_unequal_penalties(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            first, second = self.losses[:2]
            return parent(x, y, y_pred) + first - second

        def output(k):
            x = k.Input((3,))
            h = k.layers.Dense(4, activity_regularizer="l1", name="h")(x)
            y = k.layers.Dense(2, activity_regularizer="l2", name="y")(h)
            return k.Model(x, y, name="inner")

        model = model_with(own, output)(minikeras)
        with pytest.raises(NotImplementedError, match="unequally"):
            model.fit(X, Y, verbose=0)

    def test_nothing_to_compute(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return parent(x, y, y_pred)

        x = minikeras.Input((4,))
        model = type(model_with(own)(minikeras))(x, layers.Dense(2)(x))
        compiled(model, "sgd")
        with pytest.raises(ValueError, match="No loss to compute"):
            model.fit(X, Y, verbose=0)

    def test_after_a_failure_the_model_is_as_before(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return np.mean((y - y_pred) ** 2)

        model = self.fit(own, "not known")
        assert "_loss_trace" not in model.__dict__
        assert all(isinstance(loss, np.floating) for loss in model.losses)
        assert isinstance(model.trainable_variables[0].numpy(), np.ndarray)

    def test_evaluation_needs_no_gradient(self):
        def own(self, k, parent, x, y, y_pred, weight, training):
            return np.mean(np.abs(np.asarray(y) - np.asarray(y_pred)))

        with default_dtype("float64"):
            model = pair(model_with(own)).ours
            loss, mae = model.evaluate(X, Y, batch_size=12, verbose=0)
        assert_close(np.float64(loss), np.float64(mae))


def test_a_loss_of_symbolic_tensors_is_one():
    loss = losses.MeanSquaredError()(minikeras.Input((2,)), minikeras.Input((2,)))
    assert loss.shape == ()
