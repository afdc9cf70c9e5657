"""Arguments, configs, learning rates and saved state of optimizers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given

import minikeras
from minikeras import optimizers
from minikeras.variables import Variable
from parity_tests.optimizer_cases import LIBRARIES, configs, make, schedule
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal


class TestArguments:
    """Wrong ones are refused as in Keras; right ones go into the config and back."""

    @pytest.mark.parametrize("library", LIBRARIES)
    @pytest.mark.parametrize(
        ("use", "match"),
        [
            (lambda o: o.SGD(1), "`learning_rate` should be float"),
            (lambda o: o.SGD("fast"), "`learning_rate` should be float"),
            (lambda o: o.SGD(momentum=2.0), "`momentum` must be a float between"),
            (lambda o: o.SGD(momentum=1), "`momentum` must be a float between"),
            (lambda o: o.Adam(lr=0.1), r"not recognized: \{'lr': 0.1\}"),
            (lambda o: o.Adam(clipnorm=1.0, clipvalue=1.0), "Only one of `clipnorm`"),
            (lambda o: o.Adam(use_ema=True, ema_momentum=2), r"in the range \[0, 1\]"),
            (
                lambda o: o.Adam(use_ema=True, ema_overwrite_frequency=1.5),
                "must be an integer >= 1 or None",
            ),
            (lambda o: o.Adam(gradient_accumulation_steps=1), "an integer >= 2"),
            (lambda o: o.AdamW(weight_decay=None), "`weight_decay` must be a float"),
            (lambda o: o.get("adamm"), "not interpret optimizer identifier: adamm"),
            (lambda o: o.get(3), "not interpret optimizer identifier: 3"),
            (lambda o: o.get({"class_name": "X", "config": {}}), "not interpret"),
        ],
    )
    def test_refused(self, library, use, match):
        with pytest.raises(ValueError, match=match):
            use(LIBRARIES[library].optimizers)

    def test_nearest_name(self):
        with pytest.raises(ValueError, match="Did you mean 'Adam'"):
            optimizers.get("Adamm")

    def test_decay_warns(self):
        with pytest.warns(UserWarning, match="`decay` is no longer supported"):
            optimizers.SGD(decay=0.1)

    @given(case=configs())
    def test_config_travels(self, case):
        """Ours makes the same optimizer in Keras, and Keras's here."""
        name, config = case
        if config["learning_rate"] == "callable":
            config = {**config, "learning_rate": 0.1}
        ours, theirs = make(minikeras, name, config), make(keras, name, config)
        written = json.loads(json.dumps(optimizers.serialize(ours)))
        expected = json.loads(json.dumps(keras.optimizers.serialize(theirs)))
        for form in (written, expected):
            form["config"]["name"] = "optimizer"
        assert_equal(written, expected)
        if name != "Lamb":  # see keras_findings/lamb_is_not_in_the_table.py
            back = keras.optimizers.deserialize(json.loads(json.dumps(written)))
            assert_equal(keras.optimizers.serialize(back), expected)
        again = optimizers.deserialize(expected)
        assert_equal(type(again), type(ours))
        assert_equal(optimizers.serialize(again), written)

    @pytest.mark.parametrize("name", ["adam", "Adam", "ADAM", "rmsprop", "sgd"])
    def test_get(self, name):
        found = optimizers.get(name)
        assert_equal(type(found).__name__, type(keras.optimizers.get(name)).__name__)
        assert optimizers.get(found) is found
        assert optimizers.get(None) is None
        config = optimizers.serialize(found)
        assert_equal(optimizers.get(config).get_config(), found.get_config())

    def test_names_count(self):
        minikeras.utils.clear_session()
        names = [optimizers.RMSprop().name, optimizers.RMSprop().name]
        assert_equal(names, ["rm_sprop", "rm_sprop_1"])


class TestLearningRate:
    """A number, a schedule, a callable."""

    def test_is_a_float32_variable(self):
        optimizer = optimizers.SGD(0.1)
        assert_equal(optimizer.learning_rate.dtype, "float32")
        assert_equal(float(optimizer.learning_rate), float(np.float32(0.1)))
        optimizer.learning_rate = 0.5
        assert_equal(float(optimizer.learning_rate), 0.5)
        optimizer.learning_rate.assign(0.25)
        assert_equal(optimizer.get_config()["learning_rate"], 0.25)

    def test_schedule_counts_steps(self):
        optimizer = optimizers.SGD(schedule(minikeras))
        w = Variable(np.zeros(1, "float32"), name="w")
        assert_equal(len(optimizer.variables), 1)  # no learning rate among them
        expected = []
        for step in range(4):
            expected.append(schedule(keras)(step).numpy())
            assert_equal(optimizer.learning_rate, expected[-1])
            optimizer.apply([np.ones(1, "float32")], [w])
        total = np.float32(0)
        for rate in expected:
            total -= rate
        assert_equal(w.numpy()[0], total)

    def test_schedule_replaces_the_number(self):
        optimizer = optimizers.SGD(0.1)
        optimizer.learning_rate = schedule(minikeras)
        assert_equal([v.name for v in optimizer.variables], ["iteration"])
        with pytest.raises(TypeError, match="not settable"):
            optimizer.learning_rate = 0.1

    def test_callable(self):
        rates = iter([1.0, 2.0])
        optimizer = optimizers.SGD(lambda: next(rates))
        w = Variable(np.zeros(1, "float32"), name="w")
        for _ in range(2):
            optimizer.apply([np.ones(1, "float32")], [w])
        assert_equal(w.numpy(), np.array([-3.0], "float32"))


class TestState:
    """Saving, loading, averaging, and optimizers of one's own."""

    def trained(self, name="Adam"):
        w = Variable(np.ones(3, "float32"), name="w")
        optimizer = getattr(optimizers, name)(0.1)
        optimizer.apply([np.array([1.0, 2.0, 3.0], "float32")], [w])
        return w, optimizer

    def test_save_and_load(self):
        w, optimizer = self.trained()
        store = {}
        optimizer.save_own_variables(store)
        assert_equal(list(store), ["0", "1", "2", "3"])
        other = optimizers.Adam(0.5)
        other.build([w])
        other.load_own_variables(store)
        for a, b in zip(optimizer.variables, other.variables, strict=True):
            assert_equal(a.numpy(), b.numpy())

    def test_load_something_else(self):
        w, optimizer = self.trained()
        store = {}
        optimizer.save_own_variables(store)
        sgd = optimizers.SGD(0.5)
        sgd.build([w])
        with pytest.warns(UserWarning, match="has 2 variables whereas the saved"):
            sgd.load_own_variables(store)
        store["2"] = np.ones(4)
        before = [v.numpy() for v in optimizer.variables]
        with pytest.raises(ValueError, match=r"w_momentum.*shape \(3,\).*\(4,\)"):
            optimizer.load_own_variables(store)
        for array, v in zip(before, optimizer.variables, strict=True):
            assert_equal(v.numpy(), array)

    def test_set_weights(self):
        _, optimizer = self.trained()
        weights = [v.numpy() + 1 for v in optimizer.variables]
        optimizer.set_weights(weights)
        for array, v in zip(weights, optimizer.variables, strict=True):
            assert_equal(v.numpy(), array.astype(v.dtype))
        with pytest.raises(ValueError, match=r"has 4 variables\. Received: 1"):
            optimizer.set_weights(weights[:1])
        with pytest.raises(ValueError, match="not compatible with provided"):
            optimizer.set_weights([*weights[:3], np.ones(5)])
        with pytest.raises(ValueError, match="not yet been built"):
            optimizers.SGD().set_weights([])

    def test_finalize_variable_values(self):
        w = Variable(np.ones(1, "float32"), name="w")
        optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
        for _ in range(2):
            optimizer.apply([np.ones(1, "float32")], [w])
        optimizer.finalize_variable_values([w])
        assert_equal(w.numpy(), np.array([-0.5], "float32"))  # (0 + -1) / 2
        with pytest.raises(ValueError, match="does not match the length"):
            optimizer.finalize_variable_values([])

    def test_one_of_your_own(self):
        """Written as for Keras, with NumPy in place of `keras.ops`."""

        class Momentum(optimizers.Optimizer):
            def __init__(self, learning_rate=0.1, **kwargs):
                super().__init__(learning_rate=learning_rate, **kwargs)
                self.steps = self.add_variable((), dtype="int32", name="steps")

            def build(self, variables):
                super().build(variables)
                self.slots = [
                    self.add_variable_from_reference(v, name="m") for v in variables
                ]

            def update_step(self, gradient, variable, learning_rate):
                m = self.slots[self._get_variable_index(variable)]
                self.assign(m, m.value * 0.5 - gradient * learning_rate.value)
                self.assign_add(variable, m)
                self.assign_add(self.steps, 1)

        w, other = (Variable(np.ones(2, "float32"), name="w") for _ in range(2))
        mine, built_in = Momentum(0.25), optimizers.SGD(0.25, momentum=0.5)
        for _ in range(3):
            mine.apply([np.array([1.0, 2.0], "float32")], [w])
            built_in.apply([np.array([1.0, 2.0], "float32")], [other])
        assert_equal(w.numpy(), other.numpy())
        assert_equal(
            [v.name for v in mine.variables],
            ["iteration", "learning_rate", "steps", "w_m"],
        )
        assert_equal(int(mine.steps), 3)

    def test_forgotten_super(self):
        class Forgetful(optimizers.Optimizer):
            def __init__(self):
                self.rate = 0.1

        with pytest.raises(RuntimeError, match="forgot to call"):
            Forgetful()

    def test_update_step_is_needed(self):
        w = Variable(np.ones(1, "float32"), name="w")
        with pytest.raises(NotImplementedError, match="must override `update_step"):
            optimizers.Optimizer(0.1).apply([np.ones(1)], [w])

    def test_scale_loss(self):
        assert_equal(optimizers.SGD(loss_scale_factor=8.0).scale_loss(0.5), 4.0)
        assert_equal(optimizers.SGD().scale_loss(0.5), 0.5)
