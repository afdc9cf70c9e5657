"""`loss=` of `compile`: every structure that Keras takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import losses, tree
from minikeras.trainers.compile_loss import CompileLoss
from parity_tests.compile_cases import PRED, RNG, STRUCTURES, TRUE, WEIGHTS
from parity_tests.oracle import keras, tensors, tf
from parity_tests.tolerance import assert_close, assert_equal

KerasLoss = keras.src.trainers.compile_utils.CompileLoss
# outputs -> names of the outputs, targets that go with them, losses, weights
OUTPUTS = {
    "one": (
        [None, ["out"]],
        ["one"],
        ["mse", ["mse"], {"out": "mse"}, ["mse", "mae"], "crossentropy"],
        [None, 0.5, [0.5]],
    ),
    "list of one": (
        [None, ["out"]],
        ["one", "list of one"],
        ["mse", ["mse"], ["mse", "mae"]],
        [None, [0.5]],
    ),
    "list": (
        [None, ["b", "a"]],
        ["list", "tuple", "dict"],
        [
            "mse",
            ["mse", "mae"],
            ("mse", "mae"),
            ["mse", None],
            [None, "mae"],
            {"b": "mse", "a": "mae"},
            ["ce", "mse"],
            ["mse"],
        ],
        [None, [0.5, 2.0], {"b": 0.5, "a": 2.0}],
    ),
    "tuple": ([None], ["list", "tuple"], ["mse", ("mse", "mae")], [None, (0.5, 2.0)]),
    "list of three": (
        [None, ["b", "a", "c"]],
        ["list of three", "list"],
        [["mse", None, "mae"], ["mse", "mae", "mape"]],
        [None, [0.5, 2.0, 3.0]],
    ),
    "dict": (
        [None, ["b", "a"]],
        ["dict"],
        ["mse", {"b": "mse", "a": "mae"}, {"b": "mse"}, {"b": "mse", "a": None}],
        [None, {"b": 0.5, "a": 2.0}],
    ),
    "nested dict": (
        [None],
        ["nested dict"],
        ["mse", {"a": ["mse", "mae"], "b": "mse"}, {"a": [None, "mae"], "b": "mse"}],
        [None, [0.5, 2.0, 3.0]],
    ),
    "nested list": (
        [None],
        ["nested list", "nested dict"],
        ["mse", ["mse", ("mae", "mse")], ["mse", ["mae", "mse"]]],
        [None, [0.5, (2.0, 3.0)]],
    ),
}


@st.composite
def loss_cases(draw):
    """(outputs, targets, loss, loss weights, output names, sample weights)."""
    outputs = draw(st.sampled_from(list(OUTPUTS)))
    names, targets, given_losses, given_weights = OUTPUTS[outputs]
    sample_weight = draw(st.sampled_from([None, "one", "same"]))
    return (
        outputs,
        draw(st.sampled_from(targets)),
        draw(st.sampled_from(given_losses)),
        draw(st.sampled_from(given_weights)),
        draw(st.sampled_from(names)),
        outputs if sample_weight == "same" else sample_weight,
    )


def outcome(use):
    """What it returns, or the kind of error it ends in."""
    try:
        return use(), None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return None, error
    except tf.errors.InvalidArgumentError as error:
        return None, error


class TestLossAgainstKeras:
    """`CompileLoss` of both libraries on the same arrays."""

    @given(case=loss_cases())
    def test_structures(self, case):
        outputs, targets, loss, loss_weights, names, weighting = case
        y_true, y_pred = STRUCTURES[targets](TRUE), STRUCTURES[outputs](PRED)
        weight = None if weighting is None else STRUCTURES[weighting](WEIGHTS)

        def ours():
            made = CompileLoss(loss, loss_weights, output_names=names)
            return made, made.forward(y_true, y_pred, weight)[0]

        def theirs():
            made = KerasLoss(loss, loss_weights, output_names=names)
            found = made(*tensors([y_true, y_pred, weight]))
            return made, found.numpy()

        (found, error), (expected, keras_error) = outcome(ours), outcome(theirs)
        if keras_error is not None:
            # Some combinations mean nothing; a few of them Keras fails on by accident.
            assert error is None or isinstance(error, ValueError | KeyError), error
            return
        assert error is None, error
        assert_close(found[1], expected[1], k=16)
        trackers, twins = found[0].metrics, expected[0].metrics
        assert_equal([m.name for m in trackers], [m.name for m in twins])
        for a, b in zip(trackers, twins, strict=True):
            assert_close(a.result(), b.result().numpy(), name=a.name, k=16)

    @given(case=loss_cases())
    def test_gradients(self, case):
        outputs, targets, loss, loss_weights, names, weighting = case
        y_true, y_pred = STRUCTURES[targets](TRUE), STRUCTURES[outputs](PRED)
        weight = None if weighting is None else STRUCTURES[weighting](WEIGHTS)
        made = CompileLoss(loss, loss_weights, output_names=names)
        twin = KerasLoss(loss, loss_weights, output_names=names)
        watched = tensors(y_pred)
        with tf.GradientTape() as tape:
            tape.watch(tree.flatten(watched))
            value, error = outcome(lambda: twin(*tensors([y_true]), watched, weight))
        if error is not None:
            return
        expected = tape.gradient(value, tree.flatten(watched))
        _, residuals = made.forward(y_true, y_pred, weight)
        found, of_logits = made.backward(2.0, residuals)
        assert_equal(of_logits, [None] * len(found))
        for a, b in zip(found, expected, strict=True):
            if b is None:
                assert a is None
            else:
                assert_close(a, 2 * b.numpy(), k=16)

    @pytest.mark.parametrize("y_true", [TRUE[0], TRUE[0][:, 0], TRUE[2], TRUE[0] > 0.5])
    @pytest.mark.parametrize("y_pred", [PRED[0], PRED[2]])
    @pytest.mark.parametrize("name", ["crossentropy", "ce"])
    def test_crossentropy_by_shape(self, name, y_true, y_pred):
        y_true = np.round(y_true).astype("float32")
        made, twin = CompileLoss(name), KerasLoss(name)
        found, error = outcome(lambda: made(y_true, y_pred))
        expected, keras_error = outcome(lambda: twin(*tensors([y_true, y_pred])))
        assert_equal(error is None, keras_error is None)
        if error is None:
            assert_close(found, expected.numpy(), k=16)


class TestLossSlices:
    """A batch in slices: losses and gradients add up to those of the whole."""

    @pytest.mark.parametrize("weighting", [None, "list"])
    @pytest.mark.parametrize("masked", [False, True])
    def test_add_up(self, weighting, masked):
        y_true = [t.astype("float64") for t in TRUE[:2]]
        y_pred = [p.astype("float64") for p in PRED[:2]]
        weight = None if weighting is None else WEIGHTS[:2]
        masks = [np.array([True, False, True, True]), None] if masked else None
        made = CompileLoss(["mse", "mae"], [0.5, 2.0])
        whole, residuals = made.forward(y_true, y_pred, weight, masks)
        gradients, _ = made.backward(1.0, residuals)
        assert made.splittable(y_true, y_pred, weight, masks)
        stand_ins = [np.broadcast_to(0.0, p.shape) for p in y_pred]
        denominators = made.denominators(y_true, stand_ins, weight, masks)
        total, parts = 0.0, []
        for piece in (slice(0, 1), slice(1, 4)):
            cut = [
                None if group is None else [a if a is None else a[piece] for a in group]
                for group in (y_true, y_pred, weight, masks)
            ]
            value, residuals = made.forward(
                *cut, denominators=denominators, track=False
            )
            total += value
            parts.append(made.backward(1.0, residuals)[0])
        assert_close(total, whole, k=16)
        for i, gradient in enumerate(gradients):
            joined = np.concatenate([part[i] for part in parts])
            assert_close(joined.astype("float32"), gradient.astype("float32"), k=16)


class TestLogits:
    """Outputs of softmax and sigmoid are trained from what went into them."""

    def test_every_crossentropy_after_either(self):
        """NB: Keras does not ask which of the two it was."""
        z = RNG.standard_normal((4, 3)).astype("float32") * 20
        one_hot, labels = (
            np.eye(3, dtype="float32")[[0, 1, 2, 0]],
            np.array([0, 1, 2, 0]),
        )
        for kind in ("softmax", "sigmoid"):
            y_pred = getattr(minikeras.activations, kind)(z)
            for name, y_true in (
                ("categorical_crossentropy", one_hot),
                ("sparse_categorical_crossentropy", labels),
                ("binary_crossentropy", one_hot),
            ):
                made = CompileLoss(name)
                value, residuals = made.forward(y_true, y_pred, logits=[(kind, z)])
                activation = getattr(keras.activations, kind)
                expected = KerasLoss(name)(
                    *tensors([y_true]), activation(tf.constant(z))
                )
                assert_close(value, expected.numpy(), name=f"{name} {kind}", k=16)
                of_outputs, (gradient,) = made.backward(1.0, residuals)
                assert_equal(of_outputs, [None])
                with tf.GradientTape() as tape:
                    watched = tf.constant(z)
                    tape.watch(watched)
                    target = KerasLoss(name)(*tensors([y_true]), activation(watched))
                assert_close(gradient, tape.gradient(target, watched).numpy(), k=16)

    @pytest.mark.parametrize(
        ("loss", "dtype"),
        [
            ("mse", "float32"),
            (losses.SparseCategoricalCrossentropy(ignore_class=2), "float32"),
            ("sparse_categorical_crossentropy", "float64"),
        ],
    )
    def test_where_the_outputs_are_used(self, loss, dtype):
        """Other losses, an ignored class, another dtype than the loss computes in."""
        z = RNG.standard_normal((4, 3)).astype(dtype)
        y_pred = minikeras.activations.softmax(z)
        y_true = np.array([0, 1, 1, 0]) if loss != "mse" else np.eye(3)[[0, 1, 1, 0]]
        made = CompileLoss(loss)
        value, residuals = made.forward(y_true, y_pred, logits=[("softmax", z)])
        assert_equal(value, made.forward(y_true, y_pred)[0])
        assert_equal(made.backward(1.0, residuals)[1], [None])

    def test_from_logits_of_probabilities_warns(self):
        z = RNG.standard_normal((4, 3)).astype("float32")
        y_pred = minikeras.activations.softmax(z)
        made = CompileLoss(losses.CategoricalCrossentropy(from_logits=True))
        with pytest.warns(UserWarning, match="Was this intended"):
            value, _ = made.forward(np.eye(3)[[0, 1, 2, 0]], y_pred, None, None,
                                    [("softmax", z)])  # fmt: skip
        expected = losses.CategoricalCrossentropy(from_logits=True)
        assert_equal(value, expected(np.eye(3)[[0, 1, 2, 0]], z))


class TestRefused:
    """Wrong specifications."""

    @pytest.mark.parametrize("kind", [CompileLoss, KerasLoss])
    @pytest.mark.parametrize(
        ("loss", "loss_weights", "names", "outputs", "error", "match"),
        [
            ("mse", "heavy", None, "one", ValueError, "Expected `loss_weights`"),
            (["mse", "mae"], [1.0], None, "list", ValueError, "match the number"),
            ({"x": "mse"}, None, ["b", "a"], "list", ValueError, "Expected keys"),
            ({"x": "mse"}, None, None, "dict", KeyError, r"The path: \('x',\)"),
            ("mean_square", None, None, "one", ValueError, "not interpret loss"),
        ],
    )
    def test_loss(self, kind, loss, loss_weights, names, outputs, error, match):
        y_true, y_pred = STRUCTURES[outputs](TRUE), STRUCTURES[outputs](PRED)
        if kind is KerasLoss:
            y_true, y_pred = tensors([y_true, y_pred])
        with pytest.raises(error, match=match):
            kind(loss, loss_weights, output_names=names)(y_true, y_pred)

    @pytest.mark.parametrize("kind", [CompileLoss, KerasLoss])
    def test_structures_that_do_not_fit(self, kind):
        y_true, y_pred = TRUE[:3], PRED[:2]
        if kind is KerasLoss:
            y_true, y_pred = tensors([y_true, y_pred])
        with pytest.raises(ValueError, match="have different structures"):
            kind("mse")(y_true, y_pred)

    def test_sample_weight_that_does_not_fit(self):
        with pytest.raises(ValueError, match="`sample_weight` must be one array"):
            CompileLoss("mse")(TRUE[:2], PRED[:2], {"a": WEIGHTS[0]})

    def test_nearest_name(self):
        with pytest.raises(ValueError, match="Did you mean 'mean_squared_error'"):
            CompileLoss("mean_squared_eror")
        with pytest.raises(ValueError, match="Did you mean 'second'"):
            names = ["first", "second"]
            made = CompileLoss({"first": "mse", "secund": "mse"}, output_names=names)
            made(TRUE[:2], PRED[:2])
