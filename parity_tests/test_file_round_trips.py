"""Files there and back: drawn models, every format, every optimizer.

Keras writes, minikeras reads, predicts the same and writes; Keras reads that and
predicts the same. Nothing is lost on the way: `diff` of the two files finds nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras
from minikeras import registry
from minikeras.command_line.diff import compare, compare_values
from minikeras.saving.contents import open_contents
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import architectures
from parity_tests.functions import default_dtype
from parity_tests.model_twins import call, compare_numbers, compiled, pair
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal

few = hypothesis.settings(max_examples=max(4, hypothesis.settings().max_examples // 4))
DTYPES = ("float32", "float64")
ABSTRACT = ("Optimizer", "LossScaleOptimizer")
OPTIMIZERS = [n for n in registry.names("keras.optimizers") if n not in ABSTRACT]
LIBRARIES = {"minikeras": minikeras, "keras": keras}
BEFORE, AFTER = 3, 2  # steps
RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 2))


def bytes_of(model: Any) -> list[bytes]:
    return [np.asarray(w).tobytes() for w in model.get_weights()]


def state_of(model: Any) -> list[np.ndarray]:
    return [np.asarray(v.numpy()) for v in model.optimizer.variables]


def load(library: Any, path: Path, make: Any) -> Any:
    """The model in a file; of one that has weights only, in a new model."""
    if not path.name.endswith(".weights.h5"):
        return library.models.load_model(path)
    model = make(library)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def save(model: Any, path: Path) -> None:
    is_weights = path.name.endswith(".weights.h5")
    (model.save_weights if is_weights else model.save)(path)


def differences(a: Any, b: Any) -> list[dict[str, Any]]:
    """Of two configurations; an empty `compile_config` says no more than none."""
    return [
        found
        for found in compare_values(a, b)
        if not (found["path"].endswith(".compile_config") and found["b"] == {})
    ]


# --- Drawn models ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
@few
@given(make=architectures())
def test_drawn_models(ending: str, dtype: str, make: Architecture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("round")
    there, back = folder / f"there{ending}", folder / f"back{ending}"
    with default_dtype(dtype):
        x, _ = make.data(3, 0, dtype)
        theirs = pair(make).theirs
        theirs.optimizer.build(theirs.trainable_variables)
        wanted = call(theirs, "predict", x)
        save(theirs, there)
        ours = load(minikeras, there, make)
        compare_numbers(call(ours, "predict", x), wanted, name="here", steps=20)
        save(ours, back)
        again = load(keras, back, make)
        compare_numbers(call(again, "predict", x), wanted, name="back", steps=20)
        for model in (ours, again):
            assert_equal(bytes_of(model), bytes_of(theirs))
        for a, b in zip(state_of(ours), state_of(theirs), strict=True):
            assert_equal(a, b)
        if ending != ".h5":  # NB: Keras does not read this state from `.h5` files
            for a, b in zip(state_of(again), state_of(theirs), strict=True):
                assert_equal(a, b)
    with open_contents(str(there)) as a, open_contents(str(back)) as b:
        if ending == ".h5":  # paths of variables: loaded ones lack the model's name
            assert_equal(differences(a.config, b.config), [])
            return
        found = compare(a, b)
        assert a.arrays
        assert_equal(found["configuration"], [])
        assert_equal(found["arrays"], [])


def test_operators_in_a_legacy_file(tmp_path):
    """NB: Keras does not read its own; it reads what we write."""
    inputs = keras.Input((3,))
    inner = keras.Input((3,))
    nested = keras.Model(inner, 2.0 * inner - 1.0, name="nested")
    added = keras.layers.Add()([keras.layers.Dense(3)(inputs), inputs])
    theirs = keras.Model(inputs, nested(added) / (1.0 + inputs * inputs))
    theirs.save(tmp_path / "theirs.h5")
    with pytest.raises((TypeError, ValueError), match="positional arguments"):
        keras.models.load_model(tmp_path / "theirs.h5")
    ours = minikeras.models.load_model(tmp_path / "theirs.h5")
    ours.save(tmp_path / "ours.h5")
    again = keras.models.load_model(tmp_path / "ours.h5")
    x = RNG.standard_normal((4, 3)).astype("float32")
    for model in (ours, again):
        compare_numbers(call(model, "predict", x), call(theirs, "predict", x), steps=20)


# --- Every optimizer ------------------------------------------------------------------


def maker(name: str, **options: Any):
    """A model whose optimizer has all of its slots from the first step."""

    def make(k: Any) -> Any:
        layers = [k.layers.Dense(3, activation="tanh"), k.layers.Dense(2)]
        optimizer = getattr(k.optimizers, name)(learning_rate=0.01, **options)
        model = compiled(k.Sequential([k.Input((4,)), *layers]), optimizer, loss="mse")
        model.run_eagerly = True
        return model

    return make


def train(model: Any, steps: int) -> None:
    for _ in range(steps):
        model.train_on_batch(X, Y)


def unbroken(model: Any, path: Path) -> list[list[np.ndarray]]:
    """Weights and state of a run that was saved on its way and went on."""
    train(model, BEFORE)
    save(model, path)
    train(model, AFTER)
    return [model.get_weights(), state_of(model)]


def goes_on(path: Path, library: Any, make: Any) -> list[list[np.ndarray]]:
    """Of a run that begins with the file."""
    model = load(library, path, make)
    model.run_eagerly = True
    train(model, AFTER)
    return [model.get_weights(), state_of(model)]


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("to", LIBRARIES)
@pytest.mark.parametrize("start", LIBRARIES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on(name, start, to, ending, tmp_path):
    """In the other library, up to rounding; within minikeras, to the last bit."""
    make, path = maker(name), tmp_path / f"m{ending}"
    with default_dtype("float64"):
        twins = pair(make)
        model = twins.ours if start == "minikeras" else twins.theirs
        wanted = unbroken(model, path)
        found = goes_on(path, LIBRARIES[to], make)
    for a, b in zip(found, wanted, strict=True):
        if start == to == "minikeras":
            assert_equal([x.tobytes() for x in a], [x.tobytes() for x in b])
        else:
            compare_numbers(a, b, name=name, steps=BEFORE + AFTER)


@pytest.mark.parametrize("start", LIBRARIES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_from_a_legacy_file(name, start, tmp_path):
    """Of a `.h5` Keras does not read the state, not even its own; minikeras does."""
    make, path = maker(name), tmp_path / "m.h5"
    with default_dtype("float64"):
        twins = pair(make)
        if (name, start) == ("Adafactor", "keras"):  # some slots have the same name
            with pytest.raises(ValueError, match="name already exists"):
                twins.theirs.optimizer.build(twins.theirs.trainable_variables)
                twins.theirs.save(path)
            return
        wanted = unbroken(twins.ours if start == "minikeras" else twins.theirs, path)
        found = goes_on(path, minikeras, make)
    for a, b in zip(found, wanted, strict=True):
        compare_numbers(a, b, name=name, steps=BEFORE + AFTER)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_crosses_bit_by_bit(name, dtype, tmp_path):
    """Keras, minikeras, Keras, minikeras: the same bytes, counters and dtypes."""
    make = maker(name, use_ema=True)
    with default_dtype(dtype):
        model = pair(make).theirs
        train(model, BEFORE)
        wanted = state_of(model)
        for i, library in enumerate((minikeras, keras, minikeras)):
            path = tmp_path / f"{i}.keras"
            model.save(path)
            model = library.models.load_model(path)
            for a, b in zip(state_of(model), wanted, strict=True):
                assert_equal(a, b)
