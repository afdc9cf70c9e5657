"""Good files with random changes: loaded correctly or refused cleanly, nothing else.

A time box for each kind of change; the same seed makes the same files. What counts as
loaded: a model that predicts, or weights that are all there. What counts as refused: a
ValueError that names the file. Anything else fails, as does taking long.
"""

from __future__ import annotations

import copy
import json
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import minikeras as mk
from parity_tests.hostile_files import Site

SECONDS = float(os.environ.get("FUZZ_SECONDS", "6"))  # for each of the tests
SLOWEST = 5.0

SPECIAL = [
    None, True, False, 0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63, 10**30, 0.5, -0.0,
    1e308, float("nan"), float("inf"), "", "x", "relu", "float64", "../..", "é\ud800",
    [], [[]], {}, [None], [1, 2], [None, 4], {"a": 1}, "keras", "Dense", "Sequential",
    "Functional",
    {"class_name": "Dense", "config": {"units": 2}},
    {"class_name": "function", "config": "relu"},
    {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}},
    {"class_name": "__slice__", "config": {"start": 0, "stop": None, "step": None}},
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}},
]  # fmt: skip


def places(tree: object) -> Iterator[tuple]:
    """Every (container, key) in a config."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def change_config(config: dict, draw: random.Random) -> dict:
    """A copy with one to three values replaced, moved, copied, added or taken away."""
    config = copy.deepcopy(config)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        found = list(places(config))
        container, key = draw.choice(found)
        kind = draw.randrange(6)
        if kind == 0:
            del container[key]
        elif kind == 1:
            container[key] = copy.deepcopy(draw.choice(SPECIAL))
        elif kind == 2:
            other, name = draw.choice(found)
            if name in other if isinstance(other, dict) else name < len(other):
                container[key] = copy.deepcopy(other[name])
        elif kind == 3 and isinstance(container, dict):
            container[draw.choice(["name", "axis", "shape", "x"])] = container.pop(key)
        elif kind == 4 and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif isinstance(container[key], int | float):
            container[key] = draw.choice([-1, 0, 2, 10**6, 10**12]) * container[key]
        elif isinstance(container[key], str):
            container[key] = container[key][:-1]
    return config


def change_bytes(data: bytes, draw: random.Random) -> bytes:
    """A copy with some bits flipped, a piece cut out, copied, zeroed or cut off."""
    changed = bytearray(data)
    kind = draw.randrange(6)
    at = draw.randrange(len(changed))
    size = draw.choice([1, 2, 4, 8, 64])
    if kind <= 2:
        for _ in range(draw.choice([1, 1, 2, 8])):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    elif kind == 3:
        del changed[at : at + size]
    elif kind == 4:
        changed[at : at + size] = draw.choice([b"\0", b"\xff"]) * size
    else:
        del changed[at:]
    return bytes(changed)


def differences(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The first positions at which they differ, and what is there now."""
    pairs = enumerate(zip(a, b, strict=False))
    return [(i, new) for i, (old, new) in pairs if old != new][:20]


def verdict(load: Callable[[], None], name: str) -> str:
    """ "loaded" or "refused"; raises for anything else."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load()
        found = "loaded"
    except ValueError as refusal:
        assert name in str(refusal), refusal
        found = "refused"
    assert time.perf_counter() - start < SLOWEST
    return found


def run(mutants: Iterator, load: Callable[[], None], name: str) -> Counter:
    """Verdicts until the time is up; at least a hundred."""
    counts: Counter = Counter()
    end = time.perf_counter() + SECONDS
    for number, mutant in enumerate(mutants):
        if number >= 100 and time.perf_counter() > end:
            break
        try:
            counts[verdict(load, name)] += 1
        except BaseException as error:
            error.add_note(f"mutant {number}: {str(mutant)[:2000]}")
            raise
    print(dict(counts))
    return counts


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def use(path) -> Callable[[], None]:
    """Loads a model and, if that worked, uses it."""

    def load() -> None:
        model = mk.models.load_model(path)
        assert all(np.asarray(w).dtype.kind in "biuf" for w in model.get_weights())
        if [t.shape[1:] for t in getattr(model, "inputs", [])] == [(4,)]:
            model.predict(np.zeros((1, 4), "float32"), verbose=0)

    return load


def test_configs(site):
    draw = random.Random(0)

    def mutants():
        while True:
            config = change_config(site.config, draw)
            yield json.dumps(config), site.with_config(config)

    counts = run(mutants(), use(site.folder / "case.keras"), "case.keras")
    assert counts["refused"] > counts["loaded"] / 10
    assert counts["loaded"] > 0
    assert not site.marker.exists()


def test_legacy_configs(site):
    draw = random.Random(1)
    config = json.loads(json.dumps(site.config))

    def spoil(file):
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change_config(config, draw))
        if draw.random() < 0.3:
            config = json.loads(file.attrs["training_config"])
            file.attrs["training_config"] = json.dumps(change_config(config, draw))
        if draw.random() < 0.5:  # then it is read as one of Keras 2
            file.attrs["keras_version"] = "2.3.1"

    def mutants():
        while True:
            yield config, site.with_legacy(spoil)

    counts = run(mutants(), use(site.folder / "case.h5"), "case.h5")
    assert counts["loaded"] > 0


@pytest.mark.parametrize("good", ["good.keras", "good.h5"])
def test_bytes(site, good):
    draw = random.Random(2)
    data = (site.folder / good).read_bytes()
    path = site.folder / f"case.{good.rpartition('.')[2]}"

    def mutants():
        while True:
            changed = change_bytes(data, draw)
            path.write_bytes(changed)
            yield changed.hex() if len(changed) < 1000 else differences(data, changed)

    counts = run(mutants(), use(path), path.name)
    assert counts["refused"] > 0


def test_weights_bytes(site):
    """The HDF5 itself, without the checksum of the zip around it."""
    draw = random.Random(3)
    path = site.folder / "case.weights.h5"
    site.model.save_weights(path)
    data = path.read_bytes()
    before = site.model.get_weights()
    state = [v.numpy() for v in site.model.optimizer.variables]

    def load() -> None:
        try:
            site.model.load_weights(path)
        except ValueError:
            pairs = zip(site.model.get_weights(), before, strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs)
            now = [v.numpy() for v in site.model.optimizer.variables]
            assert all(np.array_equal(a, b) for a, b in zip(now, state, strict=True))
            raise
        finally:
            site.model.set_weights(before)
            site.model.optimizer.set_weights(state)

    def mutants():
        while True:
            changed = change_bytes(data, draw)
            path.write_bytes(changed)
            yield changed.hex() if len(changed) < 1000 else differences(data, changed)

    counts = run(mutants(), load, path.name)
    assert counts["refused"] > 0
    assert counts["loaded"] > 0
