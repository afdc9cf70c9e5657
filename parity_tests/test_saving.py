"""Models saved by one library and loaded by the other, and trained on."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras
from parity_tests import test_models
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.model_checks import assert_same, names_of
from parity_tests.model_twins import (
    Twins,
    call,
    compare_numbers,
    compiled,
    pair,
)
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_equal, assert_trajectory_close

RNG = np.random.default_rng(11)
X, Y = RNG.standard_normal((12, 4)), RNG.standard_normal((12, 2))
LIBRARIES = (minikeras, keras)
# A drawn model is made, saved and loaded four times.
few = hypothesis.settings(max_examples=max(4, hypothesis.settings().max_examples // 4))


def trained(make: Any, x: Any, y: Any, seed: int = 0) -> Twins:
    """Both models after the same two steps."""
    twins = pair(make, seed)
    twins.theirs.run_eagerly = True
    for model in twins[:2]:
        call(model, "fit", x, y, batch_size=6, epochs=1, shuffle=False)
    return twins


def exchange(twins: Twins, folder: Path) -> Twins:
    """Each model saved and loaded by the other library."""
    twins.ours.save(folder / "ours.keras")
    twins.theirs.save(folder / "theirs.keras")
    there = keras.models.load_model(folder / "ours.keras")
    here = minikeras.models.load_model(folder / "theirs.keras")
    return Twins(here, there)


def compare_saved(a: Any, b: Any, *, steps: int = 20) -> None:
    """What a file holds: weights and optimizer state. Names may differ: layers made
    from a configuration are built before they are in their model."""
    compare_numbers(a.get_weights(), b.get_weights(), name="weights", steps=steps)
    states = [[np.asarray(v.numpy()) for v in m.optimizer.variables] for m in (a, b)]
    compare_numbers(*states, name="optimizer", steps=steps)


def check_exchange(make: Any, x: Any, y: Any, folder: Path, seed: int = 0) -> Twins:
    """After the exchange both predict and train on as if nothing had happened."""
    twins = trained(make, x, y, seed)
    loaded = exchange(twins, folder)
    models = [*twins[:2], *loaded[:2]]
    for model in models[1:]:
        compare_saved(model, twins.ours)
        predictions = [call(m, "predict", x, batch_size=6) for m in (model, twins.ours)]
        compare_numbers(*predictions, steps=20)
    loaded.theirs.run_eagerly = True
    for model in models:
        call(model, "fit", x, y, batch_size=6, epochs=1, shuffle=False)
        compare_saved(model, twins.ours)
    return loaded


def small(k: Any, optimizer: Any = "adam", **options: Any) -> Any:
    model = k.Sequential(
        [k.Input((4,)), k.layers.Dense(3, activation="tanh"), k.layers.Dense(2)]
    )
    return compiled(model, optimizer, **{"loss": "mse", **options})


OPTIMIZERS = [
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adam", {"amsgrad": True, "clipnorm": 1.0}),
    ("AdamW", {"use_ema": True, "ema_momentum": 0.5}),
    ("Adam", {"gradient_accumulation_steps": 2}),
    ("SGD", {"learning_rate": "schedule"}),
]


class TestExchange:
    @pytest.mark.parametrize(("name", "config"), OPTIMIZERS, ids=str)
    def test_optimizers(self, name, config, tmp_path):
        def make(k):
            options = dict(config)
            if options.get("learning_rate") == "schedule":
                decay = k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
                options["learning_rate"] = decay
            return small(k, getattr(k.optimizers, name)(**options))

        with default_dtype("float64"):
            check_exchange(make, X, Y, tmp_path)

    @pytest.mark.parametrize("make", test_models.WAYS)
    def test_stacks(self, make, tmp_path):
        y = RNG.standard_normal((12, make(minikeras).output_shape[-1]))
        with default_dtype("float64"):
            twins = trained(lambda k: compiled(make(k), "adam", loss="mse"), X, y)
            loaded = exchange(twins, tmp_path)
            compare_saved(*loaded[:2])
            assert_same(names_of(loaded.ours), names_of(loaded.theirs))

    def test_masks(self, tmp_path):
        """Keras notes masks in the graph; so does minikeras."""
        ids = RNG.integers(0, 4, (12, 5))

        def make(k):
            x = k.Input((5,), dtype="int32")
            e = k.layers.Embedding(4, 3, mask_zero=True)(x)
            y = k.layers.LSTM(3, return_sequences=True)(k.layers.Dense(3)(e))
            return compiled(k.Model(x, k.layers.LSTM(2)(y)), loss="mse")

        with default_dtype("float64"):
            check_exchange(make, ids, Y, tmp_path)

    def test_masks_from_data(self, tmp_path):
        x = RNG.standard_normal((12, 5, 3))
        x[:, 3:] = 0

        def make(k):
            layers = [k.layers.Masking(), k.layers.LSTM(3), k.layers.Dense(2)]
            return compiled(k.Sequential([k.Input((5, 3)), *layers]), loss="mse")

        with default_dtype("float64"):
            check_exchange(make, x, Y, tmp_path)

    def test_everything_at_once(self, tmp_path):
        """Two inputs, two named outputs, a shared and a nested part, an operator."""

        def make(k):
            model = test_models.random_model(k)
            return compiled(
                model,
                "adam",
                loss={"r": "mse", "s": "categorical_crossentropy"},
                loss_weights={"r": 1.0, "s": 0.3},
                metrics={"s": ["accuracy"]},
            )

        data = [X, X[:, :3]]
        with default_dtype("float64"):
            check_exchange(make, data, {"r": Y, "s": np.abs(Y)}, tmp_path)

    @few
    @given(make=sequentials())
    def test_drawn_stacks(self, make: Architecture, tmp_path_factory):
        self._check_drawn(make, tmp_path_factory.mktemp("drawn"))

    @few
    @given(make=functionals())
    def test_drawn_graphs(self, make: Architecture, tmp_path_factory):
        self._check_drawn(make, tmp_path_factory.mktemp("drawn"))

    @staticmethod
    def _check_drawn(make: Architecture, folder: Path) -> None:
        with default_dtype("float64"):
            x, y = make.data(6, 0, "float64")
            twins = trained(make, x, y)
            loaded = exchange(twins, folder)
            compare_saved(*loaded[:2])
            compare_saved(twins.ours, loaded.theirs)
            compare_numbers(*(call(m, "predict", x) for m in loaded[:2]))


def wider() -> Any:
    layers = [minikeras.layers.Dense(3), minikeras.layers.Dense(7)]
    return compiled(minikeras.Sequential([minikeras.Input((4,)), *layers]), "adam")


class TestWeights:
    @pytest.mark.parametrize("make", [small, test_models.random_model])
    def test_both_ways(self, make, tmp_path):
        with default_dtype("float64"):
            twins = pair(make)
            twins.ours.save_weights(tmp_path / "a.weights.h5")
            twins.theirs.save_weights(tmp_path / "b.weights.h5")
            fresh = Twins(make(minikeras), make(keras))
            fresh.ours.load_weights(tmp_path / "b.weights.h5")
            fresh.theirs.load_weights(tmp_path / "a.weights.h5")
            for old, new in zip(twins[:2], fresh[:2], strict=True):
                for a, b in zip(old.get_weights(), new.get_weights(), strict=True):
                    assert_equal(b, a)

    def test_the_same_tree(self, tmp_path):
        import h5py

        twins = pair(
            lambda k: compiled(test_models.random_model(k), "adam", loss="mse")
        )
        trees = []
        for model, name in zip(twins[:2], "ab", strict=True):
            model.optimizer.build(model.trainable_variables)
            model.save_weights(tmp_path / f"{name}.weights.h5")
            found: list[Any] = []
            with h5py.File(tmp_path / f"{name}.weights.h5") as file:
                file.visititems(
                    lambda path, item, found=found: found.append(
                        (path, getattr(item, "shape", None), dict(item.attrs))
                    )
                )
            trees.append(sorted(found, key=str))
        assert_equal([t[0] for t in trees[0]], [t[0] for t in trees[1]])
        assert_equal([t[1] for t in trees[0]], [t[1] for t in trees[1]])

    def test_all_or_nothing(self, tmp_path):
        model = small(minikeras)
        other = wider()
        other.save_weights(tmp_path / "other.weights.h5")
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"(?s)other.weights.h5.*\(3, 2\)"):
            model.load_weights(tmp_path / "other.weights.h5")
        for a, b in zip(model.get_weights(), before, strict=True):
            assert_equal(a, b)

    def test_skip_mismatch(self, tmp_path):
        other = wider()
        other.save_weights(tmp_path / "other.weights.h5")
        model = small(minikeras)
        with pytest.warns(UserWarning):
            model.load_weights(tmp_path / "other.weights.h5", skip_mismatch=True)
        assert_equal(model.get_weights()[0], other.get_weights()[0])

    def test_an_unbuilt_model(self, tmp_path):
        small(minikeras).save_weights(tmp_path / "m.weights.h5")
        model = minikeras.Sequential([minikeras.layers.Dense(3)])
        with pytest.raises(ValueError, match="built"):
            model.load_weights(tmp_path / "m.weights.h5")


class TestFiles:
    @pytest.mark.parametrize("library", LIBRARIES, ids=["minikeras", "keras"])
    @pytest.mark.parametrize(
        ("use", "error"),
        [
            (lambda k, f: k.models.load_model(f / "none.keras"), ValueError),
            (lambda k, f: small(k).save(f / "m.zip"), ValueError),
            (lambda k, f: small(k).save_weights(f / "m.h5"), ValueError),
            (lambda k, f: small(k).load_weights(f / "m.txt"), (ValueError, OSError)),
        ],
    )
    def test_refused(self, use, error, library, tmp_path):
        with pytest.raises(error):
            use(library, tmp_path)

    def test_damaged_files(self, tmp_path):
        path = tmp_path / "m.keras"
        small(minikeras).save(path)
        whole = path.read_bytes()
        for name, data in {
            "empty": b"",
            "text": b"not a zip",
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:3000] + bytes([whole[3000] ^ 255]) + whole[3001:],
        }.items():
            path.write_bytes(data)
            with pytest.raises(ValueError, match=r"m\.keras"):
                minikeras.models.load_model(path)
                pytest.fail(f"{name} was read")

    def test_members(self, tmp_path):
        small(minikeras).save(tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            names = set(archive.namelist())
            metadata = json.loads(archive.read("metadata.json"))
        assert names == {"metadata.json", "config.json", "model.weights.h5"}
        assert set(metadata) == {"keras_version", "date_saved"}

    def test_without_compile(self, tmp_path):
        small(minikeras).save(tmp_path / "m.keras")
        for k in LIBRARIES:
            model = k.models.load_model(tmp_path / "m.keras", compile=False)
            assert not model.compiled
            with pytest.raises(ValueError, match="compile"):
                model.evaluate(X, Y)

    def test_seeds_begin_anew(self, tmp_path):
        """NB: Keras does not save where dropout's random stream is."""
        layers = [minikeras.layers.Dropout(0.5, seed=3), minikeras.layers.Dense(2)]
        model = minikeras.Sequential([minikeras.Input((4,)), *layers])
        model(X, training=True)
        model.save(tmp_path / "m.keras")
        loaded = minikeras.models.load_model(tmp_path / "m.keras")
        assert_equal(loaded.layers[0].seed_generator.state.numpy()[1], np.int64(0))


def test_a_deep_copy_trains_on_by_itself_as_in_keras():
    x, y = RNG.standard_normal((16, 2)), RNG.standard_normal((16, 1))

    def run(k):
        k.utils.set_random_seed(0)
        hidden = k.layers.Dense(3, activation="tanh")
        model = k.Sequential([k.Input((2,)), hidden, k.layers.Dense(1)])
        model.compile(k.optimizers.Adam(0.01), "mse")
        model.fit(x, y, verbose=0, shuffle=False)
        copied, kept = copy.deepcopy(model), model.get_weights()
        copied.fit(x, y, verbose=0, shuffle=False)
        assert all(map(np.array_equal, model.get_weights(), kept))
        model.fit(x, y, verbose=0, shuffle=False)
        assert all(map(np.array_equal, model.get_weights(), copied.get_weights()))
        return copied

    ours, theirs = run(minikeras), run(keras)
    assert_equal([v.path for v in ours.variables], [v.path for v in theirs.variables])
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_trajectory_close(a, b, steps=2)
