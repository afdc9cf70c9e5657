"""Learning rate schedules: the rate of every step, and their configs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras.optimizers import schedules
from minikeras.variables import Variable
from parity_tests.oracle import keras, tf
from parity_tests.records import parity_case
from parity_tests.tolerance import assert_close, assert_equal

keras_schedules = keras.optimizers.schedules
NAMES = (
    "ExponentialDecay",
    "InverseTimeDecay",
    "PolynomialDecay",
    "PiecewiseConstantDecay",
    "CosineDecay",
    "CosineDecayRestarts",
)
RATES = st.sampled_from([0.1, 1e-3, 0.37])
FRACTIONS = st.floats(0, 0.5, width=32).map(float)


@st.composite
def cases(draw, names=NAMES):
    """(class name, arguments, the number of steps around which something happens)."""
    name = draw(st.sampled_from(names))
    rate, length = draw(RATES), draw(st.integers(1, 200))
    config = {"initial_learning_rate": rate, "decay_steps": length}
    if name in ("ExponentialDecay", "InverseTimeDecay"):
        config["decay_rate"] = draw(st.sampled_from([0.5, 0.96, 0.1]))
        config["staircase"] = draw(st.booleans())
    elif name == "PolynomialDecay":
        config["end_learning_rate"] = draw(FRACTIONS)
        config["power"] = draw(st.sampled_from([1.0, 0.5, 2.0, 3.3]))
        config["cycle"] = draw(st.booleans())
    elif name == "PiecewiseConstantDecay":
        config = {
            "boundaries": [length, length + 3, length * 2 + 5],
            "values": [0.1, 0.2, 0.05, 0.01],
        }
    elif name == "CosineDecay":
        config["alpha"] = draw(FRACTIONS)
        if draw(st.booleans()):
            config["warmup_target"] = draw(RATES)
            config["warmup_steps"] = draw(st.integers(0, 50))
    else:
        config = {"initial_learning_rate": rate, "first_decay_steps": length}
        config["t_mul"] = draw(st.sampled_from([1.0, 1.5, 2.0, 3.0]))
        config["m_mul"] = draw(st.sampled_from([1.0, 0.9]))
        config["alpha"] = draw(FRACTIONS)
    return name, config, length


class TestAgainstKeras:
    """The same rates, up to the last bit of a power, a cosine or a logarithm."""

    @pytest.mark.parametrize("name", NAMES)
    @given(data=st.data(), more=st.lists(st.integers(0, 3000), max_size=5))
    def test_rates(self, name, data, more):
        _, config, length = data.draw(cases([name]))
        ours = getattr(schedules, name)(**config)
        theirs = getattr(keras_schedules, name)(**config)
        around = [0, 1, length - 1, length, length + 1, 2 * length, 3 * length]
        with parity_case("schedule", name, "float32"):
            for step in [*around, *more]:
                rate, expected = ours(step), theirs(step).numpy()
                assert_close(rate, expected, name=f"{name} at {step}")

    @pytest.mark.parametrize("name", NAMES)
    @given(data=st.data(), more=st.lists(st.floats(0, 9), max_size=9))
    def test_rates_in_fit_are_equal_to_the_last_bit(self, name, data, more):
        _, config, length = data.draw(cases([name]))
        ours = getattr(schedules, name)(**config)
        theirs = getattr(keras_schedules, name)(**config)
        step = tf.Variable(0, dtype=tf.int64)
        compiled = tf.function(lambda: theirs(step))
        # Not further: TensorFlow sets rates below 1e-38 to zero.
        numbers = [int(length * decays) for decays in more]
        for number in [0, 1, length - 1, length, length + 1, 2 * length, *numbers]:
            step.assign(number)
            rate = ours.in_compiled_step(np.int64(number))
            assert_equal(rate, np.asarray(compiled()), name=f"{name} at {number}")

    @given(case=cases())
    def test_config_travels(self, case):
        name, config, _ = case
        ours = getattr(schedules, name)(**config)
        theirs = getattr(keras_schedules, name)(**config)
        written = json.loads(json.dumps(schedules.serialize(ours)))
        assert_equal(written, keras_schedules.serialize(theirs))
        back = keras_schedules.deserialize(json.loads(json.dumps(written)))
        assert_equal(back.get_config(), theirs.get_config())
        again = schedules.deserialize(written)
        assert_equal(type(again), type(ours))
        assert_equal(again.get_config(), ours.get_config())

    @pytest.mark.parametrize("t_mul", [1.0, 1.5, 2.0, 3.0])
    def test_every_restart(self, t_mul):
        """A logarithm one bit too small would restart one step late."""
        ours = schedules.CosineDecayRestarts(0.1, 10, t_mul=t_mul, m_mul=0.9)
        theirs = keras_schedules.CosineDecayRestarts(0.1, 10, t_mul=t_mul, m_mul=0.9)
        for step in range(0, 700):
            assert_close(ours(step), theirs(step).numpy(), name=f"step {step}")

    def test_step_may_be_a_variable(self):
        ours, theirs = (
            k.optimizers.schedules.PolynomialDecay(0.1, 10) for k in (minikeras, keras)
        )
        step, expected = Variable(3, dtype="int64"), theirs(keras.Variable(3))
        assert_equal(ours(step), expected.numpy())

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("ExponentialDecay", (1, 10, 0.5)), ("InverseTimeDecay", (1, 10, 0.5))],
    )
    def test_integer_rate(self, name, arguments):
        """NB: Keras then rounds the decay rate to an integer, which is 0."""
        ours = getattr(schedules, name)(*arguments)
        theirs = getattr(keras_schedules, name)(*arguments)
        for step in (0, 1, 10):
            assert_equal(float(ours(step)), float(theirs(step)))

    def test_boundaries_are_cast_to_the_step(self):
        ours, theirs = (
            k.optimizers.schedules.PiecewiseConstantDecay([2.0, 7.5], [1.0, 2.0, 3.0])
            for k in (minikeras, keras)
        )
        for step in (2, 3, 7, 8):
            assert_equal(ours(step), theirs(step).numpy())


class TestByHand:
    """Numbers that need no library."""

    def test_exponential(self):
        schedule = schedules.ExponentialDecay(1.0, 10, 0.25)
        assert_equal([float(schedule(s)) for s in (0, 5, 10)], [1.0, 0.5, 0.25])
        stairs = schedules.ExponentialDecay(1.0, 10, 0.25, staircase=True)
        assert_equal([float(stairs(s)) for s in (0, 9, 10)], [1.0, 1.0, 0.25])

    def test_polynomial(self):
        schedule = schedules.PolynomialDecay(1.0, 4, end_learning_rate=0.0, power=2.0)
        expected = [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
        assert_equal([float(schedule(s)) for s in range(6)], expected)
        cycle = schedules.PolynomialDecay(1.0, 4, 0.0, power=1.0, cycle=True)
        assert_equal([float(cycle(s)) for s in (4, 6, 8)], [0.0, 0.25, 0.0])

    def test_piecewise(self):
        schedule = schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])
        expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
        assert_equal([float(schedule(s)) for s in range(6)], expected)

    def test_cosine(self):
        schedule = schedules.CosineDecay(1.0, 10, alpha=0.5)
        assert_equal([float(schedule(s)) for s in (0, 10, 99)], [1.0, 0.5, 0.5])
        warm = schedules.CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
        assert_equal([float(warm(s)) for s in range(5)], [0.0, 0.25, 0.5, 0.75, 1.0])


class TestUse:
    """Schedules of one's own, and wrong arguments."""

    def test_of_your_own(self):
        class Halving(schedules.LearningRateSchedule):
            def __call__(self, step):
                return 1.0 / 2 ** int(step)

        w = Variable(np.zeros(1, "float32"), name="w")
        optimizer = minikeras.optimizers.SGD(Halving())
        for _ in range(3):
            optimizer.apply([np.ones(1, "float32")], [w])
        assert_equal(w.numpy(), np.array([-1.75], "float32"))
        with pytest.raises(NotImplementedError, match="'Halving' must override"):
            optimizer.get_config()

    def test_base_class_does_nothing(self):
        with pytest.raises(NotImplementedError, match="must override `__call__"):
            schedules.LearningRateSchedule()(0)

    @pytest.mark.parametrize("library", [schedules, keras_schedules])
    @pytest.mark.parametrize(
        ("use", "match"),
        [
            (lambda s: s.ExponentialDecay(0.1, 0, 0.5), "`decay_steps` must be > 0"),
            (lambda s: s.InverseTimeDecay(0.1, -1, 0.5), "Received: decay_steps=-1"),
            (lambda s: s.PolynomialDecay(0.1, 0), "`decay_steps` must be > 0"),
            (lambda s: s.CosineDecay(0.1, 0), "`decay_steps` must be > 0"),
            (lambda s: s.CosineDecayRestarts(0.1, 0), "`first_decay_steps` must be"),
            (
                lambda s: s.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
                "length of boundaries should be 1 less",
            ),
        ],
    )
    def test_refused(self, library, use, match):
        with pytest.raises(ValueError, match=match):
            use(library)

    @pytest.mark.parametrize(
        "schedule",
        [
            schedules.PiecewiseConstantDecay([1, 2], [1, 0.5, 0.1]),
            schedules.CosineDecay(0, 10, warmup_target=0.1, warmup_steps=5),
            schedules.CosineDecayRestarts(1, 10),
        ],
    )
    def test_integers_that_keras_cannot_take_either(self, schedule):
        with pytest.raises(ValueError, match="float"):
            schedule(1)
