"""Live models handed to Keras and back: `interop.to_keras`, `interop.from_keras`."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras
from minikeras import interop
from minikeras.command_line.diff import compare_values
from minikeras.interop import from_keras, to_keras
from minikeras.interop.state import named_variables
from parity_tests import test_models
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.model_checks import assert_same, names_of
from parity_tests.model_twins import call, compare_numbers, compiled, pair
from parity_tests.oracle import keras
from parity_tests.test_saving import OPTIMIZERS, small
from parity_tests.tolerance import assert_equal, assert_trajectory_close

RNG = np.random.default_rng(12)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))
LIBRARIES = (minikeras, keras)
DTYPES = ["float32", "float64"]
few = hypothesis.settings(max_examples=max(3, hypothesis.settings().max_examples // 6))


def hand_over(model: Any, custom_objects: Any = None) -> Any:
    """The model in the other library."""
    there = from_keras if isinstance(model, keras.Model) else to_keras
    return there(model, custom_objects)


def values(model: Any) -> list[np.ndarray]:
    """All variables, those of the optimizer too."""
    variables = named_variables(model)
    if model.compiled:
        variables += list(model.optimizer.variables)
    return [np.asarray(v.numpy()) for v in variables]


def assert_equal_bits(a: Any, b: Any) -> None:
    """Every variable of the two models has the same bytes."""
    assert_equal(len(values(a)), len(values(b)))
    for x, y in zip(values(a), values(b), strict=True):
        assert_equal(x, y)


# What Keras writes and minikeras leaves out, or the other way round, when a call or a
# layer of the user's has the default; and how Keras compiles, which is its own affair.
_DEFAULTS = {"training": False, "autocast": True}


def described(model: Any) -> Any:
    """The configuration as a file has it, without defaults."""
    config = json.loads(model.to_json())
    config.get("compile_config", {}).pop("jit_compile", None)
    return without_defaults(config)


def without_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_defaults(item)
        for key, item in value.items()
        if item is not None and item is not _DEFAULTS.get(key)
    }


def check_hand_over(model: Any, x: Any, custom: Any = (None, None)) -> Any:
    """Into the other library and back; all that is the same is looked at."""
    there = hand_over(model, custom[0])
    assert_equal_bits(there, model)
    assert_equal(compare_values(described(model), described(there)), [])
    back = hand_over(there, custom[1])
    assert type(back) is type(model)
    assert_equal_bits(back, model)
    assert_equal(compare_values(described(model), described(back)), [])
    compare_numbers(*(call(m, "predict", x) for m in (model, there)), steps=20)
    return there


def steps(model: Any, x: Any, y: Any, count: int = 1) -> None:
    """Some training steps."""
    if isinstance(model, keras.Model):
        model.run_eagerly = True
    for _ in range(count):
        model.train_on_batch(x, y)


def check_relay(make: Any, x: Any, y: Any, dtype: str) -> None:
    """k steps - hand over - k steps - hand over - k steps, from either side, are an
    unbroken run: weights, optimizer state and dropout masks."""
    with default_dtype(dtype):
        twins = pair(make)
        for model in twins[:2]:
            steps(model, x, y, 2)
            relay = check_hand_over(model, x)
            steps(relay, x, y)
            relay = hand_over(relay)
            for runner in (relay, model):
                steps(runner, x, y, 1 if runner is relay else 2)
            for a, b in zip(values(relay), values(model), strict=True):
                compare_numbers(a, b, steps=20)


class TestDrawn:
    @pytest.mark.parametrize("dtype", DTYPES)
    @few
    @given(make=sequentials())
    def test_stacks(self, make: Architecture, dtype):
        check_relay(make, *make.data(6, 0, dtype), dtype)

    @pytest.mark.parametrize("dtype", DTYPES)
    @few
    @given(make=functionals())
    def test_graphs(self, make: Architecture, dtype):
        check_relay(make, *make.data(6, 0, dtype), dtype)


class TestRelay:
    @pytest.mark.parametrize(("name", "config"), OPTIMIZERS, ids=str)
    def test_optimizers(self, name, config):
        def make(k):
            options = dict(config)
            if options.get("learning_rate") == "schedule":
                decay = k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
                options["learning_rate"] = decay
            return small(k, getattr(k.optimizers, name)(**options))

        check_relay(make, X, Y, "float64")

    def test_everything_at_once(self):
        """Two inputs, two named outputs, a shared and a nested part, an operator."""

        def make(k):
            return compiled(
                test_models.random_model(k),
                "adam",
                loss={"r": "mse", "s": "categorical_crossentropy"},
                loss_weights={"r": 1.0, "s": 0.3},
                metrics={"s": ["accuracy"]},
                weighted_metrics={"r": ["mae"]},
            )

        check_relay(make, [X, X[:, :3]], {"r": Y, "s": np.abs(Y)}, "float64")

    def test_stateful_layers(self):
        x = RNG.standard_normal((6, 5, 3))

        def make(k):
            lstm = k.layers.LSTM(2, stateful=True)
            inputs = k.Input(batch_shape=(6, 5, 3))
            return compiled(k.Sequential([inputs, lstm]), loss="mse")

        check_relay(make, x, Y[:6], "float64")

    def test_names_and_orders(self):
        for model in pair(test_models.random_model)[:2]:
            here, there = names_of(model), names_of(hand_over(model))
            for names in (here, there):  # layers made from a config are built alone
                names["weights"] = [
                    (path.split("/")[-1], s) for path, s in names["weights"]
                ]
            assert_same(here, there)


class TestState:
    @pytest.mark.parametrize("k", LIBRARIES, ids=["minikeras", "keras"])
    def test_frozen_parts_stay_frozen(self, k):
        model = small(k)
        model.layers[0].trainable = False
        model.layers[1].bias.trainable = False
        compiled(model, "adam", loss="mse")
        steps(model, X, Y)
        there = check_hand_over(model, X)
        flags = [[v.trainable for v in m.weights] for m in (model, there)]
        assert_equal(flags[0], [False, False, True, False])
        assert_equal(flags[1], flags[0])

    @pytest.mark.parametrize("k", LIBRARIES, ids=["minikeras", "keras"])
    def test_frozen_after_training(self, k):
        """The optimizer knows weights that are no longer trained."""
        model = small(k)
        steps(model, X, Y)
        model.layers[0].trainable = False
        with pytest.warns(UserWarning, match="was not handed over"):
            there = hand_over(model)
        assert_equal(len(there.trainable_weights), 2)

    @pytest.mark.parametrize("k", LIBRARIES, ids=["minikeras", "keras"])
    def test_not_compiled(self, k):
        model = k.Sequential([k.Input((4,)), k.layers.Dense(2)])
        assert not check_hand_over(model, X).compiled

    @pytest.mark.parametrize("k", LIBRARIES, ids=["minikeras", "keras"])
    def test_compiled_and_never_trained(self, k):
        model = small(k, k.optimizers.SGD(0.1, momentum=0.5))
        model.optimizer.learning_rate = 0.01
        there = hand_over(model)
        assert_equal(float(there.optimizer.learning_rate), float(np.float32(0.01)))

    @pytest.mark.parametrize("k", LIBRARIES, ids=["minikeras", "keras"])
    def test_not_built(self, k):
        there = hand_over(k.Sequential([k.layers.Dense(2)]))
        assert not there.built
        assert_equal(tuple(there(X).shape), (12, 2))

    def test_run_eagerly_set_later(self):
        model = small(keras)
        model.run_eagerly = True
        assert from_keras(model).run_eagerly

    def test_the_stream_of_seeds_is_left_alone(self):
        model = small(minikeras)
        before = random.getstate()
        from_keras(to_keras(model))
        assert random.getstate() == before

    def test_another_floatx(self):
        model = small(minikeras)
        keras.config.set_floatx("float64")
        with pytest.warns(UserWarning, match="'float32' where the model comes from"):
            theirs = to_keras(model)
        assert_equal(keras.config.floatx(), "float64")
        with pytest.warns(UserWarning, match="set_floatx"):
            from_keras(theirs)
        assert_equal(minikeras.config.floatx(), "float32")
        keras.config.set_floatx("float32")
        assert_equal(str(theirs.optimizer.variables[1].dtype), "float32")

    def test_hard_sigmoid_of_keras_2(self):
        """It is another function than Keras 3's; Keras is given it too."""
        config = small(minikeras).get_config()
        activation = {
            "module": "minikeras.keras2",
            "class_name": "function",
            "config": "hard_sigmoid_keras2",
            "registered_name": "function",
        }
        config["layers"][1]["config"]["activation"] = activation
        model = compiled(minikeras.Sequential.from_config(config), loss="mse")
        check_hand_over(model, X * 3)


def block(k: Any) -> Any:
    """A model class of the user's, in either library."""

    class Block(k.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.first = k.layers.Dense(units, activation="relu")
            self.drop = k.layers.Dropout(0.5, seed=3)
            self.last = k.layers.Dense(2)

        def call(self, x, training=False):
            return self.last(self.drop(self.first(x), training=training))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Block


def scale(k: Any, name: str = "Scale") -> Any:
    """A layer class of the user's."""

    class Scale(k.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

        def call(self, x):
            return x * self.factor

        def forward(self, x):
            return x * self.factor.value, x

        def backward(self, dy, residuals, grads):
            grads.add(self.factor, (dy * residuals).sum())
            return dy * self.factor.value

    Scale.__name__ = name
    return Scale


class TestCustom:
    @pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
    def test_subclass_models(self, library):
        classes = {k: {"Block": block(k)} for k in LIBRARIES}
        model = classes[library]["Block"](3)
        compiled(model, "adam", loss="mse")
        steps(model, X, Y)
        other = keras if library is minikeras else minikeras
        there = hand_over(model, classes[other])
        assert isinstance(there, classes[other]["Block"])
        assert_equal_bits(there, model)
        for m in (there, model):
            steps(m, X, Y, 2)
        for a, b in zip(values(there), values(model), strict=True):
            compare_numbers(a, b)

    @pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
    def test_layers(self, library):
        other = keras if library is minikeras else minikeras
        layers = [library.Input((4,)), scale(library)(), library.layers.Dense(2)]
        model = compiled(library.Sequential(layers), loss="mse")
        custom = {k: {"Scale": scale(k)} for k in LIBRARIES}
        check_hand_over(model, X, (custom[other], custom[library]))

    def test_all_that_is_unknown_at_once(self):
        for k, where in ((minikeras, "Keras"), (keras, "minikeras")):
            layers = [scale(k, "Up")(), scale(k, "Down")(), k.layers.Dense(2)]
            model = k.Sequential([k.Input((4,)), *layers])
            with pytest.raises(ValueError, match=r"(?s)Down.*Up|Up.*Down") as error:
                hand_over(model)
            assert where in str(error.value)
            assert "custom_objects" in str(error.value)

    def test_functions(self):
        def odd_loss(y_true, y_pred):
            return keras.ops.mean(y_pred - y_true)

        model = small(keras, loss=odd_loss)
        with pytest.raises(ValueError, match="odd_loss"):
            from_keras(model)

    def test_lambdas_are_refused(self):
        layer = keras.layers.Lambda(lambda x: x * 2)
        with pytest.raises(ValueError, match="Python code"):
            from_keras(keras.Sequential([keras.Input((4,)), layer]))


class TestErrors:
    def test_wrong_way_round(self):
        with pytest.raises(TypeError, match="minikeras's already"):
            from_keras(small(minikeras))
        with pytest.raises(TypeError, match="a model of minikeras"):
            to_keras(small(keras))
        with pytest.raises(TypeError, match="expects a live"):
            from_keras("model.keras")

    def test_variables_that_do_not_fit(self):
        class Odd(minikeras.layers.Dense):
            def build(self, input_shape):
                super().build(input_shape)
                self.extra = self.add_weight(shape=(7,), name="extra")

        model = minikeras.Sequential([minikeras.Input((4,)), Odd(2)])
        with pytest.raises(ValueError, match=r"(?s)3.*2.*'.*extra' of shape \(7,\)"):
            to_keras(model, {"Odd": keras.layers.Dense})

    def test_without_keras(self, monkeypatch):
        model = small(minikeras)
        monkeypatch.setitem(sys.modules, "keras", None)
        with pytest.raises(ImportError, match="pip install"):
            to_keras(model)

    def test_names(self):
        assert {"from_keras", "to_keras"} <= set(dir(interop))
        with pytest.raises(AttributeError, match="Did you mean 'to_keras'"):
            interop.to_kears  # noqa: B018


def test_mirrored_strategy(tmp_path):
    """Trained by Keras on two devices and brought back: as if never away."""
    path = tmp_path / "weights.npz"
    done = subprocess.run(
        [sys.executable, "-m", "parity_tests.mirrored_training", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    arrays = np.load(path)
    assert arrays["replicas"] == 2
    names = [name.removeprefix("ours_") for name in arrays if name.startswith("ours_")]
    assert len(names) > 12
    for name in names:
        ours, back = arrays[f"ours_{name}"], arrays[f"back_{name}"]
        assert_trajectory_close(back, ours, steps=12, name=name)
