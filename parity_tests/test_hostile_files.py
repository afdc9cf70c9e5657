"""Hostile and broken files: refused cleanly and at once; nothing run or half loaded."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

import minikeras as mk
from minikeras import budget, registry
from minikeras.saving import limits
from parity_tests.hostile_files import CASES, Site

SECONDS = 5
BYTES = 300 << 20


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def start_peak() -> int:
    """Resident memory now, where the system tells (Linux); peaks count from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return peak()


def peak() -> int:
    """Bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) << 10


@pytest.mark.parametrize("name", CASES)
def test_refused(name, site):
    path = CASES[name].build(site)
    before = site.model.get_weights()
    start = time.perf_counter()
    memory = start_peak()
    with pytest.raises(ValueError) as refusal:
        mk.models.load_model(path, safe_mode=False)
    assert peak() - memory < BYTES
    assert path.name in str(refusal.value)
    assert CASES[name].says in str(refusal.value)
    assert len(str(refusal.value)) < 5000
    assert time.perf_counter() - start < SECONDS
    assert not site.marker.exists()
    assert budget.current() is None
    after = site.model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


IN_WEIGHTS = ("array", "link", "gzip", "weights", "group", "0897", "1669", "shard")
ELSEWHERE = ("wrong", "pickle", "only", "trial", "huge", "large")
WEIGHTS = [
    name
    for name in CASES
    if any(word in name for word in IN_WEIGHTS)
    and not any(word in name for word in ELSEWHERE)
]


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_loaded_all_or_not_at_all(name, site):
    path = CASES[name].build(site)
    before = [v.numpy() for v in site.model.variables]
    state = [v.numpy() for v in site.model.optimizer.variables]
    with pytest.raises(ValueError) as refusal:
        site.model.load_weights(path)
    assert path.name in str(refusal.value)
    after = [v.numpy() for v in site.model.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    now = [v.numpy() for v in site.model.optimizer.variables]
    assert all(np.array_equal(a, b) for a, b in zip(state, now, strict=True))


def test_all_unknown_classes_are_named_at_once(site):
    with pytest.raises(ValueError) as refusal:
        mk.models.load_model(CASES["unknown_classes"].build(site))
    text = str(refusal.value)
    assert "'TFSMLayer'" in text
    assert "'Dense2000'" in text
    assert "Did you mean 'Dense'?" in text
    assert "custom_objects" in text
    assert "layers[1]" in text


def test_nan_is_data_and_is_reported(site):
    def spoil(file):
        file["layers/dense/vars/0"][0, 0] = np.nan

    path = site.with_weights(spoil)
    with pytest.warns(UserWarning, match=r"1 array.*layers/dense/vars/0"):
        model = mk.models.load_model(path)
    assert np.isnan(model.get_weights()[0][0, 0])


def test_gzip_is_read_when_it_is_honest(site):
    values = np.arange(12, dtype="f4").reshape(4, 3)

    def spoil(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset(
            "0", data=values, compression="gzip", shuffle=True, chunks=(3, 2)
        )

    model = mk.models.load_model(site.with_weights(spoil))
    assert np.array_equal(model.get_weights()[0], values)


def test_the_table_of_classes_opens_no_files():
    """Whatever a file can name is data or maths: nothing reads or writes files."""
    registry._load_all()
    harmless = (
        mk.layers.Layer,
        mk.Initializer,
        mk.Loss,
        mk.Metric,
        mk.Optimizer,
        mk.optimizers.schedules.LearningRateSchedule,
        mk.Regularizer,
        mk.constraints.Constraint,
        mk.DTypePolicy,
        mk.random.SeedGenerator,
        mk.Operation,
        mk.layers.InputSpec,
    )
    for (module, name), obj in registry._objects.items():
        if isinstance(obj, type) and hasattr(obj, "from_config"):
            assert issubclass(obj, harmless), (module, name)


def test_there_is_no_yaml():
    assert not hasattr(mk.models, "model_from_yaml")


def test_no_argument_switches_safety_off(site):
    path = CASES["cve_2024_3660_lambda_with_bytecode"].build(site)
    for safe_mode in (True, False, None):
        with pytest.raises(ValueError, match="Lambda"):
            mk.models.load_model(path, safe_mode=safe_mode)
    config = {"class_name": "__lambda__", "config": {"code": "x"}}
    with pytest.raises(ValueError, match="lambda"):
        mk.saving.deserialize_keras_object(config, safe_mode=False)


def test_a_config_that_contains_itself():
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    config["config"]["layers"].append(config)
    with pytest.raises(ValueError, match="nested"):
        mk.saving.deserialize_keras_object(config)


def test_a_json_text_without_weights_has_a_limit_too(site):
    text = site.model.to_json().replace('"units": 3', '"units": 1000000000')
    with pytest.raises(ValueError, match="no weights beside"):
        mk.models.model_from_json(text)


def test_graphs_in_any_order_are_read_in_linear_time(site):
    """3,000 layers, listed from the last to the first."""
    layers = [site.config["config"]["layers"][0]]
    names = ["x"] + [f"a{i}" for i in range(3000)]
    for before, name in itertools.pairwise(names):
        tensor = {"shape": [None, 4], "dtype": "float32"}
        tensor["keras_history"] = [before, 0, 0]
        value = {"class_name": "__keras_tensor__", "config": tensor}
        call = {"args": [value], "kwargs": {}}
        layer = {"class_name": "Identity", "config": {"name": name}, "name": name}
        layers.append({**layer, "inbound_nodes": [call]})
    config = site.new_config()
    config.pop("compile_config")
    inner = config["config"]
    inner.update(layers=layers[::-1], output_layers=[names[-1], 0, 0])
    path = site.with_config(config)
    start = time.perf_counter()
    model = mk.models.load_model(path)
    assert len(model.layers) == 3001
    assert time.perf_counter() - start < SECONDS


def test_loading_draws_nothing_and_equals_the_model(site):
    """Random initial weights are put off, since the file brings its own."""
    loaded = mk.models.load_model(site.good)
    pairs = zip(loaded.get_weights(), site.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_weights_that_the_file_lacks_are_initialized_all_the_same():
    with budget.spending(budget.Budget(1 << 20, "a test", defer=True)) as limit:
        layer = mk.layers.Dense(3, kernel_initializer="he_normal")
        layer.build((None, 4))
        assert not layer.kernel.numpy().any()
        limit.settle(set())
    assert layer.kernel.numpy().all()


def test_the_limits_are_those_of_the_documents():
    text = (mk.__path__[0] + "/../SECURITY.md",)
    with open(text[0], encoding="utf-8") as file:
        page = file.read()
    for number in (
        f"{limits.CONFIG_BYTES >> 20} MB",
        f"{limits.CONFIG_VALUES:,} values",
        f"{limits.CONFIG_OBJECTS:,} objects",
        f"{limits.CONFIG_DEPTH} levels",
        f"{limits.RATIO} times",
        f"{limits.VARIABLES_RATIO} times",
        f"{limits.UNBACKED_BYTES >> 30} GB",
        f"{budget.MAX_TENSORS:,} steps",
    ):
        assert number in page, number


def test_cve_2025_12060_no_archive_is_ever_unpacked():
    """Keras's `get_file` unpacked archives outside their folder; here nothing does."""
    source = Path(mk.__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("tarfile", "extractall", "unpack_archive"):
            assert word not in text, f"{word} in {path.name}"
    with pytest.raises(AttributeError, match="minikeras does not"):
        mk.utils.get_file  # noqa: B018
