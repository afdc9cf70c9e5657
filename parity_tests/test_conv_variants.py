"""Transposed, depthwise and separable convolution, and convolution of volumes."""

from __future__ import annotations

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops import depthwise as ops
from minikeras.ops.conv import conv, conv_grad_input, conv_grad_kernel
from minikeras.ops.windows import geometry
from minikeras.saving.keras2 import modernize
from parity_tests import strategies
from parity_tests.battery import check_contract
from parity_tests.functions import default_dtype
from parity_tests.harness import check_layer
from parity_tests.model_twins import compiled
from parity_tests.oracle import keras
from parity_tests.test_saving import check_exchange
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check_config_travels, check_same_error

REGULARIZERS = st.sampled_from([None, "l1", "l2"])
CONSTRAINTS = st.sampled_from([None, "non_neg", "max_norm"])
# One layer costs 0.2 s, and there are eight classes in two dtypes.
few = hypothesis.settings(max_examples=max(5, hypothesis.settings().max_examples // 2))
TRANSPOSED = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]
DEPTHWISE = ["DepthwiseConv1D", "DepthwiseConv2D"]
SEPARABLE = ["SeparableConv1D", "SeparableConv2D"]


def each(names):
    """Every class in every dtype, drawn or not: the report wants all of them."""

    def decorate(test):
        test = pytest.mark.parametrize("name", names)(test)
        return pytest.mark.parametrize("dtype", strategies.DTYPES)(test)

    return decorate


def rank_of(name):
    return next(int(c) for c in name if c.isdigit())


def channels_last_inside(name):
    """The Keras layer, computing channels_first by turning its arrays.

    TensorFlow on CPU has no channels_first convolutions in float64, and Keras on it
    adds the bias along the width in some sizes (keras_findings/bias_along_the_width).
    """

    def call(self, inputs):
        if self.data_format == "channels_last":
            return original.call(self, inputs)
        self.data_format = "channels_last"
        try:
            y = original.call(self, keras.ops.moveaxis(inputs, 1, -1))
        finally:
            self.data_format = "channels_first"
        return keras.ops.moveaxis(y, -1, 1)

    original = getattr(keras.layers, name)
    return type(name, (original,), {"call": call})


def check_conv(name, config, x, **options):
    """`check_layer`, and the config's way to Keras."""
    check_layer(
        lambda: getattr(layers, name)(**config),
        lambda: channels_last_inside(name)(**config),
        x,
        **options,
    )
    check_config_travels(name, config)


@st.composite
def cases(draw, name, *, weights=("kernel", "bias")):
    """What the families have in common: a config, and the shape of an input."""
    rank = rank_of(name)
    small = 2 if rank == 3 else 4
    window, space = draw(strategies.windows(rank, max_size=small))
    config = {
        "kernel_size": window["size"],
        "strides": window["strides"],
        "padding": window["padding"],
        "dilation_rate": window["dilation_rate"],
        "data_format": draw(strategies.data_formats()),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "relu", "tanh"])),
        "activity_regularizer": draw(REGULARIZERS),
    }
    for weight in weights:
        config[f"{weight}_regularizer"] = draw(REGULARIZERS)
        config[f"{weight}_constraint"] = draw(CONSTRAINTS)
    batch, channels = draw(strategies.sizes(1, 3)), draw(strategies.sizes(1, 3))
    if rank == 3:
        # NB: in float64 TensorFlow's volumes go wrong where strides pass the kernel:
        # keras_findings/volume_strides_beyond_the_kernel.py.
        pairs = zip(config["strides"], window["size"], strict=True)
        config["strides"] = tuple(min(s, k) for s, k in pairs)
        config["dilation_rate"] = (1, 1, 1)
        space = tuple(min(n, 4) for n in space)
    shape = strategies.image_shape(config["data_format"], batch, space, channels)
    return config, draw(strategies.values(shape, specials=("zeros", "ties")))


@st.composite
def transposed_cases(draw, name, dtype):
    """NB: TensorFlow on CPU has no dilated ones in float64, nor of volumes."""
    config, x = draw(cases(name))
    config["filters"] = draw(strategies.sizes(1, 3))
    strides, size = config["strides"], config["kernel_size"]
    if dtype == "float64":
        config["dilation_rate"] = (1,) * rank_of(name)
    if draw(st.booleans()):
        spans = [
            (k - 1) * d + 1 for k, d in zip(size, config["dilation_rate"], strict=True)
        ]
        # With "same" an even kernel needs some: see `transposed_length`.
        even = [
            config["padding"] == "same" and span % 2 == 0 and s > 1
            for span, s in zip(spans, strides, strict=True)
        ]
        if config["padding"] == "valid" or all(
            s > 1 or span % 2 for s, span in zip(strides, spans, strict=True)
        ):
            config["output_padding"] = tuple(
                draw(st.integers(int(e), s - 1))
                for e, s in zip(even, strides, strict=True)
            )
    return config, x


@st.composite
def depthwise_cases(draw, name):
    """NB: TensorFlow wants equal strides for height and width."""
    separable = name in SEPARABLE
    weights = ["depthwise", "bias"] + ["pointwise"] * separable
    config, x = draw(cases(name, weights=weights))
    config["depth_multiplier"] = draw(strategies.sizes(1, 3))
    config["strides"] = (config["strides"][0],) * rank_of(name)
    if separable:
        config["filters"] = draw(strategies.sizes(1, 3))
    return config, x


class TestTransposed:
    @each(TRANSPOSED)
    @few
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_equals_keras(self, name, dtype, data, seed):
        config, x = data.draw(transposed_cases(name, dtype))
        check_conv(name, config, x, dtype=dtype, seed=seed)

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    @pytest.mark.parametrize("stride", [1, 2, 3, 5])
    def test_output_shape_rule(self, padding, size, stride):
        for extra in (None, *range(stride)):
            config = {
                "filters": 2,
                "kernel_size": size,
                "strides": stride,
                "padding": padding,
                "output_padding": extra,
            }
            for shape in [(None, 4, 3), (2, None, 3)]:
                ours, theirs = (
                    module.Conv1DTranspose(**config).compute_output_shape(shape)
                    for module in (layers, keras.layers)
                )
                assert_equal(ours, tuple(theirs), name=f"output_padding={extra}")

    def test_by_hand(self):
        layer = layers.Conv1DTranspose(1, 3, strides=2, dtype="float64")
        layer.build((1, 2, 1))
        layer.set_weights([np.array([1.0, 10, 100]).reshape(3, 1, 1), [5.0]])
        x = np.array([1.0, 2.0]).reshape(1, 2, 1)
        y, residuals = layer.forward(x)
        assert_equal(y.ravel(), np.array([6.0, 15, 107, 25, 205]))
        grads = Gradients()
        dy = np.array([1.0, 2, 3, 4, 5]).reshape(y.shape)
        dx = layer.backward(dy, residuals, grads)
        assert_equal(dx.ravel(), np.array([321.0, 543]))
        assert_equal(grads[layer.kernel].ravel(), np.array([7.0, 10, 13]))
        assert_equal(grads[layer.bias], np.array([15.0]))

    def test_is_the_transpose_of_the_convolution(self):
        """<conv(y, k), x> = <y, convT(x, k)>."""
        rng = np.random.default_rng(0)
        y, kernel = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 2, 3, 4))
        g = geometry((7, 6), (3, 2), (2, 3), "same")
        x = rng.standard_normal((2, *g.out, 4))
        left = (conv(y, kernel, g) * x).sum()
        right = (y * conv_grad_input(x, kernel, g, y.shape)).sum()
        assert_close(np.asarray(left), np.asarray(right), k=x.size)

    @pytest.mark.parametrize("dilation", [(2, 1), (3, 2)])
    def test_dilated_keeps_the_contract(self, dilation):
        """TensorFlow has none in float64: numeric derivatives, and float32 above."""
        x = np.random.default_rng(0).standard_normal((2, 4, 3, 2))
        with default_dtype("float64"):
            layer = layers.Conv2DTranspose(3, (2, 3), dilation_rate=dilation)
            layer(x)
            check_contract(layer, x)

    def test_refuses_output_padding(self):
        check_same_error(
            lambda module: module.Conv2DTranspose(
                2, 3, strides=(2, 3), output_padding=(2, 2)
            ),
            ValueError,
            "must be strictly less than `strides`",
        )
        with pytest.raises(ValueError, match="Leave `output_padding` None"):
            layers.Conv1DTranspose(2, 2, padding="same", strides=2, output_padding=0)(
                np.zeros((1, 3, 1))
            )

    def test_refuses(self):
        check_same_error(
            lambda module: module.Conv1DTranspose(2, 3, padding="causal"),
            ValueError,
            "`padding` argument must be",
        )
        check_same_error(
            lambda module: module.Conv1DTranspose(2, 3, strides=2, dilation_rate=2),
            ValueError,
            "not supported in conjunction with",
        )
        check_same_error(
            lambda module: module.Conv1DTranspose(2, 3, groups=2),
            ValueError,
            "Unrecognized keyword arguments",
        )


class TestVolumes:
    @each(["Conv3D"])
    @few
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_equals_keras(self, name, dtype, data, seed):
        """NB: TensorFlow on CPU has no dilated convolution of volumes."""
        config, x = data.draw(cases(name))
        config["filters"] = data.draw(strategies.sizes(1, 3))
        check_conv(name, config, x, dtype=dtype, seed=seed)

    def test_dilation_and_groups(self):
        """The operation is compared with loops in test_conv.py."""
        layer = layers.Conv3D(4, 2, dilation_rate=(1, 2, 1), groups=2)
        assert layer(np.ones((1, 3, 4, 3, 2), "float32")).shape == (1, 2, 2, 2, 4)
        assert layer.kernel.shape == (2, 2, 2, 1, 4)


class TestDepthwise:
    @each(DEPTHWISE + SEPARABLE)
    @few
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_equals_keras(self, name, dtype, data, seed):
        config, x = data.draw(depthwise_cases(name))
        check_conv(name, config, x, dtype=dtype, seed=seed)

    @pytest.mark.parametrize("name", DEPTHWISE + SEPARABLE)
    @pytest.mark.parametrize("padding", ["valid", "same"])
    def test_strides_with_dilation(self, name, padding):
        config = {"kernel_size": 2, "strides": 2, "dilation_rate": 3}
        config |= {"padding": padding, "depth_multiplier": 2}
        if name in SEPARABLE:
            config["filters"] = 3
        shape = (2, *(7, 6)[: rank_of(name)], 2)
        x = np.random.default_rng(0).standard_normal(shape)
        check_conv(name, config, x, dtype="float64")

    @given(
        rank=st.integers(1, 3),
        data=st.data(),
        channels=st.sampled_from([1, 2, 70]),
        repeats=st.integers(1, 2),
    )
    def test_equals_a_convolution_in_groups(self, rank, data, channels, repeats):
        """In any rank, also where TensorFlow has none: strides that differ, 3D."""
        window, space = data.draw(strategies.windows(rank, max_size=3))
        batch = data.draw(st.integers(0, 3))
        rng = np.random.default_rng(data.draw(strategies.seeds()))
        x = rng.standard_normal((batch, *space, channels))
        kernel = rng.standard_normal((*window["size"], channels, repeats))
        g = geometry(
            space,
            window["size"],
            window["strides"],
            window["padding"],
            window["dilation_rate"],
        )
        grouped = kernel.reshape(*window["size"], 1, channels * repeats)
        y = ops.depthwise(x, kernel, g)
        assert_close(y, conv(x, grouped, g), k=64)
        dy = rng.standard_normal(y.shape)
        dx = ops.depthwise_grad_input(dy, kernel, g, x.shape)
        assert_close(dx, conv_grad_input(dy, grouped, g, x.shape), k=64)
        dkernel = ops.depthwise_grad_kernel(dy, x, kernel, g)
        expected = conv_grad_kernel(dy, x, grouped, g).reshape(kernel.shape)
        assert_close(dkernel, expected, k=max(1, dy.size))

    def test_many_pieces(self):
        """More than fits into the cache at once, against one example at a time."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((5, 60, 60, 32)).astype("float32")
        kernel = rng.standard_normal((3, 3, 32, 1)).astype("float32")
        g = geometry((60, 60), (3, 3), (1, 1), "same")
        assert len(list(ops.pieces(5, x[:1].nbytes))) > 1
        y = ops.depthwise(x, kernel, g)
        one_by_one = [ops.depthwise(x[i : i + 1], kernel, g) for i in range(5)]
        assert_equal(y, np.concatenate(one_by_one))

    def test_by_hand(self):
        layer = layers.DepthwiseConv1D(2, depth_multiplier=2, dtype="float64")
        layer.build((1, 2, 1))
        layer.set_weights([np.array([1.0, 2, 10, 20]).reshape(2, 1, 2), [0.0, 100]])
        x = np.array([3.0, 4]).reshape(1, 2, 1)
        y, residuals = layer.forward(x)
        assert_equal(y.ravel(), np.array([43.0, 186]))
        grads = Gradients()
        dx = layer.backward(np.array([[[1.0, 1000]]]), residuals, grads)
        assert_equal(dx.ravel(), np.array([2001.0, 20010]))
        assert_equal(grads[layer.kernel].ravel(), np.array([3.0, 3000, 4, 4000]))
        assert_equal(grads[layer.bias], np.array([1.0, 1000]))

    @pytest.mark.parametrize(
        ("name", "config", "match"),
        [
            ("DepthwiseConv2D", {"depth_multiplier": 0}, "`depth_multiplier`"),
            ("SeparableConv2D", {"filters": 0}, "`filters`"),
            ("SeparableConv1D", {"filters": 1, "depth_multiplier": -1}, "multiplier"),
            ("DepthwiseConv1D", {"padding": "causal"}, "`padding` argument must be"),
            ("DepthwiseConv2D", {"strides": (1, 2, 3)}, "`strides` argument must be"),
        ],
    )
    def test_refuses(self, name, config, match):
        check_same_error(
            lambda module: getattr(module, name)(kernel_size=2, **config),
            ValueError,
            match,
        )

    def test_refuses_unknown_channels_and_small_inputs(self):
        with pytest.raises(ValueError, match="must be known"):
            layers.DepthwiseConv2D(2).build((None, 4, 4, None))
        check_same_error(
            lambda module: module.SeparableConv1D(2, 4)(np.zeros((1, 3, 2))),
            ValueError,
            "Computed output size would be zero or negative",
        )


def test_second_names():
    for name in ("Convolution{}DTranspose", "SeparableConvolution{}D"):
        for rank in "12":
            alias = name.format(rank)
            theirs = getattr(keras.layers, alias)
            assert getattr(layers, alias).__name__ == theirs.__name__
    assert layers.Convolution3D is layers.Conv3D


@pytest.mark.parametrize("kernel_initializer", ["glorot_uniform", "he_normal"])
def test_same_weights_from_the_same_seed(kernel_initializer):
    """The draws come at the same moments, in the same order."""

    def weights(library):
        library.utils.clear_session()
        library.utils.set_random_seed(3)
        k = library.layers
        made = [
            k.SeparableConv2D(3, 2, depthwise_initializer=kernel_initializer),
            k.Conv2DTranspose(3, 2, kernel_initializer=kernel_initializer),
            k.DepthwiseConv2D(2, depthwise_initializer=kernel_initializer),
            k.SeparableConv2D(2, 2, pointwise_initializer=kernel_initializer),
        ]
        for layer in reversed(made):
            layer.build((None, 5, 5, 2))
        return list(
            itertools.chain(*([np.asarray(w) for w in m.weights] for m in made))
        )

    import minikeras

    for ours, theirs in zip(weights(minikeras), weights(keras), strict=True):
        assert_equal(ours, theirs)


class TestKeras2:
    """Keys that its convolutions inherited, and never looked at."""

    @pytest.mark.parametrize("name", [*TRANSPOSED, *DEPTHWISE, *SEPARABLE])
    def test_keys_without_effect(self, name):
        filters = {} if name in DEPTHWISE else {"filters": 2}
        config = getattr(layers, name)(kernel_size=2, name="x", **filters).get_config()
        old = {**config, "groups": 1}
        if name in SEPARABLE:
            old |= {"kernel_initializer": "zeros", "kernel_regularizer": None}
            old |= {"kernel_constraint": None}
        spatial = [5] * rank_of(name)
        old["batch_input_shape"] = [None, *spatial, 2]
        entry = {"class_name": name, "config": old}
        model = {"class_name": "Sequential", "config": {"layers": [entry]}}
        new = modernize(model)["config"]["layers"][-1]["config"]
        assert_equal(new, config)
        old["groups"] = 2
        new = modernize(model)["config"]["layers"][-1]["config"]
        with pytest.raises(Exception, match="groups"):
            getattr(layers, name).from_config(new)


def test_files(tmp_path):
    """An autoencoder of separable and transposed convolutions, by either library."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 5, 4, 2)), rng.standard_normal((6, 2))

    def make(k):
        x = k.Input((5, 4, 2))
        y = k.layers.SeparableConv2D(3, 2, padding="same", activation="relu")(x)
        y = k.layers.DepthwiseConv2D(2, strides=2, depth_multiplier=2)(y)
        y = k.layers.Conv2DTranspose(2, 3, strides=2, output_padding=1)(y)
        z = k.layers.Reshape((-1, 4))(y)
        z = k.layers.SeparableConv1D(2, 2)(k.layers.DepthwiseConv1D(3)(z))
        z = k.layers.Conv1DTranspose(2, 2, strides=3, padding="same")(z)
        v = k.layers.Conv3D(2, 2)(k.layers.Reshape((5, 4, 2, 1))(x))
        v = k.layers.Conv3DTranspose(1, 2)(v)
        z = k.layers.Concatenate()([k.layers.Flatten()(z), k.layers.Flatten()(v)])
        return compiled(k.Model(x, k.layers.Dense(2)(z)), loss="mse")

    with default_dtype("float64"):
        check_exchange(make, x, y, tmp_path)
