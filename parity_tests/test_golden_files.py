"""Files that versions 2.0 to 2.15 of Keras wrote themselves: read as they meant them.

`golden/make_old.py` made them; each zip says which version and backend it is from.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import minikeras as mk
from parity_tests.tolerance import assert_close, assert_equal, assert_trajectory_close

ZIPS = sorted((Path(__file__).parent / "golden" / "old").glob("*.zip"))
CLASSES = "SGD RMSprop Adam Adagrad Adadelta Adamax Nadam Ftrl".split()
WITHOUT_MODEL = ("weights_only", "time_major")
# The graph of TensorFlow 1 does not order reading a weight and updating it: one more
# step of these versions is not the same on each run.
RACE = ("keras_2.0", "keras_2.1.", "keras_2.2.4.zip", "keras_2.3")


def optimizer_of(name):
    first = name.removeprefix("legacy_").split("_")[0]
    return next((c for c in CLASSES if c.lower() == first), None)


def members():
    for path in ZIPS:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".h5", ".keras")):
                    yield path, name


ALL = list(members())
MODELS = [(p, n) for p, n in ALL if n.partition(".")[0] not in WITHOUT_MODEL]
TRAINED = [(p, n) for p, n in MODELS if optimizer_of(n[:-3]) or n.startswith("dense.")]


def ids(value):
    return value.stem if isinstance(value, Path) else value


def extract(path, name, folder):
    """(path of the file, what is known of it)."""
    stem = name.partition(".")[0]
    with zipfile.ZipFile(path) as archive:
        archive.extract(name, folder)
        with np.load(io.BytesIO(archive.read("expected.npz"))) as arrays:
            found = {
                key.removeprefix(f"{stem}."): arrays[key]
                for key in arrays.files
                if key.startswith(f"{stem}.")
            }
    return folder / name, found


def test_which_versions_there_are():
    versions = []
    for path in ZIPS:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("about.json"))
        versions.append((about["version"], about["backend"]))
        assert about["version"] in path.name
    wanted = ["2.0.9", "2.1.6", "2.10.0", "2.12.0", "2.15.0", "2.2.4", "2.3.1", "2.4.0"]
    assert_equal(sorted({version for version, _ in versions}), wanted)
    assert ("2.2.4", "theano") in versions


@pytest.mark.filterwarnings("ignore:Nadam had another schedule")
@pytest.mark.parametrize(("path", "name"), MODELS, ids=ids)
def test_predictions(path, name, tmp_path):
    file, known = extract(path, name, tmp_path)
    model = mk.models.load_model(file)
    assert_close(model.predict(known["x"], verbose=0), known["y"], name=name, k=400)


@pytest.mark.parametrize("path", ZIPS, ids=ids)
def test_weights_alone(path, tmp_path):
    file, known = extract(path, "weights_only.h5", tmp_path)
    with zipfile.ZipFile(path) as archive:
        model = mk.models.model_from_json(archive.read("dense.json").decode())
    model.load_weights(file)
    assert_close(model.predict(known["x"], verbose=0), known["y"], k=400)


@pytest.mark.filterwarnings("ignore:Nadam had another schedule")
@pytest.mark.parametrize(("path", "name"), TRAINED, ids=ids)
def test_the_optimizer_is_as_it_was(path, name, tmp_path):
    file, known = extract(path, name, tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*was not loaded")
        model = mk.models.load_model(file)
    optimizer = model.optimizer
    if name.endswith(".h5"):
        slots, iterations = state_in(file)
        if iterations is not None:
            assert_equal(int(optimizer.iterations), iterations)
        ours = [v.numpy() for v in optimizer.variables if v.shape != ()]
        assert_equal(len(ours), len(slots))
        for array in slots:
            assert any(np.array_equal(array, w) for w in ours)
    kind = optimizer_of(name.partition(".")[0]) or "Adam"
    same = ("SGD", "RMSprop", "Adam", *(CLASSES if is_new(path, name) else ()))
    if kind not in same or kind == "Nadam" or path.name.startswith(RACE):
        return  # Keras 2's Nadam had another schedule, and then a slip in it
    if name.endswith("rmsprop_rho.h5") and not is_new(path, name):
        return  # its epsilon was outside of the root
    model.train_on_batch(known["x"], np.ones_like(known["y"]))
    for i, (variable, w) in enumerate(
        zip(model.weights, model.get_weights(), strict=True)
    ):
        if "theano" in path.name and variable.name == "moving_variance":
            continue  # Keras 2.1 to 2.3 divided by n - 1
        # A new state would take a step of another length.
        assert_trajectory_close(w, known[f"after.{i}"], steps=1, scale=1.0)


def is_new(path, name):
    """Whether it is one of the new optimizers of Keras 2.11."""
    return path.stem.endswith(("2.12.0", "2.15.0")) and not name.startswith("legacy")


def state_in(file):
    """The slots in an `.h5` in their order, and the count of steps."""
    with h5py.File(file) as root:
        if "optimizer_weights" not in root:
            return [], None
        group = root["optimizer_weights"]
        arrays = {n: group[n][()] for n in group.attrs["weight_names"]}
    slots = [a for a in arrays.values() if a.shape not in ((), (1,))]
    counts = [int(a) for n, a in arrays.items() if a.shape == () and "iter" in str(n)]
    return slots, counts[0] if counts else None


TIME_MAJOR = [(p, n) for p, n in ALL if n == "time_major.h5"]


@pytest.mark.parametrize(("path", "name"), TIME_MAJOR, ids=ids)
def test_time_major_is_refused(path, name, tmp_path):
    file, _ = extract(path, name, tmp_path)
    with pytest.raises(ValueError, match=r"time_major\.h5.*Permute the axes before"):
        mk.models.load_model(file)
