"""Weights as `.npz` and `.safetensors`: both ways, by name, and from hostile files."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import pickle
import random
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

import minikeras as mk
from minikeras.saving.contents import open_contents
from minikeras.saving.errors import FileRefused
from minikeras.saving.safetensors import list_safetensors, write_safetensors
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import architectures
from parity_tests.test_fuzz_files import change_bytes
from parity_tests.tolerance import assert_equal

GOLDEN = next((Path(__file__).parent / "golden").glob("*.safetensors"))
NAMES = ["w.npz", "w.safetensors"]


def make(names=("first", "norm", "last"), units=3):
    first, norm, last = names
    return mk.Sequential(
        [
            mk.Input((4,)),
            mk.layers.Dense(units, name=first),
            mk.layers.BatchNormalization(name=norm),
            mk.layers.Dense(2, name=last),
        ],
        name="small",
    )


FILE_NAMES = [
    "first/kernel",
    "first/bias",
    "norm/gamma",
    "norm/beta",
    "norm/moving_mean",
    "norm/moving_variance",
    "last/kernel",
    "last/bias",
]


def weights(model):
    return [w.copy() for w in model.get_weights()]


def assert_same_weights(a, b):
    for x, y in zip(a, b, strict=True):
        assert_equal(x, y)


# --- Both ways ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_by_name(name, tmp_path):
    model = make()
    model.save_weights(tmp_path / name)
    with open_contents(str(tmp_path / name)) as contents:
        assert_equal(list(contents.arrays), FILE_NAMES)
        assert_equal(contents.format, name.partition(".")[2])
    again = make()
    again.load_weights(tmp_path / name)
    assert_same_weights(weights(again), weights(model))


@pytest.mark.parametrize("name", NAMES)
def test_layers_named_anew(name, tmp_path):
    model = make()
    model.save_weights(tmp_path / name)
    again = make(("a", "b", "c"))
    again.load_weights(tmp_path / name)
    assert_same_weights(weights(again), weights(model))
    layers = [mk.layers.Dense(2), mk.layers.BatchNormalization()]
    swapped = mk.Sequential([mk.Input((4,)), mk.layers.Dense(3), *layers])
    with pytest.raises(ValueError, match="do not fit"):
        swapped.load_weights(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
@given(architecture=architectures())
def test_drawn_models(name, architecture: Architecture, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / name
    model = architecture(mk)
    model.save_weights(path)
    twin = mk.models.clone_model(model)
    twin.load_weights(path)
    assert_same_weights(weights(twin), weights(model))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(name, dtype, tmp_path):
    layers = [mk.layers.Dense(2, dtype=dtype), mk.layers.Dense(2, dtype="float32")]
    model = mk.Sequential([mk.Input((3,)), *layers])
    model.save_weights(tmp_path / name)
    with open_contents(str(tmp_path / name)) as contents:
        found = [a.read().dtype for a in contents.arrays.values()]
    assert_equal(found, [w.numpy().dtype for w in model.weights])


@pytest.mark.parametrize("name", NAMES)
def test_all_or_nothing(name, tmp_path):
    make().save_weights(tmp_path / name)
    other = make(units=5)
    before = weights(other)
    with pytest.raises(ValueError, match=r"(?s)w\..*\(4, 5\).*\(4, 3\)"):
        other.load_weights(tmp_path / name)
    assert_same_weights(weights(other), before)
    with pytest.warns(UserWarning, match="Skipped"):
        other.load_weights(tmp_path / name, skip_mismatch=True)
    assert_equal(weights(other)[-1], weights(make())[-1])


def test_names_in_nested_and_loaded_models(tmp_path):
    inner = mk.Sequential([mk.Input((3,)), mk.layers.Dense(3, name="d")], name="inner")
    lstm = mk.layers.LSTM(3, name="memory")
    model = mk.Sequential([mk.Input((4, 2)), lstm, inner, mk.layers.Dense(1, name="d")])
    model.save_weights(tmp_path / "w.npz")
    model.save(tmp_path / "m.keras")
    mk.models.load_model(tmp_path / "m.keras").save_weights(tmp_path / "again.npz")
    names = [f"memory/lstm_cell/{n}" for n in ("kernel", "recurrent_kernel", "bias")]
    names += ["inner/d/kernel", "inner/d/bias", "d/kernel", "d/bias"]
    for name in ("w.npz", "again.npz"):
        with open_contents(str(tmp_path / name)) as contents:
            assert_equal(list(contents.arrays), names)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_written(name, tmp_path):
    unbuilt = mk.Sequential([mk.layers.Dense(2)])
    with pytest.raises(ValueError, match="before it is built"):
        unbuilt.save_weights(tmp_path / name)
    make().save_weights(tmp_path / name)
    with pytest.raises(FileExistsError):
        make().save_weights(tmp_path / name, overwrite=False)
    with pytest.raises(ValueError, match="holds weights and no model"):
        mk.models.load_model(tmp_path / name)


def test_numpy_reads_and_writes_npz(tmp_path):
    model = make()
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    assert_same_weights(list(found.values()), weights(model))
    found = {k: np.asfortranarray(v).astype(">f4") + 1 for k, v in found.items()}
    np.savez_compressed(tmp_path / "other.npz", **found)
    again = make()
    again.load_weights(tmp_path / "other.npz")
    assert_same_weights(weights(again), [w + 1 for w in weights(model)])


def test_a_file_of_the_safetensors_library():
    found, metadata = list_safetensors(str(GOLDEN))
    arrays = {name: tensor.read() for name, tensor in found.items()}
    draw = np.random.default_rng(0)  # as in golden/make_safetensors.py
    kernel = draw.normal(size=(4, 3)).astype("float32")
    assert_equal(metadata, {"format": "np"})
    assert_equal(arrays["sequential/dense/kernel"], kernel)
    assert_equal(arrays["sequential/dense/bias"], np.arange(3, dtype="float32"))
    assert_equal(arrays["sequential/count"], np.array(7, "int64"))
    assert_equal(arrays["sequential/flags"], np.array([True, False, True]))
    assert_equal(arrays["sequential/half"], np.array([0.5, 1.5], "float16"))
    assert_equal(arrays["sequential/empty"], np.zeros((0, 2)))
    for tensor in found.values():
        assert_equal(tensor.dtype, tensor.read().dtype)


def test_bfloat16_is_read_as_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.0], "float32")
    data = (values.view("uint32") >> 16).astype("<u2").tobytes()
    entry = {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}
    path = raw(tmp_path, {"x": entry}, data)
    assert_equal(list_safetensors(str(path))[0]["x"].read(), values)


if importlib.util.find_spec("safetensors"):

    def test_the_safetensors_library_reads_ours(tmp_path):
        library = importlib.import_module("safetensors.numpy")
        model = make()
        model.save_weights(tmp_path / "w.safetensors")
        found = library.load_file(tmp_path / "w.safetensors")
        for name, w in zip(FILE_NAMES, model.weights, strict=True):
            assert_equal(found[name], w.numpy())


def test_a_dtype_that_safetensors_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="no dtype complex64"):
        write_safetensors({"x": np.zeros(1, "complex64")}, tmp_path / "x", {})


# --- Hostile files --------------------------------------------------------------------


def raw(folder, header, data, name="case.safetensors"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / name
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(shape=(2,), begin=0, end=8, dtype="F32", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


EIGHT = b"\0" * 8
SAFETENSORS = {
    "cut off": ({"x": entry()}, EIGHT[:-1], "cut off"),
    "more data": ({"x": entry()}, EIGHT * 2, "hidden"),
    "overlap": ({"x": entry(), "y": entry(begin=4, end=12)}, EIGHT * 2, "overlaps"),
    "gap": ({"x": entry(), "y": entry(begin=12, end=20)}, EIGHT * 3, "gap"),
    "twice the same": ({"x": entry(), "y": entry()}, EIGHT, "overlaps"),
    "huge shape": ({"x": entry([2**40, 2**40])}, EIGHT, "declares an array"),
    "overflowing shape": ({"x": entry([2**61, 2**61, 8])}, EIGHT, "declares"),
    "huge offsets": ({"x": entry([2**60], 0, 2**62)}, EIGHT, "sizes"),
    "negative shape": ({"x": entry([-1, -2])}, EIGHT, "sizes"),
    "backward offsets": ({"x": entry(begin=8, end=0)}, EIGHT, "declares"),
    "fractional shape": ({"x": entry([2.0])}, EIGHT, "sizes"),
    "boolean shape": ({"x": entry([True, 2])}, EIGHT, "sizes"),
    "many axes": ({"x": entry([1] * 40 + [2])}, EIGHT, "32 axes"),
    "three offsets": ({"x": entry() | {"data_offsets": [0, 4, 8]}}, EIGHT, "2 offs"),
    "bad dtype": ({"x": entry(dtype="O")}, EIGHT, "dtype 'O' is not read"),
    "dtype list": ({"x": entry(dtype=["F32"])}, EIGHT, "is not read"),
    "extra key": ({"x": entry(extra=1)}, EIGHT, "expected 'dtype'"),
    "missing key": ({"x": {"dtype": "F32"}}, EIGHT, "expected 'dtype'"),
    "no entry": ({"x": 3}, EIGHT, "expected 'dtype'"),
    "list header": (b"[1, 2]", EIGHT, "expected an object"),
    "no JSON": (b"{x", EIGHT, "not valid JSON"),
    "not UTF-8": (b'{"\xff": 1}', EIGHT, "not UTF-8"),
    "duplicate names": (b'{"x": 1, "x": 2}', EIGHT, "appears twice"),
    "deep header": (b'{"x":' + b"[" * 10**5 + b"]" * 10**5 + b"}", EIGHT, "nested"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "expected texts"),
    "long name": ({"x" * 2000: entry()}, EIGHT, "2,000 characters"),
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_hostile_safetensors(name, tmp_path):
    header, data, says = SAFETENSORS[name]
    path = raw(tmp_path, header, data)
    model = make()
    before = weights(model)
    with pytest.raises(FileRefused, match=rf"case\.safetensors.*{says}"):
        model.load_weights(path)
    assert_same_weights(weights(model), before)


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**63, 2**64 - 1])
def test_hostile_header_lengths(length, tmp_path):
    path = tmp_path / "case.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}      ")
    with pytest.raises(FileRefused, match="case"):
        list_safetensors(str(path))
        with open_contents(str(path)):
            pytest.fail("it was read")


def test_a_boolean_that_is_none(tmp_path):
    path = raw(tmp_path, {"x": entry([1], 0, 1, "BOOL")}, b"\2")
    with pytest.raises(FileRefused, match="neither 0 nor 1"):
        list_safetensors(str(path))[0]["x"].read()


class Leaves:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def header_only(text):
    data = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


def huge(shape, descr="'<f4'"):
    return header_only(
        f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    )


NPZ = {
    "huge shape": (huge("(1000000, 1000000)"), "declares an array"),
    "negative shape": (huge("(-1, -4)"), "impossible|damaged"),
    "cut off": (npy(np.zeros(3))[:-1], "23 bytes of data"),
    "more data": (npy(np.zeros(3)) + b"x", "25 bytes of data"),
    "text": (npy(np.array(["a"])), "expected an array of numbers"),
    "complex": (npy(np.zeros(1, "complex64")), "expected an array of numbers"),
    "records": (npy(np.zeros(1, [("a", "f4")])), "expected an array of numbers"),
    "no header": (b"nothing at all", "damaged"),
    "version 9": (b"\x93NUMPY\x09\x00" + bytes(100), "version|damaged"),
    "long header": (
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100),
        "header of 2,147",
    ),
    "expression": (header_only("__import__('os').getcwd()"), "damaged"),
    "deep header": (header_only("(" * 5000), "damaged|nested"),
}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", NPZ)
def test_hostile_npz(name, tmp_path):
    content, says = NPZ[name]
    path = tmp_path / "case.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small/first/kernel.npy", content)
    with pytest.raises(FileRefused, match=rf"(?s)case\.npz.*({says})"):
        make().load_weights(path)


def test_pickled_members_are_refused(tmp_path):
    marker = tmp_path / "marker"
    np.savez(tmp_path / "case.npz", x=np.array([Leaves(str(marker))], object))
    with pytest.raises(FileRefused, match=r"x\.npy.*pickled Python objects"):
        make().load_weights(tmp_path / "case.npz")
    content = header_only("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}")
    with zipfile.ZipFile(tmp_path / "case.npz", "w") as archive:
        archive.writestr("x.npy", content + pickle.dumps(Leaves(str(marker))))
    with pytest.raises(FileRefused, match="pickled Python objects"):
        make().load_weights(tmp_path / "case.npz")
    assert not marker.exists()


def test_a_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "case.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(np.zeros(8 << 20)))
    with pytest.raises(FileRefused, match="unpack to 67,1"):
        make().load_weights(tmp_path / "case.npz")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["x.npy", "x.npy"], "is there twice"),
        (["../x.npy"], "is no name"),
        (["x.npy", "y.txt"], "not a '.keras' file"),
        (["y" * 2000 + ".npy"], "is no name"),
    ],
)
def test_names_of_members(names, says, tmp_path):
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        warnings.simplefilter("ignore")
        for name in names:
            archive.writestr(name, npy(np.zeros(1)))
    with pytest.raises(FileRefused, match=rf"c\.npz.*{says}"):
        make().load_weights(tmp_path / "c.npz")


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes(name, tmp_path):
    """Loaded or refused, nothing else; always the whole model or none of it."""
    model = make()
    path = tmp_path / name
    model.save_weights(path)
    good = path.read_bytes()
    draw = random.Random(0)
    verdicts = set()
    for _ in range(300):
        path.write_bytes(change_bytes(good, draw))
        before = weights(model)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NaN among the numbers
                model.load_weights(path)
            verdicts.add("loaded")
        except ValueError as error:
            assert name in str(error)
            assert_same_weights(weights(model), before)
            verdicts.add("refused")
    assert "refused" in verdicts


# --- The commands ---------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_commands(name, tmp_path, monkeypatch, capsys):
    from minikeras.__main__ import main

    monkeypatch.chdir(tmp_path)
    model = make()
    model.save("m.keras")
    assert main(["convert", "m.keras", name]) == 0
    assert main(["convert", "m.keras", "other.npz"]) == 0
    capsys.readouterr()
    assert main(["inspect", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == model.count_params()
    kernel = found["weights"][0]
    assert (kernel["name"], kernel["axes"]) == ("kernel", "")  # "first" is no class
    assert main(["diff", name, "other.npz"]) == 0
    assert main(["diff", name, "m.keras"]) == 2
    assert "Convert one of them" in capsys.readouterr().err
    model.layers[0].kernel.assign_add(np.ones((4, 3), "float32"))
    model.save_weights("changed.npz")
    assert main(["diff", name, "changed.npz"]) == 1
