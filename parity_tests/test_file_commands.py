"""`python -m minikeras inspect | summary | diff | convert`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minikeras as mk
from minikeras.__main__ import main
from minikeras.command_line.axes import MEANINGS, meaning
from parity_tests.oracle import keras


def make(lib=mk, seed=0):
    lib.utils.set_random_seed(seed)
    model = lib.Sequential(
        [
            lib.Input((5, 3)),
            lib.layers.LSTM(2, name="memory"),
            lib.layers.BatchNormalization(name="norm"),
            lib.layers.Dense(1, activation="sigmoid", name="out"),
        ],
        name="small",
    )
    model.compile("adam", "binary_crossentropy")
    x = np.linspace(-1, 1, 60, dtype="float32").reshape(4, 5, 3)
    model.train_on_batch(x, np.array([[0], [1], [1], [0]], "float32"))
    return model


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    model = make()
    model.save("m.keras")
    model.save("m.h5")
    model.save_weights("m.weights.h5")
    model.save_weights("m.weights.json", max_shard_size=1)
    (tmp_path / "m.json").write_text(model.to_json())
    return model


def run(capsys, *arguments):
    status = main(list(arguments))
    found = capsys.readouterr()
    return status, found.out, found.err


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "m.weights.json"])
def test_inspect_tells_everything(name, files, capsys):
    status, out, _ = run(capsys, "inspect", name, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["parameters"] == files.count_params()
    assert len(found["weights"]) == 9
    kernels = [w for w in found["weights"] if w["name"] == "recurrent_kernel"]
    assert kernels[0]["axes"] == "units, units x [i f c o]"
    assert kernels[0]["shape"] == [2, 8]
    value = files.layers[0].cell.recurrent_kernel.numpy()
    assert kernels[0]["max"] == float(value.max())
    variances = [w for w in found["weights"] if w["name"] == "moving_variance"]
    assert variances[0]["shape"] == [2]
    assert found["optimizer"]["iterations"] == 1
    assert len(found["optimizer"]["arrays"]) == len(files.optimizer.variables)
    status, out, _ = run(capsys, "inspect", name)
    assert status == 0
    for word in ("kernel", "[i f c o]: input, forget", "1 iterations", "parameters"):
        assert word in out
    if name in ("m.keras", "m.h5"):
        assert [x["name"] for x in found["layers"]][1:] == ["memory", "norm", "out"]
        assert "units=2" in out
    for unknown in ("optimizer None", "Keras unknown"):
        assert unknown not in out


def test_inspect_reads_what_minikeras_cannot_make(files, capsys):
    keras.Sequential([keras.Input((4, 3)), keras.layers.RandomFlip()]).save("f.keras")
    status, out, _ = run(capsys, "inspect", "f.keras", "--json")
    assert status == 0
    assert json.loads(out)["layers"][1]["class_name"] == "RandomFlip"


def test_inspect_names_the_axes_of_a_gru(files, capsys):
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2)])
    model.save("gru.keras")
    status, out, _ = run(capsys, "inspect", "gru.keras", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["layers"][1]["class_name"] == "GRU"
    assert found["weights"][0]["axes"] == "inputs, units x [z r h]"


def test_inspect_reports_nan(files, capsys):
    files.set_weights([np.full_like(w, np.nan) for w in files.get_weights()])
    files.save("nan.keras")
    status, out, _ = run(capsys, "inspect", "nan.keras")
    assert status == 0
    assert "no finite value, 2 not finite" in out


def test_meanings_are_the_names_of_the_weights():
    """The table says what the layers themselves say, in their order."""
    inputs = {
        "dense": (mk.layers.Dense(2), (None, 3)),
        "embedding": (mk.layers.Embedding(4, 2), (None, 3)),
        "conv1d": (mk.layers.Conv1D(2, 2), (None, 5, 3)),
        "conv2d": (mk.layers.Conv2D(2, 2), (None, 5, 5, 3)),
        "lstm": (mk.layers.LSTM(2), (None, 5, 3)),
        "batch_normalization": (mk.layers.BatchNormalization(), (None, 3)),
        "layer_normalization": (mk.layers.LayerNormalization(), (None, 3)),
        "p_re_lu": (mk.layers.PReLU(), (None, 3)),
    }
    for kind, (layer, shape) in inputs.items():
        layer.build(shape)
        names = [name for name, _ in MEANINGS[kind]]
        assert [w.name for w in layer.weights] == names
        for w, (_, axes) in zip(layer.weights, MEANINGS[kind], strict=True):
            assert kind == "p_re_lu" or len(axes.split(", ")) == w.ndim
    assert meaning("layers/dense/vars/0", 1) == ("kernel", "inputs, units")
    assert meaning("layers/batch_normalization/vars/0", 3) == ("", "")
    assert meaning("layers/mystery/vars/0", 1) == ("", "")


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.json"])
def test_summary(name, files, capsys):
    status, out, _ = run(capsys, "summary", name)
    assert status == 0
    assert "memory (LSTM)" in out
    status, out, _ = run(capsys, "summary", name, "--json")
    assert json.loads(out)["parameters"] == files.count_params()


def test_diff_of_the_same(files, capsys):
    for a, b in [("m.keras", "m.weights.h5"), ("m.h5", "m.h5"), ("m.json", "m.keras")]:
        status, out, err = run(capsys, "diff", a, b)
        assert status == 0, (out, err)
        assert "no difference" in out


def test_diff_says_what_where_and_by_how_much(files, capsys):
    files.layers[2].kernel.assign_add([[0], [0.5]])
    files.layers[2].activation = mk.activations.relu
    files.save("changed.keras")
    status, out, _ = run(capsys, "diff", "m.keras", "changed.keras", "--json")
    found = json.loads(out)
    assert status == 1
    assert [d["path"] for d in found["configuration"]] == [
        "config.layers[3].config.activation"
    ]
    (array,) = found["arrays"]
    assert array["path"] == "layers/dense/vars/0"
    assert array["first"] == [1, 0]
    assert array["count"] == 1
    assert 0.49 < array["largest"] < 0.51
    status, out, _ = run(capsys, "diff", "m.keras", "changed.keras")
    assert status == 1
    assert "sigmoid" in out
    assert "1 of 2" in out
    status, *_ = run(
        capsys, "diff", "m.weights.h5", "changed.keras", "--tolerance", "1"
    )
    assert status == 0


def test_diff_of_other_shapes_and_nan(files, capsys):
    other = mk.Sequential([mk.Input((5, 3)), mk.layers.LSTM(3)])
    other.save("other.keras")
    _, out, _ = run(capsys, "diff", "m.keras", "other.keras", "--json")
    problems = {d["problem"] for d in json.loads(out)["arrays"]}
    assert "only in A" in problems
    assert "shape (3, 8) and (3, 12)" in problems
    files.layers[2].bias.assign([np.nan])
    files.save("nan.keras")
    status, out, _ = run(capsys, "diff", "m.keras", "nan.keras", "--json")
    assert status == 1
    assert "NaN" in json.loads(out)["arrays"][0]["problem"]
    assert run(capsys, "diff", "nan.keras", "nan.keras")[0] == 0


def test_diff_of_formats_that_name_arrays_differently(files, capsys):
    status, _, err = run(capsys, "diff", "m.keras", "m.h5")
    assert status == 2
    assert "Convert one of them" in err


@pytest.mark.parametrize(
    "name",
    ["new.keras", "new.h5", "new.weights.h5", "new.weights.json", "new.safetensors"],
)
def test_convert(name, files, capsys):
    status, out, err = run(capsys, "convert", "m.h5", name)
    assert status == 0, err
    assert out.startswith(f"{name}: ")
    twin = make(seed=1)
    twin.load_weights(name)
    pairs = zip(twin.get_weights(), files.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    status, _, err = run(capsys, "convert", "m.h5", name)
    assert status == 2
    assert "--force" in err
    assert run(capsys, "convert", "m.h5", name, "--force")[0] == 0


def test_convert_to_plain_arrays_and_json(files, capsys):
    assert run(capsys, "convert", "m.keras", "m.npz", "--json")[0] == 0
    with np.load("m.npz", allow_pickle=False) as arrays:
        kernel = arrays["out/kernel"]
    assert np.array_equal(kernel, files.layers[2].kernel.numpy())
    assert run(capsys, "convert", "m.keras", "new.json")[0] == 0
    with open("new.json", encoding="utf-8") as file:
        model = mk.models.model_from_json(file.read())
    assert model.count_params() == files.count_params()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inspect", "nothing.keras"], "File not found"),
        (["summary", "m.weights.h5"], "holds weights and no model"),
        (["summary", "broken.keras"], "neither a zip"),
        (["diff", "m.keras", "broken.keras"], "broken.keras"),
        (["convert", "m.keras", "m.onnx"], "must end in"),
        (["convert", "m.keras", "nowhere/m.h5"], "does not exist"),
    ],
)
def test_errors_are_one_line_and_status_2(arguments, says, files, capsys, tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"broken")
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert says in err
    assert err.startswith("minikeras: ")
    assert "Traceback" not in err
    assert out == ""


def test_missing_arguments(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["diff", "a"])
    assert stop.value.code == 2
