"""Loss functions and `Loss.call`s made of operations: trained as in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import losses, ops
from parity_tests.functions import default_dtype
from parity_tests.model_twins import check_fit, compiled
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close

RNG = np.random.default_rng(5)
X = RNG.standard_normal((12, 4))
Y = RNG.standard_normal((12, 3))
ONE_HOT = np.eye(3)[RNG.integers(0, 3, 12)]
CLASSES = RNG.integers(0, 3, 12)
WEIGHT = RNG.random(12)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
RUN = {"batch_size": 5, "epochs": 2, "validation_split": 0.25}


# --- Functions: `make(k)` gives one for a framework -----------------------------------


def squares(k):
    def my_loss(y_true, y_pred):
        return k.ops.mean(k.ops.square(y_true - y_pred), axis=-1)

    return my_loss


def one_number(k):
    """Not one value per example."""

    def rmse(y_true, y_pred):
        return k.ops.sqrt(k.ops.mean((y_true - y_pred) ** 2))

    return rmse


def of_the_batch(k):
    """Each value depends on all examples, and on their number."""

    def spread(y_true, y_pred):
        centred = y_pred - k.ops.mean(y_pred, axis=0, keepdims=True)
        size = k.ops.cast(k.ops.shape(y_pred)[0], y_pred.dtype)
        return k.ops.sum(k.ops.abs(centred - y_true), axis=-1) / size

    return spread


def of_other_losses(k):
    def both(y_true, y_pred):
        own = k.losses.huber(y_true, y_pred, 0.5)
        return own + 0.2 * k.losses.MeanAbsoluteError()(y_true, y_pred)

    return both


def factory(k):
    def weighted(alpha):
        def inner(y_true, y_pred):
            error = y_true - y_pred
            return k.ops.where(error > 0, alpha * error, (alpha - 1) * error)

        return inner

    return weighted(0.3)


def object_with_call(k):
    class Quantile(k.losses.Loss):
        def __init__(self, q=0.3, **kwargs):
            super().__init__(**kwargs)
            self.q = q

        def call(self, y_true, y_pred):
            error = y_true - y_pred
            largest = k.ops.maximum(self.q * error, (self.q - 1) * error)
            return k.ops.mean(largest, axis=-1)

    return Quantile(reduction="sum")


def call_of_a_parent(k):
    class Twice(k.losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            return 2 * super().call(y_true, y_pred) + k.ops.sum(abs(y_pred), axis=-1)

    return Twice()


MADE = (squares, one_number, of_the_batch, of_other_losses, factory, object_with_call,
        call_of_a_parent)  # fmt: skip


def model_with(loss: Callable, final: str | None = None, **options: Any) -> Callable:
    """`make(k)` of a small model trained with it."""

    def make(k: Any) -> Any:
        x = k.Input((4,))
        h = k.layers.Dense(3, activation="tanh", kernel_regularizer="l2")(x)
        y = k.layers.Dense(3, activation=final)(h)
        return compiled(k.Model(x, y), loss=loss(k), **options)

    return make


@DTYPES
@pytest.mark.parametrize("loss", MADE, ids=lambda f: f.__name__)
def test_losses_train(loss, dtype):
    check_fit(model_with(loss), X, Y, dtype=dtype, **RUN)


@pytest.mark.parametrize("loss", [squares, of_the_batch])
def test_compiled(loss):
    check_fit(model_with(loss), X, Y, eager=False, **RUN)


@DTYPES
def test_weights_of_examples_and_of_classes(dtype):
    for loss in (squares, one_number, object_with_call):
        check_fit(model_with(loss), X, Y, sample_weight=WEIGHT, dtype=dtype, **RUN)

    def sparse(k):
        def by_class(y_true, y_pred):
            return k.losses.sparse_categorical_crossentropy(y_true, y_pred)

        return by_class

    weights = {0: 0.5, 1: 2.0, 2: 1.0}
    run = {"batch_size": 5, "epochs": 2, "class_weight": weights}
    check_fit(model_with(sparse, "softmax"), X, CLASSES, dtype=dtype, **run)


@DTYPES
@pytest.mark.parametrize("final", ["softmax", "sigmoid"])
def test_crossentropies_inside_take_the_logits(final, dtype):
    def entropies(k):
        def entropy(y_true, y_pred):
            loss = k.losses.categorical_crossentropy(y_true, y_pred)
            loss = loss + k.losses.BinaryCrossentropy()(y_true, y_pred)
            return loss + k.ops.mean(k.ops.square(y_pred), axis=-1)

        return entropy

    def scaled(x):  # saturated: with probabilities alone, the numbers are others
        return x * 40

    make = model_with(entropies, final)
    check_fit(make, scaled(X), ONE_HOT, dtype=dtype, **RUN)


def test_several_outputs():
    def make(k):
        x = k.Input((4,))
        a = k.layers.Dense(3, name="a")(x)
        b = k.layers.Dense(3, activation="softmax", name="b")(x)
        model = k.Model(x, {"a": a, "b": b})
        loss = {"a": squares(k), "b": object_with_call(k)}
        return compiled(model, loss=loss, loss_weights={"a": 0.5, "b": 2.0})

    check_fit(make, X, {"a": Y, "b": ONE_HOT}, **RUN)


def test_masks():
    def make(k):
        x = k.Input((4, 2))
        h = k.layers.Masking()(x)
        y = k.layers.TimeDistributed(k.layers.Dense(2))(h)
        return compiled(k.Model(x, y), loss=squares(k))

    x = RNG.standard_normal((8, 4, 2))
    x[::2, 2:] = 0
    check_fit(make, x, RNG.standard_normal((8, 4, 2)), batch_size=4, epochs=2)


def test_a_loss_with_a_layer_of_the_model():
    """Its weights get gradients both ways."""

    def make(k):
        dense = k.layers.Dense(3)

        def loss(y_true, y_pred):
            return k.ops.mean(k.ops.square(dense(y_pred) - y_true), axis=-1)

        x = k.Input((3,))
        return compiled(k.Model(x, dense(x)), loss=loss)

    check_fit(make, X[:, :3], Y, batch_size=4, epochs=2)


def test_in_compute_loss():
    def make(k):
        term = object_with_call(k)

        class Own(k.Model):
            def compute_loss(
                self, x=None, y=None, y_pred=None, sample_weight=None, training=True
            ):
                parent = super().compute_loss(x, y, y_pred, sample_weight)
                return parent + term(y, y_pred) + call_of_a_parent(k)(y, y_pred)

        x = k.Input((4,))
        return compiled(Own(x, k.layers.Dense(3)(x)), loss=squares(k))

    check_fit(make, X, Y, **RUN)


def test_metrics_of_the_users_own():
    def make(k):
        def largest(y_true, y_pred):
            return k.ops.max(k.ops.abs(y_true - y_pred), axis=-1)

        x = k.Input((4,))
        model = k.Model(x, k.layers.Dense(3)(x))
        return compiled(model, loss=squares(k), metrics=[largest, squares(k)])

    check_fit(make, X, Y, **RUN)


# --- By hand, refused, saved ----------------------------------------------------------


def test_by_hand():
    """Forward and backward; a call runs the Python in it each time, as in Keras."""
    loss = object_with_call(minikeras)
    y_true, y_pred = Y[:3].astype("float32"), (Y[:3] * 2).astype("float32")
    value, residuals = loss.forward(y_true, y_pred)
    assert_close(value, loss(y_true, y_pred), k=9)
    dy = loss.backward(1.0, residuals)
    slope = np.where(y_true - y_pred > 0, -0.3, 0.7).astype("float32") / 3
    assert_close(dy, slope, k=9)
    assert dy.dtype == "float32"
    loss.q = 0.5
    assert loss(y_true, y_pred) != value


def with_numpy(y_true, y_pred):
    return np.abs(y_true - y_pred).sum(axis=-1)


def with_an_if(y_true, y_pred):
    return abs(y_true - y_pred) if ops.sum(y_true) > 0 else y_pred


def without_a_tensor(y_true, y_pred):
    return 3.0


@pytest.mark.parametrize("loss", [with_numpy, with_an_if, without_a_tensor])
def test_what_has_no_gradient_evaluates_and_is_refused_in_training(loss):
    model = minikeras.Sequential([minikeras.Input((4,)), minikeras.layers.Dense(3)])
    model.compile(loss=loss)
    assert np.isfinite(model.evaluate(X, Y, verbose=0))
    with pytest.raises(NotImplementedError, match=r"keras\.ops.*(?s:.)*Cause: "):
        model.fit(X, Y, verbose=0)


def test_own_mistakes_show_as_they_are():
    def wrong(y_true, y_pred):
        return ops.square(y_true - y_pred[:, :2])

    model = minikeras.Sequential([minikeras.Input((4,)), minikeras.layers.Dense(3)])
    model.compile(loss=wrong)
    with pytest.raises(ValueError, match=r"\(12,3\) \(12,2\) .*'wrong', for y_true of"):
        model.fit(X, Y, verbose=0)

    class NotInitialized(losses.Loss):
        def __init__(self, alpha):
            self.alpha = alpha

        def call(self, y_true, y_pred):
            return self.alpha * abs(y_true - y_pred)

    model.compile(loss=NotInitialized(2.0))
    with pytest.raises(AttributeError, match=r"call `super\(\).__init__"):
        model.fit(X, Y, verbose=0)


def test_call_itself_cannot_be_overridden():
    with pytest.raises(NotImplementedError, match="Define `call"):

        class Own(losses.Loss):
            def __call__(self, y_true, y_pred, sample_weight=None):
                return 0.0


def test_batches_are_not_cut():
    loss = losses.LossFunctionWrapper(squares(minikeras))
    assert not loss.splittable(Y, Y)
    assert not object_with_call(minikeras).splittable(Y, Y)


@pytest.mark.parametrize("kind", ["function", "registered", "object"])
def test_saved_and_loaded(kind, tmp_path):
    def cubes(y_true, y_pred):
        return ops.mean(abs(y_true - y_pred) ** 3, axis=-1)

    class Cubes(losses.Loss):
        def call(self, y_true, y_pred):
            return cubes(y_true, y_pred)

    objects = {"cubes": cubes, "Cubes": Cubes}
    loss = Cubes(reduction="sum") if kind == "object" else cubes
    if kind == "registered":
        minikeras.saving.register_keras_serializable("tests")(cubes)
        objects = {}
    model = minikeras.Sequential([minikeras.Input((4,)), minikeras.layers.Dense(3)])
    model.compile("adam", loss=loss)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    back = minikeras.models.load_model(tmp_path / "m.keras", custom_objects=objects)
    one, other = (m.fit(X, Y, verbose=0).history["loss"] for m in (model, back))
    assert one == other


def test_a_file_with_an_unknown_loss_is_refused(tmp_path):
    """As in Keras, but as a ValueError, like all that is refused in files."""
    for k, error in ((minikeras, ValueError), (keras, TypeError)):
        model = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
        model.compile("adam", loss=squares(k))
        model.fit(X, Y, verbose=0)
        model.save(tmp_path / "m.keras")
        with pytest.raises(error, match="my_loss"):
            k.models.load_model(tmp_path / "m.keras")


def test_dtype_is_that_of_the_loss():
    seen = []

    class Seen(losses.Loss):
        def call(self, y_true, y_pred):
            seen.append((y_true.dtype, y_pred.dtype))
            return ops.square(y_true - y_pred)

    loss = Seen(dtype="float64")
    value, residuals = loss.forward(CLASSES, X[:, 0].astype("float32"))
    assert seen == [("float64", "float64")] and value.dtype == "float64"
    assert loss.backward(1.0, residuals).dtype == "float32"
    with default_dtype("float64"):
        assert Seen().forward(Y, Y)[0].dtype == "float64"
