"""`teach.trace`: its numbers are those of Keras's tape; the model stays as it is."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
from hypothesis import given

import minikeras as mk
from minikeras import layers, tree
from minikeras.random import seed_generator
from minikeras.teach import Call, Trace, Update, trace
from minikeras.teach.trace_page import page
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.model_twins import pair
from parity_tests.oracle import keras, tf
from parity_tests.strategies import seeds
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
)
from parity_tests.trace_models import CASES

DTYPES = ["float32", "float64"]


def data(case, dtype):
    """x, y and sample weights of a case, floats in this dtype."""

    def cast(a):
        return a.astype(dtype) if a is not None and a.dtype.kind == "f" else a

    return tuple(tree.map_structure(cast, list(case[1:])))


def taped(model, x, y, sample_weight, names):
    """Keras's gradients: of the outputs of these layers, of weights, and of x."""
    outputs = [model.get_layer(name).output for name in names]
    probe = keras.Model(model.inputs, [outputs, model.outputs])
    flat = [tf.convert_to_tensor(a) for a in tree.flatten(x)]
    with tf.GradientTape() as tape:
        tape.watch(flat)
        inner, final = probe(flat if len(flat) > 1 else flat[0], training=True)
        y_pred = final[0]
        if len(final) > 1:
            y_pred = dict(zip(model.output_names, final, strict=True))
        loss = model.compute_loss(x, y, y_pred, sample_weight)
    found = tape.gradient(loss, [inner, model.trainable_variables, flat])
    return float(loss), found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["xor", "conv", "lstm", "branches"])
class TestAgainstKeras:
    def test_gradients_are_those_of_the_tape(self, name, dtype):
        case = CASES[name]
        with default_dtype(dtype):
            twins = pair(case.make)
            x, y, weight = data(case, dtype)
            found = trace(twins.ours, x, y, weight)
            calls = [c for c in found.backward if c.calls == 1 and c.parent is None]
            names = [c.name for c in calls]
            loss, (outputs, weights, inputs) = taped(twins.theirs, x, y, weight, names)
            if name == "branches":  # its output "q" alone has no trainable weights
                assert "q" in names
        assert_close(found.loss, np.asarray(loss, dtype), name="loss", k=100)
        for call, expected in zip(calls, outputs, strict=True):
            if expected is None:  # the loss looked at the logits
                assert call.doutputs is None
                assert call.dlogits is not None
            else:
                assert_close(
                    call.doutputs, expected.numpy(), name=f"d{call.name}", k=100
                )
        trained = [u for u in found.updates.values() if u.trainable]
        assert len(trained) == len(weights)
        for update, expected in zip(trained, weights, strict=True):
            assert_close(update.gradient, np.asarray(expected), name=update.name, k=100)
        for actual, expected in zip(tree.flatten(found.dx), inputs, strict=True):
            assert_close(actual, expected.numpy(), name="dx", k=100)

    def test_update_is_one_train_on_batch(self, name, dtype):
        case = CASES[name]
        with default_dtype(dtype):
            twins = pair(case.make)
            x, y, weight = data(case, dtype)
            for _ in range(2):  # the second with an optimizer that has a state
                found = trace(twins.ours, x, y, weight)
                kwargs = {} if weight is None else {"sample_weight": weight}
                twins.ours.train_on_batch(x, y, **kwargs)
                twins.theirs.train_on_batch(x, y, **kwargs)
                pairs = zip(twins.ours.weights, twins.theirs.weights, strict=True)
                for update, (ours, theirs) in zip(
                    found.updates.values(), pairs, strict=True
                ):
                    assert_close(update.after, ours.numpy(), name=update.name, k=100)
                    assert_trajectory_close(
                        update.after, theirs.numpy(), steps=2, name=update.name
                    )
                    assert_equal(update.difference, update.after - update.before)


def state(model):
    """Everything that a training step may change."""
    stateful = [x.states for x in model._all_sublayers() if hasattr(x, "states")]
    metrics = [v for m in model.metrics for v in m.variables]
    variables = [*model.variables, *model.optimizer.variables, *metrics]
    variables += [v for v in tree.flatten(stateful) if v is not None]
    return [v.numpy() for v in variables], model.optimizer.built


@given(make=sequentials() | functionals(), seed=seeds())
def test_drawn_models(make, seed):
    """Any model: the update is that of `train_on_batch`, which is held equal to Keras's
    elsewhere; and all of it can be written down."""
    x, y = make.data(3, seed, "float32")
    mk.utils.set_random_seed(seed % 2**32)
    model = make(mk)
    before, built = state(model)
    found = trace(model, x, y)
    after, built_after = state(model)
    assert built == built_after
    for a, b in zip(before, after, strict=True):
        assert_equal(a, b)
    assert page(found) and str(found)
    for call in found:
        assert repr(call)
    loss = model.train_on_batch(x, y, return_dict=True)["loss"]
    assert_trajectory_close(found.loss, np.float32(loss), steps=1, name="loss")
    for update, variable in zip(found.updates.values(), model.weights, strict=True):
        assert_trajectory_close(
            update.after, variable.numpy(), steps=1, name=update.name
        )


class TestTheModelStays:
    @pytest.mark.parametrize("name", list(CASES))
    def test_as_it_was(self, name):
        case = CASES[name]
        model = case.make(mk)
        x, y, weight = data(case, "float32")
        for _ in range(2):
            before, built = state(model)
            drawn = random.getstate()
            first = trace(model, x, y, weight)
            after, built_after = state(model)
            assert built == built_after
            assert drawn == random.getstate()
            for a, b in zip(before, after, strict=True):
                assert_equal(a, b)
            second = trace(model, x, y, weight)  # the same dropout, the same step
            assert float(first.loss) == float(second.loss)
            model.train_on_batch(x, y, weight)

    def test_stateful(self):
        model = mk.Sequential(
            [
                mk.Input((3, 2), batch_size=2),
                layers.GRU(2, stateful=True, name="gru"),
                layers.Dense(1),
            ]
        )
        model.compile("sgd", "mse")
        x, y = np.ones((2, 3, 2)), np.ones((2, 1))
        model.train_on_batch(x, y)
        before, _ = state(model)
        found = trace(model, x, y)
        for a, b in zip(before, state(model)[0], strict=True):
            assert_equal(a, b)
        assert np.any(found["gru"].residuals.states[0])

    def test_the_global_generator(self):
        class Noisy(mk.Model):
            def call(self, x):
                return layers.Dense(1, name="inner")(x)

        model = mk.Sequential([mk.Input((2,)), layers.GaussianNoise(0.5)])
        model.compile("sgd", "mse")
        generator = seed_generator._global_generator
        trace(model, np.ones((2, 2)), np.ones((2, 2)))
        assert seed_generator._global_generator is generator

    def test_after_an_error(self):
        model = CASES["xor"].make(mk)
        before, _ = state(model)
        with pytest.raises(ValueError):
            trace(model, np.ones((4, 3)), np.ones((4, 1)))
        for a, b in zip(before, state(model)[0], strict=True):
            assert_equal(a, b)

    def test_arrays_do_not_change_with_the_model(self):
        case = CASES["branches"]
        model = case.make(mk)
        found = trace(model, case.x, case.y)
        kept = [a.copy() for c in found for a in arrays(c)]
        model.fit(case.x, case.y, verbose=0)
        for a, b in zip(kept, (a for c in found for a in arrays(c)), strict=True):
            assert_equal(a, b)


def arrays(call):
    """All arrays of a call."""
    values = [call.inputs, call.outputs, call.weights, call.residuals, call.dinputs]
    return [a for a in tree.flatten(values) if isinstance(a, np.ndarray)]


class TestCalls:
    def test_names(self):
        case = CASES["branches"]
        found = trace(case.make(mk), case.x, case.y)
        assert isinstance(found, Trace) and isinstance(found[0], Call)
        assert found["encoder/first"] is found["first"]
        assert found["shared", 1].call == 1
        assert [c.path for c in found][:2] == ["shared", "shared"]
        assert found["first"].parent is found["encoder"]
        assert found["encoder"].weights == {}  # they are those of the calls inside
        assert len(found) == len(found.calls) == len(list(found))

    def test_unknown_names_suggest_the_near(self):
        case = CASES["branches"]
        found = trace(case.make(mk), case.x, case.y)
        with pytest.raises(KeyError, match=r"'shared', 0.*'shared', 1"):
            found["shared"]
        with pytest.raises(KeyError, match="Did you mean 'encoder'"):
            found["encoderr"]
        with pytest.raises(AttributeError, match="Did you mean 'dkernel'"):
            _ = found["p"].dkernal
        with pytest.raises(AttributeError, match="no weights"):
            _ = found["add"].kernel
        with pytest.raises(KeyError, match="Did you mean 'p/kernel'"):
            found.updates["p/kernal"]

    def test_the_calls_of_a_shared_layer_add_up(self):
        case = CASES["branches"]
        model = case.make(mk)
        found = trace(model, case.x, case.y)
        parts = found["shared", 0].dkernel + found["shared", 1].dkernel
        kernel = model.get_layer("shared").kernel
        penalty = kernel.regularizer.gradient(kernel.value)
        update = found.updates["shared/kernel"]
        assert isinstance(update, Update)
        assert_close(parts + penalty, update.gradient, name="dkernel")

    def test_what_flows_is_handed_on(self):
        case = CASES["conv"]
        found = trace(case.make(mk), case.x, case.y)
        for before, after in zip(found.calls[:-1], found.calls[1:], strict=True):
            assert_equal(before.outputs, after.inputs)
            assert_equal(before.doutputs, after.dinputs)
        assert found.backward == found.calls[::-1]
        assert found["conv"].kernel.shape == found["conv"].dkernel.shape
        assert {"kernel", "dkernel", "bias"} <= set(dir(found["conv"]))

    def test_dropout_shows_its_mask(self):
        case = CASES["lstm"]
        call = trace(case.make(mk), case.x, case.y)["dropout"]
        kept = call.residuals.keep
        assert kept.dtype == bool and not kept.all() and kept.any()
        assert_equal(call.outputs, np.where(kept, call.inputs * 2, 0).astype("float32"))
        assert_equal(call.dinputs, np.where(kept, call.doutputs * 2, 0))

    def test_moving_statistics_are_changed_by_the_forward_pass(self):
        case = CASES["conv"]
        found = trace(case.make(mk), case.x, case.y)
        update = found.updates["norm/moving_mean"]
        assert not update.trainable and update.gradient is None
        assert np.any(update.difference)

    def test_masks(self):
        case = CASES["lstm"]
        found = trace(case.make(mk), case.x, case.y)
        assert_equal(found["lstm"].mask, np.any(case.x != 0, axis=-1))
        assert any("mask" in note for note in found["lstm"].notes)
        assert not np.any(found["lstm"].dinputs[0, 3:])

    def test_logits_are_said(self):
        case = CASES["xor"]
        found = trace(case.make(mk), case.x, case.y)
        out = found["out"]
        assert found.terms[0].from_logits
        assert any("logits" in note for note in found.notes)
        assert any("logits" in note for note in out.notes)
        assert out.doutputs is None
        expected = (out.outputs - found.y) / np.float32(4)
        assert_close(out.dlogits, expected, name="dlogits")

    def test_formulas_and_settings(self):
        case = CASES["lstm"]
        found = trace(case.make(mk), case.x, case.y)
        assert "f * c_prev + i * g" in found["lstm"].formula
        assert found["out"].settings == {"units": 3, "activation": "softmax"}
        assert "dkernel = x.T @ dz" in found["out"].derivative


class TestOtherModels:
    def test_from_a_file_of_keras(self, tmp_path):
        case = CASES["lstm"]
        theirs = case.make(keras)
        theirs.train_on_batch(case.x, case.y)
        theirs.save(tmp_path / "model.keras")
        model = mk.models.load_model(tmp_path / "model.keras")
        found = trace(model, case.x.astype("float32"), case.y)
        for update, expected in zip(
            found.updates.values(), theirs.get_weights(), strict=True
        ):
            assert_equal(update.before, expected)
        assert found["lstm"].dkernel.shape == (2, 12)

    def test_bidirectional_and_time_distributed(self):
        model = mk.Sequential(
            [
                mk.Input((4,), dtype="int32"),
                layers.Embedding(5, 3, mask_zero=True, name="embedding"),
                layers.Bidirectional(
                    layers.LSTM(2, return_sequences=True, name="lstm"), name="both"
                ),
                layers.TimeDistributed(
                    mk.Sequential([layers.Dense(2, name="inner")]), name="each"
                ),
            ]
        )
        model.compile("sgd", "mse")
        x = np.array([[1, 2, 0, 0], [3, 1, 4, 2]])
        found = trace(model, x, np.ones((2, 4, 2)))
        both = found["both"]
        total = found.updates["forward_lstm/kernel"].gradient
        assert_equal(both.dforward_lstm_kernel, total)
        assert found["embedding"].dembeddings.shape == (5, 3)
        assert found["embedding"].dinputs is None and found.dx is None
        parts = [c.dkernel for c in found.calls if c.name == "inner"]
        assert_close(sum(parts), found.updates["inner/kernel"].gradient, name="sum")

    def test_a_subclassed_model(self):
        class Own(mk.Model):
            def __init__(self):
                super().__init__(name="own")
                self.dense = layers.Dense(2, name="dense")

            def call(self, x):
                return mk.activations.relu(self.dense(x)) * 2.0

        model = Own()
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="needs a built layer"):
            trace(model, np.ones((2, 3)), np.ones((2, 2)))
        model.build((None, 3))
        found = trace(model, np.ones((2, 3)), np.ones((2, 2)))
        assert [c.kind for c in found] == ["Dense", "relu", "multiply"]
        assert any("as in inference" in note for note in found.notes)

    def test_trial_runs_are_not_recorded(self):
        """A layer made of layers that sees its shapes for the first time."""

        class Inner(layers.Layer):
            def __init__(self):
                super().__init__(name="inner")
                self.stack = mk.Sequential([mk.Input((3,)), layers.Dense(2)])

            def forward(self, x, *, training=False, mask=None):
                return self.stack.forward(x, training=training)

            def backward(self, dy, residuals, grads):
                return self.stack.backward(dy, residuals, grads)

        class Outer(layers.Layer):
            def __init__(self):
                super().__init__(name="outer")
                self.inner = Inner()

            def call(self, x, training=False):
                return self.inner(x) * 2.0

        model = mk.Sequential([mk.Input((3,)), Outer()])
        model.compile("sgd", "mse")
        found = trace(model, np.ones((2, 3)), np.ones((2, 2)))
        assert [c.kind for c in found] == [
            "Outer",
            "Inner",
            "Dense",
            "multiply",
        ]
        assert found["dense"].inputs.shape == (2, 3)
        assert found["dense"].parent is found["inner"]

    def test_a_model_by_hand(self):
        class ByHand(mk.Model):
            def build(self, input_shape):
                self.w = self.add_weight(shape=(), initializer="ones", name="w")

            def forward(self, x, *, training=False, mask=None):
                return x * self.w.value, x

            def backward(self, dy, residuals, grads):
                grads.add(self.w, np.sum(dy * residuals))
                return dy * self.w.value

        model = ByHand(name="by_hand")
        model.compile(mk.optimizers.SGD(0.5), "mse")
        model.build((None, 1))
        found = trace(model, np.array([[2.0]]), np.array([[1.0]]))
        assert float(found["by_hand"].dw) == 4.0  # 2 (2 w - 1) 2 / 1
        assert float(found.updates["by_hand/w"].after) == -1.0
        assert_equal(found.dx, np.array([[2.0]], "float32"))

    def test_own_loss(self):
        class Own(mk.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                return super().compute_loss(x, y, y_pred, sample_weight) * 3.0

        a = mk.Input((2,))
        model = Own(a, layers.Dense(1, name="dense", kernel_regularizer="l2")(a))
        model.compile("sgd", "mse")
        x, y = np.ones((2, 2)), np.zeros((2, 1))
        found = trace(model, x, y)
        value = model.train_on_batch(x, y)
        assert_close(found.loss, np.float32(value), name="loss")
        assert_equal(found.updates["dense/kernel"].after, model.get_weights()[0])
        assert any("compute_loss" in note for note in found.notes)

    def test_frozen_and_empty(self):
        model = mk.Sequential([mk.Input((2,)), layers.Dense(1, name="d")])
        model.get_layer("d").trainable = False
        model.compile("sgd", "mse")
        found = trace(model, np.ones((2, 2)), np.ones((2, 1)))
        assert found["d"].dkernel is None
        assert_equal(found["d"].dinputs.shape, (2, 2))
        assert any("Not trainable" in note for note in found["d"].notes)

    def test_activity_penalty(self):
        layer = layers.Dense(1, activity_regularizer="l2", name="d")
        model = mk.Sequential([mk.Input((2,)), layer])
        model.compile("sgd", "mse")
        x, y = np.ones((2, 2)), np.ones((2, 1))
        found = trace(model, x, y)
        assert_close(found.loss, np.float32(model.train_on_batch(x, y)), name="loss")
        assert any("penalty" in note for note in found["d"].notes)

    def test_what_is_refused(self):
        with pytest.raises(TypeError, match="Sequential"):
            trace(layers.Dense(2), np.ones((2, 2)))
        with pytest.raises(TypeError, match="expects a layer or model"):
            trace("model", np.ones((2, 2)))
        model = mk.Sequential([mk.Input((2,)), layers.Dense(1)])
        with pytest.raises(ValueError, match="compile"):
            trace(model, np.ones((2, 2)), np.ones((2, 1)))


class TestText:
    def test_fits_in_80_columns(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        for case in CASES.values():
            found = trace(case.make(mk), case.x, case.y)
            text = str(found)
            texts = [text, *(repr(call) for call in found)]
            assert max(len(line) for t in texts for line in t.split("\n")) <= 80
            for call in found:
                assert call.name in text

    def test_names_are_not_markup(self):
        model = mk.Sequential([mk.Input((1,)), layers.Dense(1, name="[red]x[+]")])
        model.compile("sgd", "mse")
        found = trace(model, np.ones((1, 1)), np.ones((1, 1)))
        assert "[red]x[+]" in str(found)
        assert "[red]x[+]" in repr(found[0])


def test_a_copied_variable_keeps_value_and_storage_together():
    copied = copy.deepcopy(mk.Variable(np.zeros(2, "float32")))
    copied.assign([1, 2])
    assert_equal(copied.value, np.array([1, 2], "float32"))
