"""Sharded weights, legacy HDF5 and JSON, both ways; Keras 2 files as Keras 2 meant."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import minikeras as mk
from minikeras.saving.keras2 import hard_sigmoid_keras2
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_trajectory_close

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.zip"))
KERAS_2 = [path for path in GOLDEN if path.name.startswith("tf_keras")]


@pytest.fixture
def golden(request, tmp_path):
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    with np.load(tmp_path / "expected.npz") as values:
        return tmp_path, dict(values)


def predict(model, *x):
    return model.predict(list(x) if len(x) > 1 else x[0], verbose=0)


def check(y, wanted, name):
    assert_close(np.asarray(y), wanted, name=name, k=100)


# --- Golden files ---------------------------------------------------------------------


@pytest.mark.parametrize("golden", GOLDEN, indirect=True, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["dense.keras", "dense.h5", "lstm.h5"])
def test_golden_models_predict_what_their_library_did(golden, name):
    folder, expected = golden
    model = mk.models.load_model(folder / name)
    stem = name.split(".")[0]
    check(predict(model, expected[f"{stem}.x"]), expected[f"{stem}.y"], name)


@pytest.mark.parametrize("golden", GOLDEN, indirect=True, ids=lambda path: path.stem)
def test_golden_graphs_with_two_inputs_and_a_shared_model(golden):
    folder, expected = golden
    model = mk.models.load_model(folder / "two.h5")
    y, y2 = predict(model, expected["two.x"], expected["two.x2"])
    check(y, expected["two.y"], "y")
    check(y2, expected["two.y2"], "y2")
    assert not any("/" in layer.name for layer in model.layers)


@pytest.mark.parametrize("golden", GOLDEN, indirect=True, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["dense.keras", "dense.h5", "old_adam.h5"])
def test_golden_training_goes_on_where_it_stopped(golden, name, request):
    folder, expected = golden
    if not (folder / name).exists():
        assert name == "old_adam.h5"  # Keras 3 has no such optimizer
        return
    model = mk.models.load_model(folder / name)
    stem = name.split(".")[0]
    x = expected[f"{stem}.x"]
    assert int(model.optimizer.iterations) == 3
    if "keras_3.0.5" in request.node.name:
        # NB: on JAX, Keras 3.0.5 adds each weight penalty twice when it trains.
        model.layers[0].kernel.regularizer = mk.regularizers.L2(0.02)
    model.train_on_batch(x, np.ones((len(x), 2), "float32"))
    for i, w in enumerate(model.get_weights()):
        wanted = expected[f"{stem}.after.{i}"]
        # A new state would take a step of another length: off by a thousandth.
        assert_trajectory_close(w, wanted, steps=1, scale=1.0)


@pytest.mark.parametrize("golden", GOLDEN, indirect=True, ids=lambda path: path.stem)
def test_golden_json(golden):
    folder, _ = golden
    model = mk.models.model_from_json((folder / "dense.json").read_text())
    assert [w.shape for w in model.get_weights()][:2] == [(4, 3), (3,)]
    if (folder / "dense_weights.h5").exists():
        model.load_weights(folder / "dense_weights.h5")
        whole = mk.models.load_model(folder / "dense.h5")
        pairs = zip(model.get_weights(), whole.get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("golden", KERAS_2, indirect=True, ids=lambda path: path.stem)
def test_hard_sigmoid_is_that_of_keras_2_and_keras_3_takes_its_own(golden, tmp_path):
    folder, expected = golden
    ours = mk.models.load_model(folder / "dense.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras, of its own reading
        theirs = keras.models.load_model(folder / "dense.h5")
    x, y = expected["dense.x"], expected["dense.y"]
    check(predict(ours, x), y, "dense")
    assert np.abs(predict(theirs, x) - y).max() > np.abs(y).max() / 1000
    assert ours.layers[0].activation is hard_sigmoid_keras2
    ours.save(tmp_path / "again.keras")
    again = mk.models.load_model(tmp_path / "again.keras")
    assert np.array_equal(predict(again, x), predict(ours, x))


@pytest.mark.parametrize("golden", KERAS_2, indirect=True, ids=lambda path: path.stem)
def test_keras_3_refuses_an_lstm_of_tf_keras(golden):
    """When this fails, `docs/files.md` has a line too many."""
    with pytest.raises(ValueError, match="time_major"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.models.load_model(golden[0] / "lstm.h5")


def test_hard_sigmoid_of_keras_2():
    x = np.array([-3.0, -1.0, 0.0, 1.0, 3.0], "float32")
    y, residuals = hard_sigmoid_keras2.forward(x)
    assert_close(y, np.array([0, 0.3, 0.5, 0.7, 1], "float32"))
    assert y.dtype == "float32"
    dx = hard_sigmoid_keras2.backward(np.ones_like(x), residuals)
    assert_close(dx, np.array([0, 0.2, 0.2, 0.2, 0], "float32"))
    assert dx.dtype == "float32"


@pytest.mark.parametrize("golden", KERAS_2, indirect=True, ids=lambda path: path.stem)
def test_files_of_keras_2_0(golden):
    """Sequential as a bare list of layers; `lr`; Theano's turned kernels."""
    folder, expected = golden
    with h5py.File(folder / "dense.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        layers = config["config"]["layers"][1:]
        layers[0]["config"]["batch_input_shape"] = [None, 4]
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": layers}
        )
        training = json.loads(file.attrs["training_config"])
        optimizer = training["optimizer_config"]["config"]
        optimizer.update(lr=optimizer.pop("learning_rate"), decay=0.0, epsilon=None)
        training["metrics"] = ["accuracy"]
        file.attrs["training_config"] = json.dumps(training)
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = "2.0.4"
    model = mk.models.load_model(folder / "dense.h5")
    check(predict(model, expected["dense.x"]), expected["dense.y"], "dense")
    assert model.optimizer.learning_rate.numpy() == np.float32(0.001)


def test_theano_kernels_are_turned_around(tmp_path):
    model = mk.Sequential([mk.Input((6, 6, 1)), mk.layers.Conv2D(2, 3)])
    path = tmp_path / "m.h5"
    model.save(path)
    with h5py.File(path, "a") as file:
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"], group.attrs["backend"] = "2.1.0", "theano"
    loaded = mk.models.load_model(path)
    kernel = model.layers[0].kernel.numpy()
    assert np.array_equal(loaded.layers[0].kernel.numpy(), kernel[::-1, ::-1])


def test_what_theano_padded_otherwise_is_named(tmp_path):
    layer = mk.layers.Conv2D(2, 2, padding="same", name="even")
    mk.Sequential([mk.Input((6, 6, 1)), layer]).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"], group.attrs["backend"] = "2.1.0", "theano"
    with pytest.warns(UserWarning, match="'even': with an even kernel Theano"):
        mk.models.load_model(tmp_path / "m.h5")


@pytest.mark.parametrize(
    ("version", "key", "value", "says"),
    [
        ("2.3.1", "time_major", True, "time_major=True.*Permute"),
        ("1.2.2", "units", 2, "written by Keras 1.2.2"),
    ],
)
def test_what_cannot_be_said_in_keras_3_is_refused(version, key, value, says, tmp_path):
    mk.Sequential([mk.Input((4, 3)), mk.layers.LSTM(2)]).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"][key] = value
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
    with pytest.raises(ValueError, match=rf"(?s)m\.h5.*{says}"):
        mk.models.load_model(tmp_path / "m.h5")


# --- Both ways, with Keras 3 ----------------------------------------------------------


def build(lib, name="both"):
    inputs = lib.Input((6, 6, 1), name="images")
    x = lib.layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    x = lib.layers.BatchNormalization(name="bn")(x)
    frozen = lib.layers.Dense(3, name="frozen")
    frozen.trainable = False
    x = frozen(lib.layers.GlobalAveragePooling2D()(x))
    inner = lib.Sequential(
        [lib.Input((3,)), lib.layers.Dense(4), lib.layers.BatchNormalization()],
        name="inner",
    )
    model = lib.Model(inputs, lib.layers.Dense(2, name="out")(inner(x)), name=name)
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.fixture
def data():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(8, 6, 6, 1)).astype("float32")
    return x, draw.normal(size=(8, 2)).astype("float32")


def arrays(model):
    return [np.asarray(w) for w in model.get_weights()]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_legacy_models_from_keras(data, tmp_path):
    theirs = build(keras)
    theirs.train_on_batch(*data)
    theirs.save(tmp_path / "m.h5")
    ours = mk.models.load_model(tmp_path / "m.h5")
    assert equal(arrays(ours), arrays(theirs))
    assert [layer.name for layer in ours.layers] == [x.name for x in theirs.layers]
    assert int(ours.optimizer.iterations) == 1
    state = [np.asarray(v) for v in theirs.optimizer.variables]
    assert equal([v.numpy() for v in ours.optimizer.variables], state)
    check(predict(ours, data[0]), predict(theirs, data[0]), "y")


def test_legacy_models_to_keras(data, tmp_path):
    ours = build(mk)
    ours.train_on_batch(*data)
    ours.save(tmp_path / "m.h5")
    theirs = keras.models.load_model(tmp_path / "m.h5")
    assert equal(arrays(ours), arrays(theirs))
    assert theirs.compiled
    check(predict(ours, data[0]), predict(theirs, data[0]), "y")
    again = mk.models.load_model(tmp_path / "m.h5")
    assert equal(
        [v.numpy() for v in again.optimizer.variables],
        [v.numpy() for v in ours.optimizer.variables],
    )


def test_legacy_without_the_optimizer(data, tmp_path):
    build(mk).save(tmp_path / "m.h5", include_optimizer=False)
    assert not mk.models.load_model(tmp_path / "m.h5").compiled


def test_shards_from_keras(data, tmp_path):
    theirs = build(keras)
    theirs.train_on_batch(*data)
    path = tmp_path / "m.weights.json"
    theirs.save_weights(path, max_shard_size=1.5e-7)
    ours = build(mk)
    ours.optimizer.build(ours.trainable_variables)
    ours.load_weights(path)
    assert equal(arrays(ours), arrays(theirs))
    state = [np.asarray(v) for v in theirs.optimizer.variables]
    assert equal([v.numpy() for v in ours.optimizer.variables], state)


def test_shards_to_keras(data, tmp_path):
    ours = build(mk)
    ours.train_on_batch(*data)
    path = tmp_path / "m.weights.json"
    ours.save_weights(path, max_shard_size=1.5e-7)
    assert len(list(tmp_path.iterdir())) > 4
    theirs = build(keras)
    theirs.optimizer.build(theirs.trainable_variables)
    theirs.load_weights(path)
    assert equal(arrays(ours), arrays(theirs))
    state = [np.asarray(v) for v in theirs.optimizer.variables]
    assert equal([v.numpy() for v in ours.optimizer.variables], state)


def test_shards_are_cut_where_keras_cuts_them(data, tmp_path):
    ours, theirs = build(mk), build(keras)
    theirs.set_weights(arrays(ours))
    for lib, model in (("ours", ours), ("theirs", theirs)):
        (tmp_path / lib).mkdir()
        model.save_weights(tmp_path / lib / "m.weights.json", max_shard_size=1.5e-7)
    one = json.loads((tmp_path / "ours" / "m.weights.json").read_text())
    two = json.loads((tmp_path / "theirs" / "m.weights.json").read_text())
    assert one == two
    with pytest.raises(ValueError, match="max_shard_size"):
        ours.save_weights(tmp_path / "m.weights.json", max_shard_size=1e-9)
    with pytest.raises(ValueError, match=r"\.weights\.json"):
        ours.save_weights(tmp_path / "m.weights.h5", max_shard_size=1)
    with pytest.raises(ValueError, match=r"\.weights\.h5"):
        ours.save_weights(tmp_path / "m.weights.json")


def test_json_both_ways(data):
    ours, theirs = build(mk), build(keras)
    from_theirs = mk.models.model_from_json(theirs.to_json())
    from_ours = keras.models.model_from_json(ours.to_json())
    shapes = [w.shape for w in arrays(ours)]
    assert [w.shape for w in arrays(from_theirs)] == shapes
    assert [w.shape for w in arrays(from_ours)] == shapes
    assert from_theirs.compiled
    text = from_theirs.to_json()
    assert mk.models.model_from_json(text).to_json() == text


# --- load_weights of legacy files -----------------------------------------------------


def stack(*sizes, names=None):
    names = names or [f"d{i}" for i in range(len(sizes))]
    layers = [mk.layers.Dense(n, name=m) for n, m in zip(sizes, names, strict=True)]
    return mk.Sequential([mk.Input((3,)), *layers])


def test_by_name(tmp_path):
    saved = stack(4, 5, names=["first", "second"])
    saved.save(tmp_path / "m.h5")
    model = stack(4, 6, 5, names=["first", "new", "other"])
    before = arrays(model)
    model.load_weights(tmp_path / "m.h5", by_name=True)
    assert equal(arrays(model), [*arrays(saved)[:2], *before[2:]])
    with pytest.raises(ValueError, match=r"only supports.*\.h5"):
        model.load_weights(tmp_path / "m.weights.h5", by_name=True)


def test_by_order_all_or_nothing(tmp_path):
    saved = stack(4, 5)
    saved.save(tmp_path / "m.h5")
    model = stack(4, 5, names=["x", "y"])
    model.load_weights(tmp_path / "m.h5")
    assert equal(arrays(model), arrays(saved))
    for other in (stack(4, 6), stack(4), stack(4, 5, 6)):
        before = arrays(other)
        with pytest.raises(ValueError, match=r"m\.h5"):
            other.load_weights(tmp_path / "m.h5")
        assert equal(arrays(other), before)


def test_skip_mismatch(tmp_path):
    saved = stack(4, 5)
    saved.save(tmp_path / "m.h5")
    model = stack(4, 6)
    before = arrays(model)
    with pytest.warns(UserWarning, match="Skipped"):
        model.load_weights(tmp_path / "m.h5", skip_mismatch=True)
    assert equal(arrays(model), [*arrays(saved)[:2], *before[2:]])


def test_long_lists_of_names_are_cut(tmp_path):
    names = [f"layer_{i}_" + "x" * 900 for i in range(80)]
    model = mk.Sequential(
        [mk.Input((1,)), *(mk.layers.Dense(1, name=n) for n in names)]
    )
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    assert equal(arrays(mk.models.load_model(tmp_path / "m.h5")), arrays(model))
    assert equal(arrays(keras.models.load_model(tmp_path / "m.h5")), arrays(model))
