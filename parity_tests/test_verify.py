"""`python -m minikeras verify`: it passes what is right, and names what is not."""

from __future__ import annotations

import json
import sys
from typing import Any

import h5py
import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras as mk
from minikeras import tree
from minikeras.__main__ import main
from minikeras.command_line.verify_causes import describe
from minikeras.command_line.verify_compare import compare, recording_ours
from minikeras.layers import BatchNormalization, Dense, Dropout
from minikeras.optimizers import Adam
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras

few = hypothesis.settings(max_examples=max(3, hypothesis.settings().max_examples // 6))
RNG = np.random.default_rng(4)


def stack(k: Any = mk, compiled: bool = True) -> Any:
    """Sequences of ids."""
    k.utils.set_random_seed(0)
    layers = [
        k.Input((5,), dtype="int32"),
        k.layers.Embedding(7, 4, mask_zero=True),
        k.layers.LSTM(3, name="memory"),
        k.layers.Dense(3, activation="tanh", name="square"),
        k.layers.Dropout(0.3, name="drop"),
        k.layers.BatchNormalization(name="norm"),
        k.layers.Dense(4, activation="softmax", name="out"),
    ]
    model = k.Sequential(layers)
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, y = RNG.integers(0, 7, (4, 5)), RNG.integers(0, 4, 4)
        model.train_on_batch(x, y)
    return model


def graph() -> Any:
    """Two inputs, two outputs, a nested model called twice, an operator."""
    mk.utils.set_random_seed(0)
    a, b = mk.Input((4,), name="a"), mk.Input((4,), name="b")
    inner = mk.Sequential([mk.Input((4,)), mk.layers.Dense(4)], name="inner")
    both = inner(a) + inner(b)
    one = mk.layers.Dense(2, name="one")(both)
    two = mk.layers.Dense(1, activation="sigmoid", name="two")(both)
    model = mk.Model([a, b], [one, two])
    loss = {"one": "mse", "two": "binary_crossentropy"}
    model.compile(mk.optimizers.SGD(0.1, momentum=0.9), loss)
    x = [RNG.standard_normal((4, 4)) for _ in range(2)]
    y = {"one": RNG.standard_normal((4, 2)), "two": np.ones((4, 1))}
    model.train_on_batch(x, y)
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(capsys, *arguments):
    status = main(["verify", *arguments])
    found = capsys.readouterr()
    return status, found.out, found.err


def report(capsys, *arguments) -> Any:
    status, out, err = run(capsys, *arguments, "--json")
    assert out, err
    found = json.loads(out)
    assert status == (0 if found["same"] else 1)
    return found


def check_same(capsys, *arguments) -> Any:
    found = report(capsys, *arguments)
    assert found["same"], found["first_difference"]
    return found


class TestSame:
    def test_a_stack(self, folder, capsys):
        stack().save("m.keras")
        found = check_same(capsys, "m.keras")
        assert found["steps"] == 3
        rows = {row["layer"]: row for row in found["layers"]}
        assert list(rows)[1:] == (
            "embedding memory square drop norm out".split()  # in the order they run
        )
        kinds = {"forward", "training", "gradients", "updates"}
        assert kinds <= set(rows["memory"])
        assert kinds - {"gradients", "updates"} <= set(rows["drop"])
        assert "state" in rows["norm"]
        assert found["notes"] == []

    def test_a_graph(self, folder, capsys):
        graph().save("m.keras")
        found = check_same(capsys, "m.keras", "--steps", "2", "--batch", "3")
        names = [row["layer"] for row in found["layers"]]
        assert {"inner", "inner/dense", "add", "one", "two"} <= set(names)

    def test_keras_reads_the_file_too(self, folder, capsys):
        stack(keras).save("m.keras")
        found = check_same(capsys, "m.keras", "--keras-reads-file")
        assert found["read_by"] == "both"
        rows = [row for row in found["layers"] if "gradients" in row]
        assert rows
        assert all("weights" in row for row in rows)

    def test_float64(self, folder, capsys):
        with default_dtype("float64"):
            stack().save("m.keras")
        found = check_same(capsys, "m.keras")
        assert all(row.get("forward", {}).get("relative", 0) < 1e-12
                   for row in found["layers"])  # fmt: skip

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @few
    @given(make=sequentials() | functionals())
    def test_drawn_models(self, make: Architecture, dtype, tmp_path_factory):
        path = str(tmp_path_factory.mktemp("drawn") / "m.keras")
        with default_dtype(dtype):
            model = make(mk)
            x, y = make.data(4, 0, dtype)
            model.train_on_batch(x, y)
            model.save(path)
        assert main(["verify", path, "--steps", "2"]) == 0

    def test_without_compile_state(self, folder, capsys):
        stack(compiled=False).save("m.keras")
        found = check_same(capsys, "m.keras")
        assert "categorical_crossentropy" in found["notes"][0]
        (folder / "m.json").write_text(stack().to_json())
        assert "random" in check_same(capsys, "m.json", "--steps", "1")["notes"][0]

    def test_nothing_to_train(self, folder, capsys):
        model = stack(compiled=False)
        model.trainable = False
        model.save("m.keras")
        assert "Nothing" in check_same(capsys, "m.keras")["notes"][-1]

    def test_open_sizes(self, folder, capsys):
        layers = [mk.Input((None, None, 2)), mk.layers.Conv2D(2, 7), mk.layers.ReLU()]
        layers += [mk.layers.MaxPooling2D(5), mk.layers.GlobalAveragePooling2D()]
        mk.Sequential(layers).save("m.keras")
        check_same(capsys, "m.keras", "--steps", "1")

    def test_data(self, folder, capsys):
        graph().save("m.keras")
        x = {name: RNG.standard_normal((5, 4)) for name in "ab"}
        y = {"one": RNG.standard_normal((5, 2)), "two": np.ones((5, 1))}
        np.savez("named.npz", **x, **y)
        check_same(capsys, "m.keras", "--data", "named.npz")
        np.savez("numbered.npz", x0=x["a"], x1=x["b"])
        found = check_same(capsys, "m.keras", "--data", "numbered.npz")
        assert "no targets" in found["notes"][0]

    def test_the_table(self, folder, capsys):
        stack().save("m.keras")
        status, out, _ = run(capsys, "m.keras")
        assert status == 0
        for word in ("memory (LSTM)", "gradients", "ulp", "loss of step 3", "The same"):
            assert word in out


def edited(method: Any, change: Any) -> Any:
    """The method, with its result changed by `change(layer, result, arguments)`."""

    def replacement(self, *args, **kwargs):
        result = method(self, *args, **kwargs)
        return change(self, result, args, kwargs)

    return replacement


def off(layer, result, args, kwargs):
    y, residuals = result
    return (y * y.dtype.type(1.01), residuals) if layer.name == "square" else result


def louder(layer, result, args, kwargs):
    y, residuals = result
    return (y * y.dtype.type(1.01) if kwargs.get("training") else y), residuals


def gradient(index: int, change: Any) -> Any:
    """Changes one gradient of the layer `square`."""

    def change_one(layer, result, args, kwargs):
        if layer.name == "square":
            grads, variable = args[2], layer.weights[index]
            g = grads.get(variable)
            grads.add(variable, change(g) - g)
        return result

    return change_one


BUGS = {
    "forward": (Dense, "forward", off, "square", "forward", "1.01 times"),
    "training": (Dropout, "forward", louder, "drop", "training", "in training only"),
    "transposed": (
        Dense,
        "backward",
        gradient(0, lambda g: g.T),
        "square",
        "gradients",
        "axes are in another order",
    ),
    "sign": (
        Dense,
        "backward",
        gradient(1, lambda g: -g),
        "square",
        "gradients",
        "other sign",
    ),
}


class TestDifferent:
    @pytest.mark.parametrize("name", BUGS)
    def test_a_bug_is_named(self, name, folder, capsys, monkeypatch):
        cls, method, change, layer, kind, cause = BUGS[name]
        stack().save("m.keras")
        monkeypatch.setattr(cls, method, edited(getattr(cls, method), change))
        first = report(capsys, "m.keras")["first_difference"]
        assert (first["layer"], first["kind"]) == (layer, kind)
        assert cls.__name__ == first["class_name"]
        assert cause in first["likely_cause"]
        status, out, _ = run(capsys, "m.keras")
        assert status == 1
        assert f"first in {layer}" in out
        assert "differs" in out

    def test_an_optimizer(self, folder, capsys, monkeypatch):
        stack().save("m.keras")
        update = Adam.update_step

        def faster(self, gradient, variable, learning_rate):
            update(self, gradient, variable, learning_rate)
            variable.assign(variable.value * variable.value.dtype.type(1.001))

        monkeypatch.setattr(Adam, "update_step", faster)
        first = report(capsys, "m.keras")["first_difference"]
        assert first["kind"] == "updates"
        assert "the optimizer" in first["likely_cause"]

    def test_what_a_layer_keeps(self, folder, capsys, monkeypatch):
        stack().save("m.keras")

        def forgets(layer, result, args, kwargs):
            if kwargs.get("training"):
                layer.moving_mean.assign(layer.moving_mean.value * np.float32(0.5))
            return result

        change = edited(BatchNormalization.forward, forgets)
        monkeypatch.setattr(BatchNormalization, "forward", change)
        first = report(capsys, "m.keras")["first_difference"]
        assert (first["layer"], first["kind"]) == ("norm", "state")

    def test_a_file_read_in_two_ways(self, folder, capsys):
        """Keras 3 takes its own `hard_sigmoid` for Keras 2's."""
        layers = [keras.Input((4,)), keras.layers.Dense(3, "hard_sigmoid", name="d")]
        model = keras.Sequential(layers)
        model.compile("sgd", "mse")
        model.save("m.h5")
        with h5py.File("m.h5", "r+") as file:
            file.attrs["keras_version"] = "2.15.0"
        check_same(capsys, "m.h5")
        found = report(capsys, "m.h5", "--keras-reads-file")
        assert not found["same"]
        assert "hard_sigmoid_keras2" in found["first_difference"]["likely_cause"]
        assert found["configuration"]

    def test_tolerance(self, folder, capsys):
        stack().save("m.keras")
        assert not report(capsys, "m.keras", "--tolerance", "1e-9")["same"]


class TestCannot:
    def refuse(self, capsys, text, *arguments):
        status, out, err = run(capsys, *arguments)
        assert status == 2
        assert out == ""
        assert text in err

    def test_without_keras(self, folder, capsys, monkeypatch):
        stack().save("m.keras")
        monkeypatch.setitem(sys.modules, "keras", None)
        self.refuse(capsys, "pip install", "m.keras")

    def test_another_backend(self, folder, capsys, monkeypatch):
        stack().save("m.keras")
        monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
        self.refuse(capsys, "KERAS_BACKEND=tensorflow", "m.keras")

    def test_files(self, folder, capsys):
        (folder / "junk.keras").write_bytes(b"junk")
        stack().save_weights("m.weights.h5")
        self.refuse(capsys, "neither a zip", "junk.keras")
        self.refuse(capsys, "not found", "none.keras")
        self.refuse(capsys, "weights and no model", "m.weights.h5")

    def test_unknown_layers(self, folder, capsys):
        class Odd(keras.layers.Layer):
            def call(self, x):
                return x

        keras.Sequential([keras.Input((4,)), Odd()]).save("m.keras")
        self.refuse(capsys, "class 'Odd'", "m.keras")

    def test_keras_cannot_read_it(self, folder, capsys):
        graph().save("m.h5")
        with h5py.File("m.h5", "r+") as file:
            text = file.attrs["model_config"].replace('"units"', '"unitz"')
            file.attrs["model_config"] = text
        self.refuse(capsys, "m.h5", "m.h5", "--keras-reads-file")

    def test_options_and_data(self, folder, capsys):
        graph().save("m.keras")
        self.refuse(capsys, "--steps", "m.keras", "--steps", "-1")
        self.refuse(capsys, "--batch", "m.keras", "--batch", "0")
        np.savez("short.npz", x0=np.zeros((3, 4)))
        self.refuse(capsys, "['x0', 'x1']", "m.keras", "--data", "short.npz")
        np.savez("uneven.npz", x0=np.zeros((3, 4)), x1=np.zeros((2, 4)))
        self.refuse(capsys, "same number", "m.keras", "--data", "uneven.npz")
        objects = np.array([{}], dtype=object)
        np.savez("objects.npz", x0=objects, x1=objects)
        self.refuse(capsys, "allow_pickle", "m.keras", "--data", "objects.npz")
        np.savez("wrong.npz", x0=np.zeros((3, 9)), x1=np.zeros((3, 4)))
        self.refuse(capsys, "expected shape", "m.keras", "--data", "wrong.npz")

    def test_what_tensorflow_says(self, folder, capsys, monkeypatch):
        class Trouble(Exception):
            pass

        def call(self, x):
            raise Trouble("out of memory")

        stack().save("m.keras")
        monkeypatch.setattr(keras.layers.Embedding, "call", call)
        self.refuse(capsys, "out of memory", "m.keras")

    def test_ids_out_of_range(self, folder, capsys):
        stack().save("m.keras")
        np.savez("ids.npz", x=np.full((3, 5), 99))
        self.refuse(capsys, "m", "m.keras", "--data", "ids.npz")

    def test_a_model_that_computes_too_much(self, folder, capsys):
        """A small file; nothing of that size is made."""
        layers = [mk.Input((4,)), mk.layers.RepeatVector(10**9), mk.layers.Flatten()]
        mk.Sequential(layers).save("long.keras")
        self.refuse(capsys, "repeat_vector", "long.keras")
        mk.Sequential([mk.Input((10**6, 10**6)), mk.layers.ReLU()]).save("wide.keras")
        self.refuse(capsys, "input", "wide.keras")

    def test_a_model_without_inputs(self, folder, capsys):
        with pytest.warns(UserWarning, match="not yet been built"):
            mk.Sequential([mk.layers.Dense(2)]).save("m.keras")
        self.refuse(capsys, "before it was built", "m.keras")


def sigmoids() -> Any:
    """Layers that are run as two, since a loss may want their logits."""
    x = mk.Input((3,))
    y = mk.layers.Dropout(0.5)(mk.layers.Dense(4, activation="sigmoid")(x))
    y = mk.layers.Activation("softmax")(mk.layers.Activation("sigmoid")(y))
    return mk.Model(x, mk.layers.Dense(2, activation="sigmoid")(y))


def test_layers_that_end_in_a_sigmoid(folder, capsys):
    sigmoids().save("m.keras")
    check_same(capsys, "m.keras")


@pytest.mark.parametrize("make", [stack, graph, sigmoids])
def test_looking_changes_nothing(make):
    """The outputs are the same bits with and without the notes, and the layers too."""
    model = make()
    inputs = [np.ones(t.shape[1:])[None] for t in model.inputs]
    expected = model(inputs if len(inputs) > 1 else inputs[0])
    classes = [type(layer) for layer in model.layers]
    with recording_ours(model) as notes:
        found = model(inputs if len(inputs) > 1 else inputs[0])
    for a, b in zip(tree.flatten(found), tree.flatten(expected), strict=True):
        assert np.array_equal(a, b)
        assert any(np.array_equal(a, calls[-1][0]) for calls in notes.values())
    assert [type(layer) for layer in model.layers] == classes


def test_patterns():
    """What is said of a difference is true of it."""
    b = RNG.standard_normal((4, 8))
    cases = {
        "2 times": b * 2,
        "other sign": -b,
        "all zero": b * 0,
        "overflows": np.where(b > 1, np.inf, b),
        "gates": np.concatenate([b[:, 2:4], b[:, :2], b[:, 4:]], axis=1),
        "only 1 of": b + np.eye(32)[5].reshape(4, 8),
        "small": b * (1 + 1e-5),
        "throughout": RNG.standard_normal((4, 8)),
    }
    for words, a in cases.items():
        assert words in describe(a, b), words
    square = b[:, :4]
    assert "another order: [1, 0]" in describe(square.T, square)
    assert describe(None, None) == ""


def test_arrays_are_compared():
    a = np.array([1.0, 2.0], "float32")
    assert compare(a, a).ok
    assert compare(a, a).relative == 0
    assert "shape" in compare(a, a[:1]).problem
    assert "dtype" in compare(a, a.astype("float64")).problem
    assert "NaN" in compare(a, np.array([1, np.nan], "float32")).problem
    assert not compare(np.array([1, 2]), np.array([1, 3])).ok
    nan = np.array([np.nan, np.inf], "float32")
    assert compare(nan, nan).ok
    assert compare(a[:0], a[:0]).ok
    assert not compare(a, np.array([1.0, 2.1], "float32")).ok
    assert compare(a, np.array([1.0, 2.1], "float32"), room=0.2).ok
