"""Optimizers: the same gradients give the same bits as in Keras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given

import minikeras
from minikeras import optimizers
from minikeras.row_gradient import RowGradient
from minikeras.variables import Variable
from parity_tests.functions import default_dtype
from parity_tests.model_twins import PerLibrary, check_fit, compiled
from parity_tests.optimizer_cases import (
    NAMES,
    NOT_EXACT,
    OWN_ARGUMENTS,
    configs,
    make,
    schedule,
)
from parity_tests.oracle import keras, tf
from parity_tests.records import parity_case
from parity_tests.strategies import dtypes, seeds
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.updates import check_optimizer

SHAPES = ((3, 4), (), (5,), (2, 1, 3))


def variables_pair(shapes, dtype, rng):
    """The same variables in both libraries."""
    start = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    ours = [Variable(w, name=f"w{i}") for i, w in enumerate(start)]
    theirs = [keras.Variable(w, dtype=dtype, name=f"w{i}") for i, w in enumerate(start)]
    return ours, theirs


def gradients_of(shapes, dtype, rng):
    """Every element of another magnitude, 10**U(-8, 2), some exactly 0."""
    found = []
    for shape in shapes:
        gradient = rng.standard_normal(shape) * 10 ** rng.uniform(-8, 2, shape)
        found.append(np.where(rng.random(shape) < 0.1, 0, gradient).astype(dtype))
    return found


def ftrl_summands(optimizer, before, rate):
    """The sizes of what cancels in a step of Ftrl, by the name of the variable.

    `linear` adds up itself, the gradient, at most n'**0.5, and
    (n'**p - n**p) / rate * w; a weight is that divided by n'**p / rate.
    """
    state = {v.name: v.numpy() for v in optimizer.variables}
    sizes = {}
    for name in ("w0", "w1", "w2", "w3"):
        sums = state[f"{name}_accumulator"]
        per_weight = sums**-optimizer.learning_rate_power / rate
        linear = abs(before.get(f"{name}_linear", 0.0)) + np.sqrt(sums)
        linear += abs(before[name]) * per_weight
        sizes[f"{name}_linear"] = linear.max()
        sizes[name] = sizes[f"{name}_average"] = (linear / per_weight).max()
    return sizes


def compare(ours, theirs, *, exact, when, summands=None):
    """Values, names, shapes and dtypes of variables, in order.

    Args:
        ours, theirs: the variables.
        exact: bit for bit.
        when: for the message.
        summands: the least scale of a variable, by its name, where numbers cancel.
    """
    assert_equal([v.name for v in ours], [v.name for v in theirs], name="names")
    assert_equal([v.dtype for v in ours], [v.dtype for v in theirs], name="dtypes")
    for a, b in zip(ours, theirs, strict=True):
        value, expected = a.numpy(), b.value.numpy()
        if exact:
            assert_equal(value, expected, name=f"{b.path} {when}")
            continue
        scale = max(abs(expected).max(initial=0), (summands or {}).get(a.name, 0.0))
        assert_close(value, expected, name=f"{b.path} {when}", scale=scale, k=16)


class TestAgainstKeras:
    """Weights and state after every step."""

    @given(case=configs(), dtype=dtypes(), seed=seeds(), floatx=dtypes())
    @example(
        case=("Adam", {"learning_rate": 0.1, "amsgrad": True}),
        dtype="float32",
        seed=0,
        floatx="float32",
    )
    @example(
        case=(
            "Ftrl",
            {"learning_rate": 0.1, "use_ema": True, "loss_scale_factor": 8.0},
        ),
        dtype="float64",
        seed=2,
        floatx="float32",
    )
    @example(
        case=("Ftrl", {"learning_rate": 0.1, "clipnorm": 0.01}),
        dtype="float32",
        seed=1,
        floatx="float32",
    )
    def test_every_stage(self, case, dtype, seed, floatx):
        """Bit for bit, unless a norm or a float64 power is in it: their last bit
        depends on the order of a sum, or on the C library."""
        name, config = case
        norm = "clipnorm" in config or "global_clipnorm" in config
        exact = not norm and name not in NOT_EXACT
        exact = exact or (not norm and name in ("Adam", "AdamW") and dtype == "float32")
        rng = np.random.default_rng(seed)
        if name == "Muon":  # Keras multiplies arrays of two dtypes; TensorFlow refuses
            dtype = "float32" if config["learning_rate"] is schedule else dtype
            floatx = dtype
        with default_dtype(floatx), parity_case("optimizer", name, dtype):
            ours, theirs = variables_pair(SHAPES, dtype, rng)
            optimizer, reference = make(minikeras, *case), make(keras, *case)
            optimizer.exclude_from_weight_decay([ours[0]], ["w2"])
            reference.exclude_from_weight_decay([theirs[0]], ["w2"])
            for step in range(7):
                gradients = gradients_of(SHAPES, dtype, rng)
                before = {v.name: v.numpy() for v in [*ours, *optimizer.variables]}
                rate = float(np.asarray(optimizer.learning_rate))
                optimizer.apply(gradients, ours)
                summands = None
                if name == "Ftrl":
                    summands = ftrl_summands(optimizer, before, rate)
                reference.apply([tf.constant(g) for g in gradients], theirs)
                after = [*ours, *optimizer.variables]
                expected = [*theirs, *reference.variables]
                when = f"step {step}"
                compare(after, expected, exact=exact, when=when, summands=summands)
                if not exact:
                    for a, b in zip(after, expected, strict=True):
                        a.assign(b.value.numpy())

    def test_adam_200_steps(self):
        rng = np.random.default_rng(0)
        ours, theirs = variables_pair([(20,)], "float32", rng)
        optimizer, reference = optimizers.Adam(0.01), keras.optimizers.Adam(0.01)
        for _ in range(200):
            (gradient,) = gradients_of([(20,)], "float32", rng)
            optimizer.apply([gradient], ours)
            reference.apply([tf.constant(gradient)], theirs)
        expected = [*theirs, *reference.variables]
        compare([*ours, *optimizer.variables], expected, exact=True, when="at the end")

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("name", NAMES)
    def test_battery(self, name, dtype):
        for config in OWN_ARGUMENTS[name]:
            check_optimizer(
                lambda config=config: make(minikeras, name, config),
                lambda config=config: make(keras, name, config),
                dtype=dtype,
                # Its sums (n'**p - n**p) / rate * w are differences of such numbers.
                scale=100.0 if name == "Ftrl" else 0.0,
            )

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"clipnorm": 0.5},
            {"global_clipnorm": 0.5},
            {"clipvalue": 0.3},
            {"gradient_accumulation_steps": 2},
            {"use_ema": True},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("name", NAMES)
    def test_rows_of_an_embedding(self, name, options):
        """Keras squares and clips them before it adds up those of equal ids."""
        config = {"learning_rate": 0.1, **OWN_ARGUMENTS[name][0], **options}
        rng = np.random.default_rng(1)
        ours, theirs = variables_pair([(5, 3), (4,)], "float32", rng)
        optimizer, reference = make(minikeras, name, config), make(keras, name, config)
        for _ in range(4):
            ids = rng.integers(0, 5, (2, 4))
            rows = rng.standard_normal((2, 4, 3)).astype("float32")
            (dense,) = gradients_of([(4,)], "float32", rng)
            optimizer.apply([RowGradient(ids, rows, 5), dense], ours)
            slices = tf.IndexedSlices(
                tf.constant(rows.reshape(-1, 3)),
                tf.constant(ids.ravel()),
                tf.constant([5, 3]),
            )
            reference.apply([slices, tf.constant(dense)], theirs)
        after, expected = [*ours, *optimizer.variables], [*theirs, *reference.variables]
        for a, b in zip(after, expected, strict=True):
            assert_close(a.numpy(), b.value.numpy(), name=b.path, k=32)

    @pytest.mark.parametrize("name", NAMES)
    def test_names_of_state_in_a_model(self, name):
        """Paths such as `adam/sequential_dense_kernel_momentum`, and their order."""
        paths = []
        for k in (minikeras, keras):
            k.utils.clear_session()
            model = k.Sequential([k.Input((2,)), k.layers.Dense(3), k.layers.Dense(1)])
            options = OWN_ARGUMENTS[name][-1]
            optimizer = make(k, name, {**options, "use_ema": True})
            optimizer.build(model.trainable_variables)
            paths.append(
                [(v.path, v.name, tuple(v.shape)) for v in optimizer.variables]
            )
        assert_equal(*paths)

    def test_constraints_come_after_the_update(self):
        found = []
        for k in (minikeras, keras):
            w = k.Variable(np.array([1.0, -1.0], "float32"), name="w")
            w.constraint = k.constraints.NonNeg()
            gradient = np.array([5.0, 0.0], "float32")
            optimizer = k.optimizers.SGD(1.0)
            optimizer.apply([tf.constant(gradient) if k is keras else gradient], [w])
            found.append(np.array(w.numpy()))
        assert_equal(*found)
        assert_equal(found[0], np.zeros(2, "float32"))


class TestInFit:
    """`fit` against `fit`: the optimizer as the trainer uses it."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"use_ema": True, "ema_momentum": 0.5},
            {"gradient_accumulation_steps": 2, "weight_decay": 0.1},
            {"global_clipnorm": 0.1, "learning_rate": schedule},
        ],
        ids=["plain", "ema", "accumulation", "clip and schedule"],
    )
    @pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam", "Adafactor"])
    def test_dense(self, name, options):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))

        def model(k):
            made = k.Sequential([k.Input((3,)), k.layers.Dense(2, activation="tanh")])
            rate = {"learning_rate": 0.05, **options}
            return compiled(made, make(k, name, rate), loss="mse")

        check_fit(model, x, y, epochs=2, batch_size=4, name="optimizer in fit")

    @pytest.mark.parametrize("name", ["Adam", "RMSprop"])
    @pytest.mark.parametrize("regularizer", [None, "l2"])
    def test_repeated_ids(self, name, regularizer):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 4, (12, 5)), rng.standard_normal((12, 1))

        def model(k):
            layers = [
                k.Input((5,), dtype="int32"),
                k.layers.Embedding(4, 2, embeddings_regularizer=regularizer),
                k.layers.Flatten(),
                k.layers.Dense(1),
            ]
            optimizer = make(k, name, {"learning_rate": 0.05})
            return compiled(k.Sequential(layers), optimizer, loss="mse")

        check_fit(model, x, y, epochs=2, batch_size=4, name="embedding in fit")

    def test_learning_rate_set_by_a_callback(self):
        x, y = np.ones((4, 2)), np.zeros((4, 1))

        def halve(k):
            rate = k.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
            return [rate]

        def model(k):
            layers = [k.Input((2,)), k.layers.Dense(1)]
            return compiled(k.Sequential(layers), k.optimizers.SGD(0.5), loss="mse")

        check_fit(model, x, y, epochs=3, callbacks=PerLibrary(halve), name="callback")
