"""Models with a `train_step`, `test_step`, `predict_step` of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

import minikeras
from parity_tests.functions import default_dtype
from parity_tests.model_twins import (
    call,
    check_fit,
    compare_logs,
    compare_numbers,
    compiled,
    pair,
)
from parity_tests.oracle import keras, tf
from parity_tests.tolerance import assert_equal

RNG = np.random.default_rng(8)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))


def own_train_step(k: Any) -> type:
    """The loop of Keras's guide on custom training, and the same by hand."""

    class Own(k.Model):
        def train_step(self, data):
            x, y = data[:2]
            if k is keras:
                with tf.GradientTape() as tape:
                    y_pred = self(x, training=True)
                    loss = self.compute_loss(y=y, y_pred=y_pred)
                variables = self.trainable_variables
                gradients = tape.gradient(loss, variables)
                self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            else:
                y_pred, residuals = self.forward(x, training=True)
                loss_object = minikeras.losses.MeanSquaredError()
                loss, loss_residuals = loss_object.forward(y, y_pred)
                grads = minikeras.Gradients()
                self.backward(
                    loss_object.backward(1.0, loss_residuals), residuals, grads
                )
                self.optimizer.apply(grads, self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    return Own


class TestSteps:
    def test_train_step(self):
        def make(k):
            x = k.Input((4,))
            h = k.layers.Dense(3, activation="tanh")(x)
            return compiled(own_train_step(k)(x, k.layers.Dense(2)(h)), loss="mse")

        check_fit(make, X, Y, batch_size=5, epochs=2)

    def test_train_step_with_own_metrics(self):
        def make(k):
            base = own_train_step(k)

            class WithMetric(base):
                def __init__(self, *args, **kwargs):
                    super().__init__(*args, **kwargs)
                    self.mae = k.metrics.MeanAbsoluteError(name="mae")

                @property
                def metrics(self):
                    return [self.mae]

            x = k.Input((4,))
            return compiled(WithMetric(x, k.layers.Dense(2)(x)), loss="mse")

        check_fit(make, X, Y, batch_size=5, epochs=2)

    def test_test_and_predict_step(self):
        def make(k):
            class Own(k.Model):
                def test_step(self, data):
                    x, y = data[:2]
                    return {"size": x.shape[0], "sum": k_sum(y)}

                def predict_step(self, data):
                    return super().predict_step(data) * 2

            x = k.Input((4,))
            return compiled(Own(x, k.layers.Dense(2)(x)), loss="mse")

        def k_sum(y):
            return np.sum(np.asarray(y))

        with default_dtype("float64"):
            twins = pair(make)
            twins.theirs.run_eagerly = True
            found = [
                call(m, "evaluate", X, Y, batch_size=5, return_dict=True)
                for m in twins[:2]
            ]
            compare_logs(*found)
            compare_numbers(*(call(m, "predict", X) for m in twins[:2]))

    def test_compute_metrics(self):
        def make(k):
            class Own(k.Model):
                def compute_metrics(self, x, y, y_pred, sample_weight=None):
                    found = super().compute_metrics(x, y, y_pred, sample_weight)
                    return {**found, "constant": 3.0}

            x = k.Input((4,))
            return compiled(Own(x, k.layers.Dense(2)(x)), loss="mse", metrics=["mae"])

        check_fit(make, X, Y, batch_size=5, epochs=2, validation_split=0.25)

    def test_a_subclass_called_with_inputs_and_outputs_is_functional(self):
        for k in (minikeras, keras):

            class Own(k.Model):
                pass

            x = k.Input((4,))
            model = Own(x, k.layers.Dense(2)(x), name="own")
            assert isinstance(model, k.Model) and model.name == "own"
            assert model.layers[0].name.startswith("input_layer")
            assert_equal(model.input_shape, (None, 4))
