"""`from_torch` and `to_torch` against what PyTorch itself computed.

`golden/torch_*.npz` was written by PyTorch (`golden/make_torch.py`), so these tests
need no PyTorch. Where it is installed, drawn modules are compared live as well.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras as mk
from minikeras import layers
from minikeras.interop import from_torch, to_torch
from minikeras.interop.torch_rules import feature_order
from parity_tests.tolerance import assert_close, assert_equal

GOLDEN = next((Path(__file__).parent / "golden").glob("torch_*.npz"))
with np.load(GOLDEN) as found:
    ARRAYS = dict(found)


def normalization(kind, **config):
    return kind, {"epsilon": 1e-5, **config}


def both_ways(name):
    return "Bidirectional", {"layer": (name, {"units": 4, "return_sequences": True})}


RECURRENT = {"units": 4, "return_sequences": True}
GRU = {**RECURRENT, "reset_after": True}
NO_BIAS = {"use_bias": False}
# case -> the layers that are the same in Keras
CASES = {
    "linear": [("Dense", {"units": 3})],
    "linear_no_bias": [("Dense", {"units": 3, **NO_BIAS})],
    "conv1d": [("Conv1D", {"filters": 3, "kernel_size": 2, "strides": 2})],
    "conv2d": [("Conv2D", {"filters": 4, "kernel_size": (3, 2), "groups": 2})],
    "conv3d": [("Conv3D", {"filters": 3, "kernel_size": (1, 2, 2)})],
    "conv1d_transpose": [
        ("Conv1DTranspose", {"filters": 3, "kernel_size": 2, "strides": 2})
    ],
    "conv2d_transpose": [
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "strides": 2})
    ],
    "conv3d_transpose": [("Conv3DTranspose", {"filters": 3, "kernel_size": 2})],
    "batchnorm1d": [normalization("BatchNormalization")],
    "batchnorm2d": [normalization("BatchNormalization")],
    "batchnorm_plain": [normalization("BatchNormalization", center=False, scale=False)],
    "layernorm": [normalization("LayerNormalization")],
    "embedding": [("Embedding", {"input_dim": 6, "output_dim": 3})],
    "lstm": [("LSTM", RECURRENT)],
    "lstm_no_bias": [("LSTM", {**RECURRENT, **NO_BIAS})],
    "gru": [("GRU", GRU)],
    "gru_no_bias": [("GRU", {**GRU, **NO_BIAS})],
    "rnn": [("SimpleRNN", RECURRENT)],
    "rnn_no_bias": [("SimpleRNN", {**RECURRENT, **NO_BIAS})],
    "rnn_relu": [("SimpleRNN", {**RECURRENT, "activation": "relu"})],
    "lstm_two_layers": [("LSTM", RECURRENT), ("LSTM", RECURRENT)],
    "lstm_both_ways": [both_ways("LSTM"), both_ways("LSTM")],
    "gru_both_ways": [both_ways("GRU"), both_ways("GRU")],
    "convnet": [
        ("Conv2D", {"filters": 3, "kernel_size": 3}),
        normalization("BatchNormalization"),
        ("ReLU", {}),
        ("Flatten", {}),
        normalization("BatchNormalization", name="after_flatten"),
        ("Dense", {"units": 4, "name": "first"}),
        normalization("LayerNormalization"),
        ("Dense", {"units": 2, "name": "last"}),
    ],
}


def state_of(case):
    start = f"{case}/state/"
    return {k.removeprefix(start): v for k, v in ARRAYS.items() if k.startswith(start)}


def to_last(x, case):
    """PyTorch's convolutions and 2D normalization have the channels on axis 1."""
    moved = case.startswith("conv") or case == "batchnorm2d"
    return np.moveaxis(x, 1, -1) if moved and x.ndim > 2 else x


def data_of(case):
    return tuple(to_last(ARRAYS[f"{case}/{name}"], case) for name in "xy")


def make(name, config):
    config = dict(config)
    if "layer" in config:
        config["layer"] = make(*config["layer"])
    return getattr(layers, name)(**config)


def model_for(case):
    x, _ = data_of(case)
    stack = [make(*layer) for layer in CASES[case]]
    return mk.Sequential([mk.Input(x.shape[1:], dtype=x.dtype.name), *stack])


def weights(model):
    return [w.copy() for w in model.get_weights()]


FLATTEN = {"flatten": "channels_first"}


@pytest.mark.parametrize("case", CASES)
def test_loaded_weights_compute_what_pytorch_did(case):
    model = model_for(case)
    assert from_torch(model, state_of(case), **FLATTEN) is model
    x, y = data_of(case)
    assert_close(model.predict(x, verbose=0), y, name=case, k=200)


@pytest.mark.parametrize("case", CASES)
def test_back_to_pytorch(case):
    model, state = model_for(case), state_of(case)
    from_torch(model, state, **FLATTEN)
    back = to_torch(model, like=state, **FLATTEN)
    assert list(back) == list(state)
    for name, array in state.items():
        if name.endswith("num_batches_tracked"):
            assert_equal(back[name], np.zeros((), "int64"))
        elif "gru" not in case and "bias_ih" in name:
            both = array + state[name.replace("bias_ih", "bias_hh")]
            assert_equal(back[name], both)
        elif "gru" not in case and "bias_hh" in name:
            assert not back[name].any()
        else:
            assert_equal(back[name], array)


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_changes_no_weight(case):
    model = model_for(case)
    again = model_for(case)
    from_torch(again, to_torch(model, like=state_of(case), **FLATTEN), **FLATTEN)
    for a, b in zip(weights(model), weights(again), strict=True):
        assert_equal(a, b)


def test_a_single_layer():
    layer = layers.Dense(3)
    layer.build((None, 4))
    from_torch(layer, state_of("linear"))
    x, y = data_of("linear")
    assert_close(layer(x), y)
    assert list(to_torch(layer)) == ["weight", "bias"]


def test_names_by_layer():
    model = model_for("lstm_two_layers")
    model.layers[0].name, model.layers[1].name = "one", "two"
    state = {f"net.rnn.{k}": v for k, v in state_of("lstm_two_layers").items()}
    from_torch(model, state, layers={"one": "net.rnn", "two": "net.rnn:1"})
    x, y = data_of("lstm_two_layers")
    assert_close(model.predict(x, verbose=0), y, k=200)
    names = {"two": "net.rnn:1", "one": "net.rnn"}
    assert_equal(sorted(to_torch(model, layers=names)), sorted(state))


def test_a_part_of_a_model():
    model = model_for("convnet")
    before = weights(model)
    state = {k: v for k, v in state_of("convnet").items() if k[0] in "01"}
    names = {model.layers[0].name: "0", model.layers[1].name: "1"}
    from_torch(model, state, layers=names, strict=False)
    after = weights(model)
    assert all(np.array_equal(a, b) for a, b in zip(before[6:], after[6:], strict=True))
    assert_equal(after[1], state["0.bias"])
    with pytest.raises(ValueError, match=r"'after_flatten'.*nothing was given"):
        from_torch(model, state, layers=names)


def test_nested_and_shared_layers():
    shared = layers.Dense(4, name="shared")
    inner = mk.Sequential([mk.Input((4,)), layers.Dense(4, name="inner")])
    inputs = mk.Input((4,))
    model = mk.Model(inputs, shared(inner(shared(inputs))))
    draw = np.random.default_rng(0)
    state = {
        f"{name}.{array}": draw.normal(size=shape).astype("float32")
        for name in ("a", "b")
        for array, shape in (("weight", (4, 4)), ("bias", (4,)))
    }
    from_torch(model, state)
    assert_equal(shared.kernel.numpy(), state["a.weight"].T)
    assert_equal(inner.layers[0].bias.numpy(), state["b.bias"])


# --- Flatten --------------------------------------------------------------------------


def test_feature_order():
    x = np.arange(24).reshape(2, 3, 4)  # rows, columns, channels
    assert_equal(x.transpose(2, 0, 1).ravel()[feature_order(x.shape)], x.ravel())


def test_flatten_must_be_said():
    model, state = model_for("convnet"), state_of("convnet")
    with pytest.raises(ValueError, match=r"after_flatten.*\(4, 3, 3\).*flatten='ch"):
        from_torch(model, state)
    with pytest.raises(ValueError, match="Expected `flatten` to be"):
        from_torch(model, state, flatten="first")
    said = {"after_flatten": "channels_first", "first": (4, 3, 3)}
    from_torch(model, state, flatten=said)
    x, y = data_of("convnet")
    assert_close(model.predict(x, verbose=0), y, k=200)
    from_torch(model, state, flatten="channels_last")
    kernel = model.get_layer("first").kernel.numpy()
    assert_equal(kernel, state["5.weight"].T)


def test_flatten_of_an_unknown_shape():
    layer = layers.Dense(2, name="alone")
    layer.build((None, 12))
    draw = np.random.default_rng(0)
    state = {"weight": draw.normal(size=(2, 12)).astype("float32")}
    state["bias"] = np.zeros(2, "float32")
    with pytest.raises(ValueError, match="No Flatten was found"):
        from_torch(layer, state, flatten={"alone": "channels_first"})
    from_torch(layer, state, flatten={"alone": (2, 2, 3)})
    x = draw.normal(size=(5, 2, 2, 3)).astype("float32")
    wanted = x.transpose(0, 3, 1, 2).reshape(5, 12) @ state["weight"].T
    assert_close(layer(x.reshape(5, 12)), wanted, k=12)


# --- Errors ---------------------------------------------------------------------------


def drop(state, name):
    return {k: v for k, v in state.items() if k != name}


REFUSED = [
    ("linear", lambda s: drop(s, "bias"), r"'bias' is missing.*use_bias=False"),
    ("linear", lambda s: {**s, "weight": s["weight"].T}, "Likely it is transposed"),
    ("linear_no_bias", lambda s: {**s, "bias": np.zeros(3)}, "nothing for it.*use_bi"),
    ("conv2d", lambda s: {**s, "weight": np.zeros((3, 2, 1, 4))}, "in Keras's order"),
    ("linear", lambda s: {**s, "weight": np.zeros((5, 5))}, r"Received: shape \(5, 5"),
    ("batchnorm1d", lambda s: drop(s, "running_var"), "moving_variance"),
    ("lstm", lambda s: {**s, "weight_hr_l0": np.zeros((2, 4))}, "proj_size"),
    ("lstm", lambda s: {k: v.T for k, v in s.items()}, "gates"),
    ("linear", lambda s: {**s, "2.weight": np.zeros((1, 1))}, "2 modules: '', '2'"),
]


@pytest.mark.filterwarnings("ignore")  # of `.T`
@pytest.mark.parametrize(("case", "spoil", "says"), REFUSED)
def test_all_or_nothing(case, spoil, says):
    model = model_for(case)
    before = weights(model)
    with pytest.raises(ValueError, match=f"(?s){says}"):
        from_torch(model, spoil(state_of(case)))
    for a, b in zip(before, weights(model), strict=True):
        assert_equal(a, b)


def test_all_problems_at_once():
    state = state_of("convnet")
    wrong = {**drop(state, "0.bias"), "7.weight": np.zeros((9, 9))}
    with pytest.raises(ValueError, match=r"(?s)'0\.bias'.*'7\.weight'"):
        from_torch(model_for("convnet"), wrong, **FLATTEN)


def test_unknown_names():
    model = model_for("convnet")
    with pytest.raises(ValueError, match=r"'frist'.*Did you mean 'first'"):
        from_torch(model, state_of("convnet"), layers={"frist": "5"})
    with pytest.raises(ValueError, match=r"wants '55'.*There are"):
        from_torch(model, state_of("convnet"), layers={"first": "55"})


def test_what_cannot_be():
    with pytest.raises(ValueError, match="before it is built"):
        from_torch(layers.Dense(3), state_of("linear"))
    with pytest.raises(TypeError, match="Expected a state_dict"):
        from_torch(model_for("linear"), 3)
    with pytest.raises(TypeError, match="'weight' is a str"):
        from_torch(model_for("linear"), {"weight": "x", "bias": "y"})
    hard = make("LSTM", {"units": 4, "recurrent_activation": "hard_sigmoid"})
    hard.build((None, 5, 3))
    with pytest.raises(ValueError, match="must be 'sigmoid'"):
        from_torch(hard, state_of("lstm"))
    with pytest.raises(ValueError, match="must be 'sigmoid'"):
        to_torch(hard)
    layer = layers.PReLU()
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"PReLU.*no rule"):
        to_torch(layer)
    with pytest.raises(ValueError, match=r"shape \(3, 4\).*`like` has \(4"):
        to_torch(
            model_for("linear"), like={"weight": np.zeros((4, 3)), "bias": np.zeros(3)}
        )


def test_a_doubtful_epsilon_is_named():
    model = mk.Sequential([mk.Input((3,)), layers.BatchNormalization(name="bn")])
    with pytest.warns(UserWarning, match=r"\['bn'\].*epsilon=1e-5"):
        from_torch(model, state_of("batchnorm1d"))


def test_gru_that_resets_before_is_another_function():
    layer = layers.GRU(4, reset_after=False)
    layer.build((None, 5, 3))
    with pytest.raises(ValueError, match="Make the layer with `reset_after=True`"):
        from_torch(layer, state_of("gru"))


# --- Live, where PyTorch is installed -------------------------------------------------

if importlib.util.find_spec("torch"):
    torch = importlib.import_module("torch")
    nn = torch.nn

    def run(module, x):
        with torch.no_grad():
            y = module.eval()(torch.from_numpy(x))
        return (y[0] if isinstance(y, tuple) else y).numpy()

    @given(seed=st.integers(0, 99), size=st.integers(1, 4), units=st.integers(1, 4))
    def test_live_convnet(seed, size, units):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(size, units, 2),
            nn.BatchNorm2d(units),
            nn.Flatten(),
            nn.Linear(units * 3 * size, 3),
        )
        net(torch.randn(8, size, 4, size + 1))  # moves the statistics
        model = mk.Sequential(
            [
                mk.Input((4, size + 1, size)),
                layers.Conv2D(units, 2),
                layers.BatchNormalization(epsilon=1e-5),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        from_torch(model, net, **FLATTEN)
        x = torch.randn(3, size, 4, size + 1).numpy()
        y = model.predict(x.transpose(0, 2, 3, 1), verbose=0)
        assert_close(y, run(net, x), k=400)

    @pytest.mark.parametrize("name", ["LSTM", "GRU"])
    @given(seed=st.integers(0, 99), inputs=st.integers(1, 4), units=st.integers(1, 4))
    def test_live_recurrent_to_pytorch(name, seed, inputs, units):
        mk.utils.set_random_seed(seed)
        layer = getattr(layers, name)(units, return_sequences=True)
        x = np.random.default_rng(seed).normal(size=(2, 4, inputs)).astype("float32")
        y = layer(x)
        module = getattr(nn, name)(inputs, units, batch_first=True)
        state = to_torch(layer, like=module)
        module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        assert_close(run(module, x), y, k=200)

    def test_the_module_tells_its_epsilon():
        net = nn.Sequential(nn.BatchNorm1d(3))
        model = mk.Sequential([mk.Input((3,)), layers.BatchNormalization()])
        with pytest.raises(ValueError, match="in PyTorch 1e-05"):
            from_torch(model, net)

    def test_bfloat16_tensors():
        layer = layers.Dense(2)
        layer.build((None, 3))
        net = nn.Linear(3, 2).to(torch.bfloat16)
        from_torch(layer, net)
        wanted = net.weight.detach().float().numpy().T
        assert_equal(layer.kernel.numpy(), np.ascontiguousarray(wanted))
