"""Files that mean harm, or are broken: built from a good one, a case at a time.

Payloads are harmless: each would write a file (the marker) if it ran.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import marshal
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

import minikeras as mk

CASES: dict[str, Case] = {}


class Case(NamedTuple):
    """How to build a file, and a word that its refusal must contain."""

    build: Callable[[Site], Path]
    says: str


class Site:
    """A folder with good files, and where the payload would leave its mark."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.marker = folder / "marker"
        self.secret = folder / "secret.txt"
        self.secret.write_bytes(b"secret" * 100)
        mk.utils.set_random_seed(0)
        inputs = mk.Input((4,), name="x")
        hidden = mk.layers.Dense(3, activation="relu", name="hidden")(inputs)
        outputs = mk.layers.Dense(2, name="out")(hidden)
        self.model = mk.Model(inputs, outputs, name="good")
        self.model.compile("adam", "mse", metrics=["mae"])
        self.model.optimizer.build(self.model.trainable_variables)
        self.good = folder / "good.keras"
        self.model.save(self.good)
        self.legacy = folder / "good.h5"
        self.model.save(self.legacy)
        with zipfile.ZipFile(self.good) as archive:
            self.members = {n: archive.read(n) for n in archive.namelist()}
        self.config = json.loads(self.members["config.json"])

    def new_config(self) -> dict[str, Any]:
        """A copy of the good file's configuration, to be spoiled."""
        return copy.deepcopy(self.config)

    def code(self) -> bytes:
        """Marshalled code that would leave the mark."""
        text = f"open({str(self.marker)!r}, 'w').close()"
        return marshal.dumps(compile(text, "payload", "exec"))

    def pickle(self) -> bytes:
        """A pickle that would leave the mark."""
        return pickle.dumps(_Leaves(str(self.marker)))

    def zip(self, changes: dict[str, Any], extra: list[Any] = ()) -> Path:  # type: ignore
        """A `.keras` of the good members, some changed (None: left out), and more."""
        path = self.folder / "case.keras"
        members = {**self.members, **changes}
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")  # duplicate names, on purpose
            for name, data in [*members.items(), *extra]:
                if data is not None:
                    archive.writestr(name, data)
        return path

    def with_config(self, config: Any) -> Path:
        """A `.keras` with another configuration."""
        text = config if isinstance(config, str | bytes) else json.dumps(config)
        return self.zip({"config.json": text})

    def with_weights(self, spoil: Callable[[h5py.File], None]) -> Path:
        """A `.keras` whose HDF5 was changed."""
        buffer = io.BytesIO(self.members["model.weights.h5"])
        with h5py.File(buffer, "a") as file:
            spoil(file)
        return self.zip({"model.weights.h5": buffer.getvalue()})

    def with_legacy(self, spoil: Callable[[h5py.File], None]) -> Path:
        """A legacy `.h5` that was changed."""
        path = self.folder / "case.h5"
        path.write_bytes(self.legacy.read_bytes())
        with h5py.File(path, "a") as file:
            spoil(file)
        return path

    def with_layer(self, layer: dict[str, Any]) -> Path:
        """A `.keras` with this in the place of the hidden layer."""
        config = self.new_config()
        layers = config["config"]["layers"]
        layers[1] = {**layers[1], **layer}
        return self.with_config(config)


class _Leaves:
    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (self.marker, "w")


def case(says: str = "") -> Callable[[Callable[[Site], Path]], Any]:
    """Adds a builder to the corpus."""

    def add(build: Callable[[Site], Path]) -> Any:
        CASES[build.__name__] = Case(build, says)
        return build

    return add


# --- The container --------------------------------------------------------------------


def _write(site: Site, data: bytes, name: str = "case.keras") -> Path:
    path = site.folder / name
    path.write_bytes(data)
    return path


@case("neither a zip")
def empty_file(site):
    return _write(site, b"")


@case("neither a zip")
def text_file(site):
    return _write(site, b"not a model at all")


@case("folder")
def a_folder(site):
    path = site.folder / "folder.keras"
    path.mkdir()
    return path


@case()
def zip_cut_in_the_middle(site):
    data = site.good.read_bytes()
    return _write(site, data[: len(data) // 2])


@case()
def zip_without_its_last_byte(site):
    return _write(site, site.good.read_bytes()[:-1])


@case("damaged")
def zip_with_a_flipped_byte(site):
    data = bytearray(site.good.read_bytes())
    data[data.index(b'"class_name"') + 3] ^= 1
    return _write(site, bytes(data))


@case("config.json")
def zip_without_config(site):
    return site.zip({"config.json": None})


@case("model.weights.h5")
def zip_without_weights(site):
    return site.zip({"model.weights.h5": None})


@case("config.json")
def member_under_another_name(site):
    return site.zip({"config.json": None}, [("Config.json", b"{}")])


@case("leads out")
def member_that_climbs_out(site):
    return site.zip({}, [("../../marker", b"x")])


@case("leads out")
def member_with_an_absolute_path(site):
    return site.zip({}, [("/tmp/marker", b"x")])


@case("leads out")
def member_with_a_windows_path(site):
    return site.zip({}, [("assets\\..\\..\\marker", b"x")])


@case("twice")
def config_twice(site):
    return site.zip({}, [("config.json", b"{}")])


@case("damaged")
def encrypted_member(site):
    data = bytearray(site.good.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"config.json"))
    data[entry + 8] |= 1
    local = data.rindex(b"PK\x03\x04", 0, data.index(b"config.json"))
    data[local + 6] |= 1
    return _write(site, bytes(data))


@case("damaged")
def unknown_compression(site):
    data = bytearray(site.good.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"config.json"))
    data[entry + 10 : entry + 12] = b"\x63\x00"
    return _write(site, bytes(data))


def _deflated(site: Site, name: str, data: bytes) -> Path:
    path = site.folder / "case.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**site.members, name: data}.items():
            archive.writestr(member, content)
    return path


@case("would unpack")
def config_bomb(site):
    return _deflated(site, "config.json", b" " * (40 << 20))


@case("would unpack")
def weights_bomb(site):
    return _deflated(site, "model.weights.h5", bytes(60 << 20))


@case("values")
def config_of_a_million_lists(site):
    return _deflated(site, "config.json", b"[" + b"[]," * (2 << 20) + b"0]")


@case("twice")
def overlapping_names_in_json(site):
    return site.with_config('{"class_name": "Sequential", "class_name": "Model"}')


# --- The configuration: what Keras was attacked with ----------------------------------


def _lambda(function: Any) -> dict[str, Any]:
    config = {"name": "hidden", "trainable": True, "function": function}
    return {"module": "keras.layers", "class_name": "Lambda", "config": config}


@case("Lambda")
def cve_2024_3660_lambda_with_bytecode(site):
    code = base64.b64encode(site.code()).decode()
    inner = {"code": code, "defaults": None, "closure": None}
    return site.with_layer(_lambda({"class_name": "__lambda__", "config": inner}))


@case("Lambda")
def cve_2024_3660_lambda_of_keras_2(site):
    code = base64.b64encode(site.code()).decode()
    return site.with_layer(_lambda([code, None, None]))


@case("Lambda")
def cve_2026_12481_lambda_as_an_activation(site):
    code = base64.b64encode(site.code()).decode()
    config = site.new_config()
    config["config"]["layers"][1]["config"]["activation"] = {
        "class_name": "__lambda__",
        "config": {"code": code, "defaults": None, "closure": None},
    }
    return site.with_config(config)


@case("'run'")
def cve_2025_1550_function_of_another_module(site):
    config = site.new_config()
    config["config"]["layers"][1] = {
        "module": "subprocess",
        "class_name": "function",
        "config": "run",
        "registered_name": "run",
        "name": "hidden",
        "inbound_nodes": [{"args": [["touch", str(site.marker)]], "kwargs": {}}],
    }
    return site.with_config(config)


@case("'Popen'")
def cve_2025_1550_class_of_another_module(site):
    return site.with_layer(
        {
            "module": "subprocess",
            "class_name": "Popen",
            "config": {"args": ["touch", str(site.marker)]},
            "registered_name": "Popen",
        }
    )


@case("'get_file'")
def cve_2025_8747_get_file(site):
    config = site.new_config()
    origin = site.secret.as_uri()
    config["config"]["layers"][1]["config"]["activation"] = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }
    config["config"]["layers"][2]["inbound_nodes"][0]["kwargs"] = {
        "origin": origin,
        "cache_dir": str(site.marker),
    }
    return site.with_config(config)


@case("Lambda")
def cve_2025_9905_lambda_in_legacy_hdf5(site):
    code = base64.b64encode(site.code()).decode()

    def spoil(file):
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1].update(_lambda([code, None, None]))
        file.attrs["model_config"] = json.dumps(config)

    return site.with_legacy(spoil)


@case("'enable_unsafe_deserialization'")
def cve_2025_9906_switching_safety_off(site):
    config = site.new_config()
    config["config"]["layers"].insert(
        0,
        {
            "module": "keras.config",
            "class_name": "function",
            "config": "enable_unsafe_deserialization",
            "registered_name": "function",
            "name": "off",
            "inbound_nodes": [],
        },
    )
    return site.with_config(config)


@case("'StringLookup'")
def cve_2025_12058_vocabulary_from_a_path(site):
    inner = {"name": "hidden", "vocabulary": str(site.secret)}
    return site.with_layer(
        {"module": "keras.layers", "class_name": "StringLookup", "config": inner}
    )


@case("'TorchModuleWrapper'")
def cve_2025_49655_pickle_in_a_torch_module(site):
    inner = {"name": "hidden", "module": base64.b64encode(site.pickle()).decode()}
    return site.with_layer(
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": inner}
    )


@case("'TFSMLayer'")
def cve_2026_1462_saved_model_of_tensorflow(site):
    inner = {"name": "hidden", "filepath": str(site.folder)}
    return site.with_layer(
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": inner}
    )


@case("declares")
def cve_2026_0897_shape_without_data(site):
    def spoil(file):
        group = file["layers/dense/vars"]
        del group["0"]
        group.create_dataset("0", shape=(4, 3, 1 << 40), dtype="f4", chunks=(4, 3, 64))

    return site.with_weights(spoil)


@case("another file")
def cve_2026_1669_data_in_another_file(site):
    def spoil(file):
        group = file["layers/dense/vars"]
        del group["0"]
        where = [(str(site.secret), 0, 48)]
        group.create_dataset("0", shape=(4, 3), dtype="f4", external=where)

    return site.with_weights(spoil)


@case()
def cve_2026_12479_layer_name_that_climbs_out(site):
    config = site.new_config()
    config["config"]["layers"][1]["config"]["name"] = "../../marker"
    return site.with_config(config)


@case("'DTypePolicyMap'")
def regular_expression_in_a_dtype_policy_map(site):
    config = site.new_config()
    inner = {"policy_map": {"(a+)+$": "float32"}, "default_policy": "float32"}
    config["config"]["layers"][1]["config"]["dtype"] = {
        "module": "keras.dtype_policies",
        "class_name": "DTypePolicyMap",
        "config": inner,
    }
    config["config"]["name"] = "a" * 200 + "!"
    return site.with_config(config)


@case("npz")
def pickle_in_npz_weights(site):
    buffer = io.BytesIO()
    np.savez(buffer, __root__=np.array(_Leaves(str(site.marker)), dtype=object))
    changes = {"model.weights.h5": None, "model.weights.npz": buffer.getvalue()}
    return site.zip(changes)


@case("neither a zip")
def a_pickle(site):
    return _write(site, site.pickle())


@case("not valid JSON")
def cve_2021_37678_yaml(site):
    text = f"!!python/object/apply:os.system ['touch {site.marker}']"
    return site.with_config(text)


# --- The configuration: too much ------------------------------------------------------


@case("bytes of weights")
def a_billion_units(site):
    config = site.new_config()
    config["config"]["layers"][1]["config"]["units"] = 10**9
    return site.with_config(config)


@case()
def more_units_than_there_are_atoms(site):
    config = site.new_config()
    config["config"]["layers"][1]["config"]["units"] = 10**80
    return site.with_config(config)


@case()
def more_digits_than_python_reads(site):
    text = json.dumps(site.config).replace('"units": 3', '"units": ' + "9" * 10_000)
    return site.with_config(text)


@case("bytes of weights")
def a_large_orthogonal_matrix(site):
    # 400 MB, and minutes of work.
    inner = {"name": "hidden", "units": 10_000, "kernel_initializer": "orthogonal"}
    config = site.new_config()
    shape = [None, 10_000]
    config["config"]["layers"][0]["config"]["batch_shape"] = shape
    config["config"]["layers"][1]["config"].update(inner)
    config["config"]["layers"][1].pop("build_config", None)
    return site.with_config(config)


@case()
def a_huge_array_in_the_config(site):
    config = site.new_config()
    config["config"]["layers"][1]["config"]["units"] = {
        "class_name": "__numpy__",
        "config": {"value": [1], "dtype": "(100000,100000)f8"},
    }
    return site.with_config(config)


@case("nested")
def json_nested_without_end(site):
    return site.with_config("[" * 200_000)


@case("nested")
def objects_nested_without_end(site):
    return site.with_config('{"a":' * 900 + "1" + "}" * 900)


@case()
def models_in_models_in_models(site):
    layer = site.config["config"]["layers"][0]
    config = {"name": "s0", "layers": [layer]}
    for i in range(1, 200):
        inner = {"module": "keras", "class_name": "Sequential", "config": config}
        config = {"name": f"s{i}", "layers": [layer, inner]}
    top = {"module": "keras", "class_name": "Sequential", "config": config}
    return site.with_config(top)


@case("objects")
def too_many_layers(site):
    layer = {"class_name": "Identity", "config": {}}
    config = {"name": "many", "layers": [layer] * 60_000}
    return site.with_config({"class_name": "Sequential", "config": config})


@case("characters")
def a_name_of_a_million_letters(site):
    config = site.new_config()
    config["config"]["layers"][1]["class_name"] = "A" * 1_000_000
    return site.with_config(config)


def _model(name: str, layers: list[Any], output: list[Any], size: Any) -> dict:
    first = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [size, 4], "dtype": "float32", "name": f"{name}_x"},
        "name": f"{name}_x",
        "inbound_nodes": [],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "name": name,
        "config": {
            "name": name,
            "layers": [first, *layers],
            "input_layers": [f"{name}_x", 0, 0],
            "output_layers": output,
        },
    }


def _tensor(name: str, number: int = 0, size: Any = None) -> dict[str, Any]:
    history = {
        "shape": [size, 4],
        "dtype": "float32",
        "keras_history": [name, number, 0],
    }
    return {"class_name": "__keras_tensor__", "config": history}


@case("steps")
def models_repeated_in_repeated_models(site):
    """Each calls the one inside it eight times: 8 ** 12 steps in all."""
    identity = {
        "module": "keras.layers",
        "class_name": "Identity",
        "config": {"name": "same"},
        "name": "same",
        "inbound_nodes": [{"args": [_tensor("m0_x")], "kwargs": {}}],
    }
    inner = _model("m0", [identity], ["same", 0, 0], None)
    for depth in range(1, 13):
        name = f"m{depth}"
        size = depth + 1  # another batch size: its shapes are found anew
        calls = [{"args": [_tensor(f"{name}_x", 0, size)], "kwargs": {}}]
        calls += [
            {"args": [_tensor(inner["name"], i, size)], "kwargs": {}} for i in range(7)
        ]
        inner = {**inner, "inbound_nodes": calls}
        inner = _model(name, [inner], [inner["name"], 8, 0], size)
    inner.pop("name")
    return site.with_config(inner)


@case("takes")
def a_trial_run_on_large_arrays(site):
    config = site.new_config()
    layers = config["config"]["layers"]
    layers[0]["config"]["batch_shape"] = [None, 4]
    big = {**layers[0], "name": "big"}
    big["config"] = {**big["config"], "batch_shape": [100_000, 100_000], "name": "big"}
    tensor = {"shape": [100_000, 100_000], "dtype": "float32"}
    tensor["keras_history"] = ["big", 0, 0]
    value = {"class_name": "__keras_tensor__", "config": tensor}
    tried = {
        "module": "keras.src.ops.numpy",
        "class_name": "Absolute",
        "config": {"name": "tried"},
        "registered_name": "Absolute",
        "name": "tried",
        "inbound_nodes": [{"args": [value], "kwargs": {}}],
    }
    config["config"]["layers"] = [big, tried]
    config["config"]["input_layers"] = ["big", 0, 0]
    config["config"]["output_layers"] = ["tried", 0, 0]
    return site.with_config(config)


# --- The configuration: wrong ---------------------------------------------------------


@case("UTF-8")
def config_not_utf_8(site):
    return site.with_config(b'{"class_name": "\xff\xfe"}')


@case("expected an object")
def config_is_a_list(site):
    return site.with_config("[1, 2]")


@case("config.json")
def config_of_a_layer(site):
    return site.with_config(site.config["config"]["layers"][1])


@case("config.json")
def config_without_a_class(site):
    return site.with_config({"config": {}})


@case()
def a_graph_with_a_loop(site):
    config = site.new_config()
    call = {"args": [_tensor("out")], "kwargs": {}}
    config["config"]["layers"][1]["inbound_nodes"] = [call]
    return site.with_config(config)


@case()
def a_layer_that_feeds_itself(site):
    config = site.new_config()
    call = {"args": [_tensor("hidden")], "kwargs": {}}
    config["config"]["layers"][1]["inbound_nodes"] = [call]
    return site.with_config(config)


@case("nowhere")
def an_input_from_nowhere(site):
    config = site.new_config()
    call = {"args": [_tensor("nowhere")], "kwargs": {}}
    config["config"]["layers"][1]["inbound_nodes"] = [call]
    return site.with_config(config)


@case("twice")
def two_layers_of_one_name(site):
    config = site.new_config()
    config["config"]["layers"].append(config["config"]["layers"][1])
    return site.with_config(config)


@case("TFSMLayer")
def unknown_classes(site):
    config = site.new_config()
    config["config"]["layers"][1]["class_name"] = "TFSMLayer"
    config["config"]["layers"][2]["class_name"] = "Dense2000"
    return site.with_config(config)


@case("knob")
def an_unknown_key(site):
    config = site.new_config()
    config["config"]["layers"][1]["config"]["knob"] = 11
    return site.with_config(config)


def _wrong(key: str, value: Any) -> Callable[[Site], Path]:
    def build(site: Site) -> Path:
        config = site.new_config()
        target: Any = config
        *parents, last = key.split(".")
        for part in parents:
            target = target[int(part) if part.isdigit() else part]
        target[last] = value
        return site.with_config(config)

    return build


_WRONG: list[tuple[str, Any]] = [
    ("class_name", 7),
    ("module", ["keras"]),
    ("registered_name", {"a": 1}),
    ("config", None),
    ("config.layers", {"a": 1}),
    ("config.name", ["x"]),
    ("config.input_layers", 3),
    ("config.output_layers", [["out"]]),
    ("config.layers.1.config", "Dense"),
    ("config.layers.1.inbound_nodes", 5),
    ("config.layers.1.config.units", "three"),
    ("config.layers.1.config.units", -3),
    ("config.layers.1.config.units", float("nan")),
    ("config.layers.1.config.activation", 3.5),
    ("config.layers.1.config.dtype", "float4096"),
    ("config.layers.1.config.trainable", "yes"),
    ("config.layers.1.config.kernel_initializer", [1]),
    ("config.layers.0.config.batch_shape", "all"),
    ("config.layers.0.config.batch_shape", [None, -4]),
    ("config.layers.0.config.dtype", "(9999,9999)f8"),
    ("compile_config", {"optimizer": 3}),
    ("compile_config.loss", {"class_name": "function", "config": "Dense"}),
]
for _key, _value in _WRONG:
    CASES[f"wrong {_key}: {_value}"] = Case(_wrong(_key, _value), "")


# --- The weights ----------------------------------------------------------------------


def _replace(file: h5py.File, **arguments: Any) -> None:
    group = file["layers/dense/vars"]
    del group["0"]
    group.create_dataset("0", **arguments)


@case("links are not followed")
def soft_link(site):
    def spoil(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")

    return site.with_weights(spoil)


@case("links are not followed")
def external_link(site):
    def spoil(file):
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(site.legacy), "/model_weights")

    return site.with_weights(spoil)


@case("virtual")
def virtual_array(site):
    def spoil(file):
        layout = h5py.VirtualLayout(shape=(4, 3), dtype="f4")
        layout[:] = h5py.VirtualSource(str(site.legacy), "a", shape=(4, 3))
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_virtual_dataset("0", layout)

    return site.with_weights(spoil)


@case("contains itself")
def group_in_itself(site):
    def spoil(file):
        file["layers/loop"] = file["layers"]

    return site.with_weights(spoil)


@case("array of numbers")
def array_of_texts(site):
    return site.with_weights(lambda file: _replace(file, data=[b"a", b"b"]))


@case("array of numbers")
def array_of_records(site):
    data = np.zeros((4, 3), [("a", "f4"), ("b", "f4")])
    return site.with_weights(lambda file: _replace(file, data=data))


@case("without a shape")
def array_without_a_shape(site):
    return site.with_weights(lambda file: _replace(file, data=h5py.Empty("f4")))


@case("declares")
def gzip_bomb_in_an_array(site):
    def spoil(file):
        data = np.zeros((4, 1 << 20), "f4")
        _replace(file, data=data, compression="gzip", chunks=(4, 1 << 20))

    return site.with_weights(spoil)


@case("damaged")
def gzip_chunk_longer_than_it_says(site):
    import zlib

    def spoil(file):
        _replace(file, data=np.ones((4, 3), "f4"), compression="gzip", chunks=(4, 3))
        bomb = zlib.compress(bytes(30 << 20))
        file["layers/dense/vars/0"].id.write_direct_chunk((0, 0), bomb)

    return site.with_weights(spoil)


@case("filter")
def other_compression(site):
    data = np.ones((4, 3), "f4")
    return site.with_weights(lambda file: _replace(file, data=data, compression="lzf"))


@case("shape")
def array_of_another_shape(site):
    data = np.ones((3, 4), "f4")
    return site.with_weights(lambda file: _replace(file, data=data))


@case("do not fit")
def array_missing(site):
    def spoil(file):
        del file["layers/dense/vars/0"]

    return site.with_weights(spoil)


@case("do not fit")
def a_group_in_the_place_of_an_array(site):
    def spoil(file):
        del file["layers/dense/vars/0"]
        file.create_group("layers/dense/vars/0")

    return site.with_weights(spoil)


@case("HDF5")
def weights_cut_off(site):
    data = site.members["model.weights.h5"]
    return site.zip({"model.weights.h5": data[: len(data) // 2]})


@case("HDF5")
def weights_that_are_not_hdf5(site):
    return site.zip({"model.weights.h5": site.pickle()})


@case("broken heap")
def heap_with_a_hole(site):
    """The HDF5 library never comes back from this one."""
    data = bytearray(site.legacy.read_bytes())
    heap = data.index(b"GCOL")
    size = int.from_bytes(data[heap + 24 : heap + 32], "little")
    second = heap + 32 + size + -size % 8
    data[second : second + 16] = bytes(16)
    return _write(site, bytes(data), "case.h5")


# --- Legacy ---------------------------------------------------------------------------


@case("expected a text")
def legacy_config_is_a_number(site):
    def spoil(file):
        file.attrs["model_config"] = 3

    return site.with_legacy(spoil)


@case("missing")
def legacy_layer_that_is_not_there(site):
    def spoil(file):
        file["model_weights"].attrs["layer_names"] = [b"hidden", b"../../out"]

    return site.with_legacy(spoil)


@case("missing")
def legacy_weights_of_the_optimizer_as_those_of_a_layer(site):
    def spoil(file):
        names = [b"../../optimizer_weights/adam/iteration", b"x"]
        file["model_weights/hidden"].attrs["weight_names"] = names

    return site.with_legacy(spoil)


@case("expected a list of names")
def legacy_names_are_numbers(site):
    def spoil(file):
        file["model_weights"].attrs["layer_names"] = [1, 2]

    return site.with_legacy(spoil)


@case("links are not followed")
def legacy_external_link(site):
    def spoil(file):
        del file["model_weights/hidden"]
        file["model_weights/hidden"] = h5py.ExternalLink(str(site.legacy), "/")

    return site.with_legacy(spoil)


@case()
def legacy_not_utf_8(site):
    def spoil(file):
        file.attrs["model_config"] = np.bytes_(b'{"class_name": "\xff"}')

    return site.with_legacy(spoil)


@case("no model")
def only_weights(site):
    path = site.folder / "case.weights.h5"
    site.model.save_weights(path)
    return path


@case("same folder")
def shard_in_another_folder(site):
    index = {"weight_map": {"/layers/dense/vars": "../secret_00000.weights.h5"}}
    return _write(site, json.dumps(index).encode(), "case.weights.json")


@case("missing")
def shard_that_is_missing(site):
    index = {"weight_map": {"/layers/dense/vars": "none_00000.weights.h5"}}
    return _write(site, json.dumps(index).encode(), "case.weights.json")
