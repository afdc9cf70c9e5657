"""`teach.explain` and `teach.gates`: against the layers themselves, and Keras."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

import minikeras as mk
from minikeras import layers, teach
from minikeras.interop import to_torch
from parity_tests.oracle import keras
from parity_tests.recurrent_cells import MASK, sequences
from parity_tests.tolerance import assert_close, assert_equal

UNITS, STEPS, INPUTS = 3, 4, 2
DTYPES = ["float32", "float64"]
STATES = {"LSTM": ("cell", "hidden"), "GRU": ("hidden",)}
CONFIGS = {
    "LSTM": ("LSTM", {}),
    "LSTM by the plain loop": ("LSTM", {"activation": "relu"}),
    "LSTM without bias": ("LSTM", {"use_bias": False}),
    "GRU": ("GRU", {}),
    "GRU that resets before": ("GRU", {"reset_after": False}),
    "GRU with other gates": ("GRU", {"recurrent_activation": "hard_sigmoid"}),
}


@pytest.fixture(autouse=True)
def no_windows():
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def make(kind, dtype="float32", seed=1, **config):
    """A built layer with drawn weights, biases too."""
    layer = getattr(layers, kind)(
        UNITS, bias_initializer="random_normal", dtype=dtype, **config
    )
    layer.build((None, STEPS, INPUTS))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def two_kinds(**config):
    """A model with an LSTM and a GRU, masks made inside."""
    return mk.Sequential(
        [
            mk.Input((STEPS, INPUTS)),
            layers.Masking(name="masking"),
            layers.LSTM(UNITS, return_sequences=True, name="first", **config),
            layers.GRU(UNITS, name="second"),
            layers.Dense(1, name="out"),
        ]
    )


# --- gates ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
@pytest.mark.parametrize("case", CONFIGS)
def test_hidden_is_the_output_of_the_layer(case, mask, dtype):
    kind, config = CONFIGS[case]
    layer = make(kind, dtype, return_sequences=True, return_state=True, **config)
    x = sequences(3, STEPS, INPUTS, dtype=dtype)
    y, *states = layer(x, mask=mask)
    found = teach.gates(layer, x=x, mask=mask)
    assert_equal(found.hidden, y)
    last = [getattr(found, name)[:, -1] for name in STATES[kind]]
    for actual, expected in zip(reversed(last), states, strict=True):
        assert_equal(actual, expected)
    if mask is None:
        assert found.mask is None
    else:
        assert_equal(found.mask, mask)
        for name in found._fields[: len(found) - len(STATES[kind]) - 3]:
            assert_equal(np.isnan(getattr(found, name)).all(-1), ~mask, name=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CONFIGS)
def test_states_and_gates_against_keras(case, dtype):
    """Keras gives the states after each prefix; the gates follow from its weights."""
    kind, config = CONFIGS[case]
    layer = make(kind, dtype, **config)
    x = sequences(2, STEPS, INPUTS, dtype=dtype)
    found = teach.gates(layer, x=x)
    twin = getattr(keras.layers, kind)(UNITS, return_state=True, dtype=dtype, **config)
    twin.build((None, STEPS, INPUTS))
    twin.set_weights(layer.get_weights())
    h = np.zeros((2, UNITS), dtype)
    for t in range(STEPS):
        _, *states = (np.asarray(s) for s in twin(x[:, : t + 1]))
        for name, state in zip(reversed(STATES[kind]), states, strict=True):
            assert_close(getattr(found, name)[:, t], state, name=name, k=8, scale=4)
        expected = keras_gates(twin, x[:, t], h)
        for name, value in expected.items():
            actual = getattr(found, name)[:, t]
            assert_close(actual, value, name=name, k=8, scale=8)
        h = states[0]


def keras_gates(twin, x, h):
    """The gates of one step by Keras's weights and activations (GRU: the two gates)."""
    kernel, recurrent, *bias = (np.asarray(w) for w in twin.get_weights())
    shift = bias[0] if bias else np.zeros(kernel.shape[1], x.dtype)
    if shift.ndim == 2:
        shift = shift.sum(0)
    z = np.split(x @ kernel + h @ recurrent + shift, kernel.shape[1] // UNITS, axis=1)
    gate, other = twin.recurrent_activation, twin.activation
    names = {"i": gate, "f": gate, "c": other, "o": gate}
    if len(z) == 3:
        names, z = {"z": gate, "r": gate}, z[:2]
    return {n: np.asarray(f(v)) for (n, f), v in zip(names.items(), z, strict=True)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_formulas_connect_the_arrays(dtype):
    x = sequences(2, STEPS, INPUTS, dtype=dtype)
    found = teach.gates(make("LSTM", dtype), x=x)
    before = np.concatenate([np.zeros_like(found.cell[:, :1]), found.cell[:, :-1]], 1)
    assert_close(found.cell, found.f * before + found.i * found.c)
    assert_close(found.hidden, found.o * np.tanh(found.cell))
    found = teach.gates(make("GRU", dtype), x=x)
    before = np.concatenate([before[:, :1], found.hidden[:, :-1]], 1)
    assert_close(found.hidden, found.z * before + (1 - found.z) * found.h)


def test_in_a_model_with_a_mask_made_inside():
    model = two_kinds()
    x = sequences(3, STEPS, INPUTS)
    x[~MASK] = 0
    first, second = (teach.gates(model, name, x) for name in ("first", "second"))
    inner = mk.Model(model.inputs, model.get_layer("first").output)
    assert_equal(first.hidden, inner.predict(x, verbose=0))
    assert_equal(first.mask, MASK)
    assert_equal(second.mask, MASK)
    assert_close(model.layers[-1](second.hidden[:, -1]), model(x))
    assert (first.layer, second.layer) == ("first", "second")


@pytest.mark.parametrize("outer", ["functional", "subclass", "time distributed"])
def test_inside_of_other_models(outer):
    x = sequences(2, STEPS, INPUTS)
    inner = two_kinds()
    expected = teach.gates(inner, "second", x)
    if outer == "functional":
        given = mk.Input((STEPS, INPUTS))
        model = mk.Model(given, layers.Dense(1)(inner(given)))
    elif outer == "subclass":

        class Own(mk.Model):
            def __init__(self):
                super().__init__()
                self.inner = inner

            def call(self, inputs):
                return self.inner(inputs) * 2.0

        model = Own()
        model(x)
    else:
        model = mk.Sequential(
            [mk.Input((1, STEPS, INPUTS)), layers.TimeDistributed(inner)]
        )
    given = x[:, None] if outer == "time distributed" else x
    found = teach.gates(model, "second", given)
    for actual, want in zip(found[:4], expected[:4], strict=True):
        assert_close(actual, want)


def test_backwards_and_bidirectional():
    x = sequences(2, STEPS, INPUTS)
    layer = make("LSTM", go_backwards=True, return_sequences=True)
    found = teach.gates(layer, x=x)
    assert_equal(found.hidden, layer(x))
    assert found.time.tolist() == [3, 2, 1, 0]
    both = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True), name="both")
    model = mk.Sequential([mk.Input((STEPS, INPUTS)), both])
    forward, backward = (
        teach.gates(model, f"{way}_gru", x) for way in ("forward", "backward")
    )
    merged = np.concatenate([forward.hidden, backward.hidden[:, ::-1]], -1)
    assert_equal(merged, model(x))


def test_an_rnn_over_a_cell():
    layer = layers.RNN(layers.LSTMCell(UNITS), return_sequences=True)
    x = sequences(2, STEPS, INPUTS)
    y = layer(x)
    assert_equal(teach.gates(layer, x=x).hidden, y)


def test_a_stateful_layer_is_left_as_it_was():
    layer = layers.LSTM(UNITS, stateful=True, return_sequences=True)
    x = sequences(2, STEPS, INPUTS)
    layer(x)
    first = teach.gates(layer, x=x).hidden
    assert_equal(teach.gates(layer, x=x).hidden, first)
    assert_equal(layer(x), first)


def test_a_layer_called_twice():
    shared = layers.LSTM(UNITS, name="shared")
    a, b = mk.Input((STEPS, INPUTS)), mk.Input((STEPS, INPUTS))
    model = mk.Model([a, b], layers.Add()([shared(a), shared(b)]))
    x = [sequences(2, STEPS, INPUTS, seed=seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match="is called 2 times"):
        teach.gates(model, "shared", x)
    with pytest.raises(ValueError, match="0 to 1"):
        teach.gates(model, "shared", x, call=2)
    for k in (0, 1):
        found = teach.gates(model, "shared", x, call=k)
        assert_equal(found.hidden, teach.gates(shared, x=x[k]).hidden)


def test_results_are_copies():
    layer, x = make("GRU"), sequences(2, STEPS, INPUTS)
    first = teach.gates(layer, x=x)
    kept = first.hidden.copy()
    teach.gates(layer, x=x + 1)
    assert_equal(first.hidden, kept)
    assert first.z.flags.owndata or first.z.base is None


def test_errors_of_gates():
    model, x = two_kinds(), sequences(2, STEPS, INPUTS)
    with pytest.raises(ValueError, match=r"'first', 'second'.*Did you mean 'first'"):
        teach.gates(model, "frist", x)
    with pytest.raises(ValueError, match="has 2 recurrent layers; say which"):
        teach.gates(model, x=x)
    with pytest.raises(ValueError, match="of class Dense, which has no gates"):
        teach.gates(model, "out", x)
    with pytest.raises(ValueError, match="has no gates"):
        teach.gates(mk.Sequential([mk.Input((2,)), layers.Dense(1)]), x=x)
    with pytest.raises(ValueError, match="has no gates"):
        teach.gates(make_simple(), x=x)
    with pytest.raises(ValueError, match=r"needs a built layer: LSTM 'fresh'"):
        teach.gates(layers.LSTM(2, name="fresh"), x=x)
    with pytest.raises(ValueError, match="needs data"):
        teach.gates(model, "first")
    with pytest.raises(TypeError, match="data is the third argument"):
        teach.gates(model, x)
    with pytest.raises(TypeError, match="expects a layer or model"):
        teach.gates("model", x=x)
    with pytest.raises(AttributeError, match="That is an LSTM's; a GRU has z, r, h"):
        _ = teach.gates(model, "second", x).i


def test_the_layer_itself_and_lists_are_taken_too():
    model, x = two_kinds(), sequences(2, STEPS, INPUTS)
    found = teach.gates(model, model.layers[1], x)
    assert_equal(found.f, teach.gates(model, "first", x).f)
    assert_equal(found.f, teach.gates(model, "first", x.tolist()).f)
    with pytest.raises(ValueError, match="of class Dense, which has no gates"):
        teach.gates(model, model.layers[-1], x)


def test_gates_print_what_there_is():
    found = teach.gates(make("LSTM"), x=sequences(3, STEPS, INPUTS), mask=MASK)
    lines = repr(found).splitlines()
    assert lines[0].endswith(f"(N, T, units) = (3, {STEPS}, {UNITS})")
    assert [line.split()[0] for line in lines[1:]] == [
        ".i", ".f", ".c", ".o", ".cell", ".hidden", ".mask",
    ]  # fmt: skip
    assert "forget gate" in lines[2] and "mean" in lines[2]
    text = repr(teach.gates(make("GRU"), x=sequences(3, STEPS, INPUTS)))
    assert "update gate" in text and ".mask" not in text


def test_nan_is_named_with_its_place():
    layer, x = make("LSTM"), sequences(1, STEPS, INPUTS)
    x[0, 1, 0] = np.nan
    with pytest.warns(UserWarning, match=f"'{layer.name}' have NaN.* in the input"):
        teach.gates(layer, x=x)
    layer.set_weights([np.full_like(w, np.inf) for w in layer.get_weights()])
    with pytest.warns(UserWarning, match="in the weights: training went astray"):
        teach.gates(layer, x=x)


def make_simple():
    layer = layers.SimpleRNN(UNITS)
    layer.build((None, STEPS, INPUTS))
    return layer


# --- plot -----------------------------------------------------------------------------


def lines(ax):
    return {line.get_label(): line.get_ydata() for line in ax.get_lines()}


def test_plot_draws_the_arrays():
    from matplotlib.figure import Figure

    x = sequences(3, STEPS, INPUTS)
    found = teach.gates(make("LSTM", return_sequences=True), x=x, mask=MASK)
    ax = Figure().subplots()
    assert found.plot(example=1, unit=2, ax=ax, times=[1990, 91, 92, 93]) is ax
    drawn = lines(ax)
    assert_equal(np.asarray(drawn["f: forget gate"]), found.f[1, :, 2])
    assert_equal(np.asarray(drawn["cell state"]), found.cell[1, :, 2])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(texts) == 7 and texts[-1] == "masked"
    ax.figure.canvas.draw()  # no error, no warning


def test_plot_makes_axes_and_turns_time_around():
    layer = make("GRU", go_backwards=True)
    found = teach.gates(layer, x=sequences(1, STEPS, INPUTS))
    drawn = lines(found.plot())
    assert_equal(np.asarray(drawn["hidden state"]), found.hidden[0, ::-1, 0])


def test_errors_of_plot():
    found = teach.gates(make("GRU"), x=sequences(1, STEPS, INPUTS))
    with pytest.raises(IndexError, match=r"`unit` must be between 0 and 2.*unit=3"):
        found.plot(unit=3)
    with pytest.raises(IndexError, match="`example`"):
        found.plot(example=1)
    with pytest.raises(ValueError, match=r"each of the 4 steps.*\(2,\)"):
        found.plot(times=[1, 2])
    with pytest.raises(ValueError, match=r"numbers or dates.*datetime64"):
        found.plot(times=[1.0, np.nan, 2.0, 3.0])


def test_times_may_be_dates():
    found = teach.gates(make("GRU"), x=sequences(1, STEPS, INPUTS))
    days = np.arange("2024-02-28", "2024-03-03", dtype="datetime64[D]")
    ax = found.plot(times=days)
    assert_equal(ax.get_lines()[-1].get_xdata(), days)
    ax.figure.canvas.draw()


# --- explain --------------------------------------------------------------------------


def test_explain_a_model():
    model = two_kinds()
    explanation = teach.explain(model)
    weights = model.get_weights()
    assert len(explanation) == len(weights)
    assert explanation.parameters == model.count_params()
    for k, (array, weight) in enumerate(zip(explanation, weights, strict=True)):
        assert array is explanation[k] and array.index == k
        assert array.shape == weight.shape
        assert len(array.axes) == weight.ndim
        total = array.formula.rpartition("= ")[2].split()[0]
        assert int(total) == array.count == weight.size
    for layer in model.layers:
        if layer.weights:
            total = explanation.formulas[layer.name].rpartition("= ")[2]
            assert int(total.replace(",", "")) == layer.count_params()
    assert explanation["first/bias"] is explanation[2]
    assert explanation[model.weights[0].path] is explanation[0]
    assert explanation[:2] == list(explanation)[:2]


def test_gates_name_the_columns_that_make_them():
    """With all other columns zero, one gate alone differs from one half."""
    x = np.zeros((1, 1, INPUTS), "float32")
    for kind, names in [("LSTM", "ifo"), ("GRU", "zr")]:
        layer = make(kind)
        for name in names:
            columns = teach.explain(layer)["bias"].gates[name]
            weights = [np.zeros_like(w) for w in layer.get_weights()]
            weights[2][..., columns] = 1
            layer.set_weights(weights)
            found = teach.gates(layer, x=x)
            for other in names:
                half = getattr(found, other)[0, 0] == np.float32(0.5)
                assert half.all() == (other != name)


def test_formulas():
    def formula(layer, shape):
        layer.build(shape)
        return teach.explain(layer).formulas[layer.name]

    assert formula(layers.Dense(10), (None, 784)) == (
        "inputs x units + units = 784 x 10 + 10 = 7,850"
    )
    assert formula(layers.GRU(4), (None, 5, 3)) == (
        "3 x (inputs x units + units x units + 2 x units) = "
        "3 x (3 x 4 + 4 x 4 + 2 x 4) = 108"
    )
    assert formula(layers.Conv2D(8, 3), (None, 9, 9, 2)) == (
        "rows x columns x channels x filters + filters = 3 x 3 x 2 x 8 + 8 = 152"
    )
    norm = layers.BatchNormalization()
    assert formula(norm, (None, 6)) == "4 x features = 4 x 6 = 24"
    assert [a.trainable for a in teach.explain(norm)] == [True, True, False, False]


LAYOUTS = [
    (layers.Dense, {"units": 3}, (None, 2)),
    (layers.Conv1D, {"filters": 3, "kernel_size": 2}, (None, 6, 2)),
    (layers.Conv2D, {"filters": 3, "kernel_size": (2, 4)}, (None, 6, 6, 2)),
    (layers.Conv3D, {"filters": 2, "kernel_size": (1, 2, 3)}, (None, 4, 4, 4, 2)),
    (layers.Conv2DTranspose, {"filters": 3, "kernel_size": 2}, (None, 6, 6, 2)),
    (layers.BatchNormalization, {}, (None, 2)),
    (layers.Embedding, {"input_dim": 5, "output_dim": 2}, (None, 3)),
    (layers.LSTM, {"units": 3}, (None, 4, 2)),
    (layers.GRU, {"units": 3}, (None, 4, 2)),
    (layers.SimpleRNN, {"units": 3}, (None, 4, 2)),
]


@pytest.mark.parametrize("cls, config, shape", LAYOUTS, ids=lambda c: str(c)[:40])
def test_pytorch_layouts_are_those_of_to_torch(cls, config, shape):
    """What is written is done, and gives what `to_torch` gives."""
    layer = cls(**config)
    layer.build(shape)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    state = to_torch(layer)
    for array in teach.explain(layer):
        weight = layer.get_weights()[array.index]
        for part in array.torch.rpartition(", (")[0].split("; "):
            name, _, source = part.partition(" = ")
            expected = state[name if name in state else name.removesuffix("_l0")]
            assert_equal(as_written(source, array.name, weight), expected, name=part)
        assert array.torch.endswith(f", {expected.shape}")


def as_written(source, name, weight):
    """Follows a description such as `kernel.transpose(3, 2, 0, 1)`."""
    if source == "zeros":
        return np.zeros_like(weight)
    source, reordered, _ = source.partition(" with the blocks in the order r, z, h")
    rest = source.removeprefix(name)
    value = weight
    if rest.startswith("["):
        value, rest = weight[int(rest[1])], rest[3:]
    if rest == ".T":
        value = value.T
    elif rest:
        axes = rest.removeprefix(".transpose(").removesuffix(")").split(", ")
        value = value.transpose([int(axis) for axis in axes])
    if reordered:
        z, r, h = np.split(value, 3)
        value = np.concatenate([r, z, h])
    return value


def test_layers_without_counterpart_in_pytorch():
    layer = make("GRU", reset_after=False)
    explanation = teach.explain(layer)
    assert explanation["kernel"].torch.startswith("none: `reset_after=False`")
    assert explanation["bias"].axes == ("units x [z r h]",)
    attention = layers.MultiHeadAttention(2, 3)
    attention(sequences(1, 2, 3), sequences(1, 2, 3))
    assert teach.explain(attention)["query/kernel"].torch == ""


def test_layers_of_one_name_are_told_apart():
    given = mk.Input((STEPS, INPUTS))
    attend = [layers.MultiHeadAttention(1, 2, name=name) for name in "ab"]
    y = attend[0](given, given)
    model = mk.Model(given, attend[1](y, y))
    explanation = teach.explain(model)
    assert len(explanation.formulas) == 8
    assert explanation["a/query/kernel"].shape == (INPUTS, 1, 2)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_table_is_readable(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    explanation = teach.explain(two_kinds())
    text = str(explanation)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.replace("│", " ").split())
    assert "columns: i 0:3, f 3:6, c 6:9, o 9:12" in words
    assert "recurrent_kernel" in words
    assert "PyTorch: weight_ih_l0 = kernel.T, (12, 2)" in words
    assert repr(explanation) == text


def test_errors_of_explain():
    with pytest.raises(ValueError, match="needs a built layer: Dense 'fresh'"):
        teach.explain(layers.Dense(1, name="fresh"))
    with pytest.raises(TypeError, match="expects a layer or model"):
        teach.explain(3)
    for wrong, text in [
        (layers.Dense, "the class Dense. Make a layer of it"),
        ([np.ones(2)], "pass its layer or model"),
        (np.ones(2), "pass its layer or model"),
        ("dense", r"model.get_layer\(name\)"),
    ]:
        with pytest.raises(TypeError, match=text):
            teach.explain(wrong)
    explanation = teach.explain(two_kinds())
    with pytest.raises(IndexError, match=r"has 8 arrays. Received: index 99"):
        explanation[99]
    flat = mk.Sequential([mk.Input((3,)), layers.Flatten()])
    assert "No layer in it has weights." in str(teach.explain(flat))
    with pytest.raises(KeyError, match=r"3 arrays .* say which"):
        explanation["kernel"]
    with pytest.raises(KeyError, match="Did you mean 'first/kernel'"):
        explanation["first/kernal"]
    with pytest.raises(AttributeError, match="Did you mean 'explain'"):
        _ = teach.explian
