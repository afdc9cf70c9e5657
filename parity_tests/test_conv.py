"""Conv1D, Conv2D and the operations under them: against Keras, loops, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops import conv as ops
from minikeras.ops.conv_plain import conv_plain, conv_plain_grad
from minikeras.ops.scratch import LARGEST_BYTES, scratch
from minikeras.ops.windows import (
    at_tap,
    geometry,
    output_length,
    pad,
    pad_lengths,
    unpad,
    windows,
)
from parity_tests import strategies
from parity_tests.harness import check_layer
from parity_tests.oracle import keras, run_layer, tf
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.twins import check, check_config_travels, check_same_error

REGULARIZERS = st.sampled_from([None, "l1", "l2"])
CONSTRAINTS = st.sampled_from([None, "non_neg", "max_norm"])


@st.composite
def conv_cases(draw, rank):
    """A config of Conv1D or Conv2D and an input."""
    config, shape = draw(strategies.convolutions(rank))
    if rank == 1 and draw(st.booleans()):
        config["padding"] = "causal"
    config["kernel_regularizer"] = draw(REGULARIZERS)
    config["bias_regularizer"] = draw(REGULARIZERS)
    config["activity_regularizer"] = draw(REGULARIZERS)
    config["kernel_constraint"] = draw(CONSTRAINTS)
    config["bias_constraint"] = draw(CONSTRAINTS)
    return config, draw(strategies.values(shape, specials=("zeros", "ties")))


@st.composite
def op_cases(draw):
    """An x, a kernel and a Geometry; strides and dilation also together."""
    rank = draw(st.integers(1, 3))
    window, space = draw(strategies.windows(rank, max_size=3))
    if window["padding"] == "same" and draw(st.booleans()):
        window["dilation_rate"] = tuple(draw(strategies.sizes(1, 2)) for _ in space)
    if rank == 1 and draw(st.booleans()):
        window["padding"] = "causal"
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    group_channels, group_filters = (
        draw(strategies.sizes(1, 5)),
        draw(strategies.sizes(1, 3)),
    )
    rng = np.random.default_rng(draw(strategies.seeds()))
    x = rng.standard_normal((draw(st.integers(0, 3)), *space, groups * group_channels))
    kernel = rng.standard_normal(
        (*window["size"], group_channels, groups * group_filters)
    )
    g = ops.conv_geometry(
        x, kernel, window["strides"], window["padding"], window["dilation_rate"]
    )
    return x, kernel, g


def quick(name):
    """The Keras layer, with groups and channels_first taken apart.

    TensorFlow on CPU has no float64 channels_first convolution, Keras on it a slip with
    the bias (see `test_bias_of_channels_first`), and each call of a grouped convolution
    is compiled anew for seconds. `test_equals_keras_itself` has some of those.
    """

    def call(self, inputs):
        if self.data_format == "channels_last" and self.groups == 1:
            return original.call(self, inputs)
        first = self.data_format == "channels_first"
        x = keras.ops.moveaxis(inputs, 1, -1) if first else inputs
        pieces = zip(
            keras.ops.split(x, self.groups, axis=-1),
            keras.ops.split(self.kernel, self.groups, axis=-1),
            strict=True,
        )
        y = keras.ops.concatenate([self.one_group(*piece) for piece in pieces], axis=-1)
        y = y if self.bias is None else y + self.bias
        return self.activation(keras.ops.moveaxis(y, -1, 1) if first else y)

    def one_group(self, x, kernel):
        padding = self.padding
        if padding == "causal":
            before = (self.kernel_size[0] - 1) * self.dilation_rate[0]
            x = keras.ops.pad(x, ((0, 0), (before, 0), (0, 0)))
            padding = "valid"
        return keras.ops.conv(
            x, kernel, self.strides, padding, "channels_last", self.dilation_rate
        )

    original = getattr(keras.layers, name)
    return type(name, (original,), {"call": call, "one_group": one_group})


def check_conv(name, config, x, **options):
    """`check_layer`, and the config's way to Keras."""
    check_layer(
        lambda: getattr(layers, name)(**config),
        lambda: quick(name)(**config),
        x,
        **options,
    )
    check_config_travels(name, config)


class TestLayers:
    @given(case=conv_cases(2), dtype=strategies.dtypes(), seed=st.integers(0, 99))
    def test_conv2d_equals_keras(self, case, dtype, seed):
        config, x = case
        check_conv("Conv2D", config, x, dtype=dtype, seed=seed)

    @given(case=conv_cases(1), dtype=strategies.dtypes(), seed=st.integers(0, 99))
    def test_conv1d_equals_keras(self, case, dtype, seed):
        config, x = case
        check_conv("Conv1D", config, x, dtype=dtype, seed=seed)

    @pytest.mark.parametrize(
        ("name", "config", "shape", "dtype"),
        [
            ("Conv2D", {"groups": 2, "padding": "same"}, (2, 5, 6, 4), "float64"),
            ("Conv2D", {"groups": 4, "strides": (2, 1)}, (2, 6, 5, 4), "float32"),
            ("Conv1D", {"groups": 2, "padding": "causal"}, (2, 6, 4), "float64"),
        ],
    )
    def test_equals_keras_itself(self, name, config, shape, dtype):
        config = {"filters": 4, "kernel_size": 3, "activation": "tanh"} | config
        x = strategies.Values(shape, seed=5)
        check(name, config, x, dtype=dtype, train_steps=1)

    def test_channels_first_equals_keras_itself(self):
        """In float32, where TensorFlow has it on CPU too; width 5, 4 filters."""
        config = {"filters": 4, "kernel_size": 3, "data_format": "channels_first"}
        x = strategies.Values((2, 3, 5, 7), seed=6)("float32")
        theirs = keras.layers.Conv2D(**config)
        reference = run_layer(theirs, x, dy=np.sin)
        ours = layers.Conv2D(**config)
        ours.build(x.shape)
        ours.set_weights(theirs.get_weights())
        y, residuals = ours.forward(x)
        grads = Gradients()
        dx = ours.backward(reference.dy, residuals, grads)
        assert_close(y, reference.y, name="y", k=27)
        assert_close(dx, reference.dx, name="dx", k=36)
        for variable, expected in zip(ours.weights, reference.dweights, strict=True):
            assert_close(grads[variable], expected, name=variable.name, k=x.size)

    def test_bias_of_channels_first(self):
        """NB: Keras on TensorFlow adds the bias along the *width* here.

        `keras.ops.add` takes it for a channels-last bias when the width happens to be
        the number of filters. Its other backends do not, and we do not copy it.
        """
        ours, theirs = (
            module.Conv2D(
                3,
                1,
                data_format="channels_first",
                kernel_initializer="zeros",
                bias_initializer=lambda shape, dtype: np.arange(3, dtype=dtype),
            )
            for module in (layers, keras.layers)
        )
        x = np.zeros((1, 2, 4, 3), "float32")
        along_width = np.broadcast_to(np.arange(3, dtype="float32"), (1, 3, 4, 3))
        assert_equal(np.array(theirs(x)), along_width)
        assert_equal(ours(x), np.moveaxis(along_width, -1, 1).swapaxes(2, 3))

    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_of_the_usual_size(self, dtype, data_format):
        """Large enough for several pieces, for both layouts of the columns."""
        shape = strategies.image_shape(data_format, 4, (28, 28), 3)
        x = strategies.Values(shape, seed=3)
        config = {"filters": 8, "kernel_size": 3, "data_format": data_format}
        check_conv("Conv2D", config, x, dtype=dtype, train_steps=1, numeric=False)
        shape = strategies.image_shape(data_format, 2, (13, 13), 32)
        x = strategies.Values(shape, seed=4)
        config = {"filters": 64, "kernel_size": 3, "data_format": data_format}
        config |= {"padding": "same", "activation": "relu"}
        check_conv("Conv2D", config, x, dtype=dtype, train_steps=1, numeric=False)

    def test_weights_are_those_of_keras(self):
        for module in (layers, keras.layers):
            layer = module.Conv2D(6, (3, 2), groups=2, name="c")
            layer.build((None, None, 9, 4))
            assert [(v.name, v.path, tuple(v.shape)) for v in layer.weights] == [
                ("kernel", "c/kernel", (3, 2, 2, 6)),
                ("bias", "c/bias", (6,)),
            ]
            assert layer.count_params() == 3 * 2 * 2 * 6 + 6

    def test_counts_integers_as_floats(self):
        layer = layers.Conv2D(1, 2, kernel_initializer="ones")
        y = layer(np.arange(4).reshape(1, 2, 2, 1))
        assert_equal(y, np.full((1, 1, 1, 1), 6, "float32"))

    @pytest.mark.parametrize(
        ("config", "shape"),
        [
            ({"padding": "valid"}, (None, None, 5, 3)),
            ({"padding": "same", "strides": 2}, (2, None, 5, 3)),
            ({"padding": "SAME", "strides": (3, 1)}, (None, 7, None, 3)),
            ({"dilation_rate": 2}, (None, 9, 5, 3)),
            ({"data_format": "channels_first"}, (None, 3, 7, None)),
        ],
    )
    def test_output_shape_of_unknown_sizes(self, config, shape):
        ours, theirs = (
            module.Conv2D(4, (3, 2), **config).compute_output_shape(shape)
            for module in (layers, keras.layers)
        )
        assert_equal(ours, theirs)

    def test_second_names(self):
        assert layers.Convolution2D is layers.Conv2D
        assert layers.Convolution1D is layers.Conv1D


class TestByHand:
    """x = 1..9 in a square, kernel [[1, 2], [3, 4]], bias 10."""

    x = np.arange(1, 10, dtype="float32").reshape(1, 3, 3, 1)

    def layer(self, **config):
        layer = layers.Conv2D(1, 2, **config)
        layer.build((1, 3, 3, 1))
        layer.set_weights([np.reshape([1.0, 2.0, 3.0, 4.0], (2, 2, 1, 1)), [10.0]])
        return layer

    def test_valid(self):
        layer = self.layer()
        y, residuals = layer.forward(self.x)
        # top left: 1*1 + 2*2 + 3*4 + 4*5 = 37, and 10 more in all for each step right
        expected = np.array([[37, 47], [67, 77]], "float32") + 10
        assert_equal(y[0, :, :, 0], expected)
        grads = Gradients()
        dy = np.array([[1, 0], [0, 2]], "float32").reshape(1, 2, 2, 1)
        dx = layer.backward(dy, residuals, grads)
        # each tap: 1 * what it saw at the top left + 2 * what it saw bottom right
        dkernel = [[1 + 2 * 5, 2 + 2 * 6], [4 + 2 * 8, 5 + 2 * 9]]
        assert_equal(grads[layer.kernel][:, :, 0, 0], np.array(dkernel, "float32"))
        assert_equal(grads[layer.bias], np.array([3], "float32"))
        # the kernel once from the top left, twice from the middle
        expected = [[1, 2, 0], [3, 4 + 2 * 1, 2 * 2], [0, 2 * 3, 2 * 4]]
        assert_equal(dx[0, :, :, 0], np.array(expected, "float32"))

    def test_same_pads_below_and_right(self):
        layer = self.layer(padding="same")
        y = layer(self.x)[0, :, :, 0]
        # bottom right: only kernel[0, 0] lies on the image: 1 * 9
        assert_equal(y[2, 2], np.float32(9 + 10))
        assert_equal(y[0, 2], np.float32(1 * 3 + 3 * 6 + 10))

    def test_strides(self):
        y = self.layer(strides=2, padding="same")(self.x)[0, :, :, 0]
        expected = [[37, 3 + 3 * 6], [7 + 2 * 8, 9]]
        assert_equal(y, np.array(expected, "float32") + 10)

    def test_dilation(self):
        y = self.layer(dilation_rate=2)(self.x)  # the four corners
        assert_equal(y.ravel(), np.array([1 + 2 * 3 + 3 * 7 + 4 * 9 + 10], "float32"))

    def test_channels_first(self):
        layer = layers.Conv2D(1, 2, data_format="channels_first")
        layer.build((1, 1, 3, 3))
        layer.set_weights(self.layer().get_weights())
        y = layer(np.moveaxis(self.x, -1, 1))
        assert_equal(y, np.moveaxis(self.layer()(self.x), -1, 1))


class TestOps:
    @given(case=op_cases(), piece=st.sampled_from([1, 300, 1 << 20]))
    def test_equal_loops(self, case, piece):
        """However x is cut into pieces; both readings of dx."""
        x, kernel, g = case
        terms = max(x.size, kernel.size)
        expected = conv_plain(x, kernel, g)
        dy = np.random.default_rng(1).standard_normal(expected.shape)
        dx, dkernel = conv_plain_grad(dy, x, kernel, g)
        found = [(ops.scatter_grad(dy, kernel, g, x.shape), dx, "dx, scattered")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ops, "PIECE_BYTES", piece)
            found.append((ops.conv(x, kernel, g), expected, "y"))
            found.append((ops.conv_grad_kernel(dy, x, kernel, g), dkernel, "dkernel"))
            found.append((ops.conv_grad_input(dy, kernel, g, x.shape), dx, "dx"))
            if max(g.strides) == 1:
                correlated = ops.correlate_grad(dy, kernel, g, x.shape)
                found.append((correlated, dx, "dx, correlated"))
                both = ops.correlate_grads(dy, x, kernel, g)
                found.append((both[0], dx, "dx, of both"))
                found.append((both[1], dkernel, "dkernel, of both"))
        for ours, plain, name in found:
            scale = np.abs(plain).max(initial=1)
            assert_close(ours, plain, name=name, k=terms, scale=scale)

    @given(case=op_cases())
    def test_gradients_are_the_transpose(self, case):
        """<conv(x, k), dy> = <x, dx> = <k, dkernel>: conv is linear in both."""
        x, kernel, g = case
        y = ops.conv(x, kernel, g)
        dy = np.random.default_rng(2).standard_normal(y.shape)
        scale = max(np.abs(y * dy).sum(), 1)
        terms = x.size * kernel.size
        expected = np.sum(y * dy)
        dx = ops.conv_grad_input(dy, kernel, g, x.shape)
        dkernel = ops.conv_grad_kernel(dy, x, kernel, g)
        assert_close(np.sum(x * dx), expected, k=terms, scale=scale)
        assert_close(np.sum(kernel * dkernel), expected, k=terms, scale=scale)

    @given(
        window=strategies.windows(1),
        more=st.integers(0, 3),
        padding=st.sampled_from(["same", "causal", "valid"]),
    )
    def test_padding_makes_the_output_length(self, window, more, padding):
        (size, stride, rate), length = (
            [window[0][key][0] for key in ("size", "strides", "dilation_rate")],
            (window[0]["size"][0] - 1) * window[0]["dilation_rate"][0] + 1 + more,
        )
        before, after = pad_lengths(length, size, stride, padding, rate)
        out = output_length(length, size, stride, padding, rate)
        last = (out - 1) * stride + (size - 1) * rate  # the last position looked at
        assert last < length + before + after <= last + stride or padding == "valid"
        if padding == "same":
            assert out == -(-length // stride) and after - before in (0, 1)

    def test_same_padding_is_that_of_tensorflow(self):
        for length in range(1, 9):
            for size in range(1, 5):
                for stride in range(1, 4):
                    x = np.ones((1, length, 1))
                    y = tf.nn.conv1d(x, np.ones((size, 1, 1)), stride, "SAME")
                    g = geometry((length,), (size,), (stride,), "same")
                    ours = ops.conv(x, np.ones((size, 1, 1)), g)
                    assert_equal(ours, y.numpy(), name=f"{length, size, stride}")

    def test_windows_are_views(self):
        x = np.arange(12.0).reshape(1, 6, 2)
        g = geometry((6,), (3,), (2,), "valid")
        view = windows(x, g)
        assert view.shape == (1, 2, 3, 2) and np.shares_memory(view, x)
        assert_equal(view[0, 1], x[0, 2:5])
        assert_equal(at_tap(x, (1,), g)[0], x[0, [1, 3]])
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0

    def test_pad_and_back(self):
        x = np.arange(6.0).reshape(1, 2, 3, 1)
        padded = pad(x, ((1, 0), (0, 2)), value=-1)
        assert_equal(padded[0, 0, :, 0], np.full(5, -1.0))
        assert_equal(unpad(padded, ((1, 0), (0, 2))), x)
        assert pad(x, ((0, 0), (0, 0))) is x

    def test_scratch_is_used_again(self):
        first = scratch("test", (4, 5), "float64")
        again = scratch("test", (3, 2), "float32")
        assert np.shares_memory(first, again) and again.dtype == "float32"
        large = scratch("test", (LARGEST_BYTES,), "float64")
        assert not np.shares_memory(first, large)


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"filters": -4}, "strictly positive"),
            ({"filters": 0}, "strictly positive"),
            ({"filters": 2.5}, "filters"),
            ({"groups": 0}, "positive integer"),
            ({"filters": 3, "groups": 2}, "evenly divisible by the number of groups"),
            ({"kernel_size": 0}, "`kernel_size` argument must be"),
            ({"kernel_size": (1, 2, 3)}, "`kernel_size` argument must be"),
            ({"kernel_size": ("a", 3)}, "including element"),
            ({"kernel_size": 2.5}, "`kernel_size` argument must be"),
            ({"strides": -1}, "`strides` argument must be"),
            ({"dilation_rate": 0}, "`dilation_rate` argument must be"),
            ({"padding": "causal"}, "`padding` argument must be"),
            ({"padding": "full"}, "`padding` argument must be"),
            ({"data_format": "last"}, "`data_format` argument must be"),
            (
                {"strides": (1, 2), "dilation_rate": (2, 1)},
                "in conjunction with `dilation_rate",
            ),
            ({"unknown": 1}, "Unrecognized keyword arguments"),
        ],
    )
    def test_arguments(self, config, message):
        config = {"filters": 2, "kernel_size": 3} | config
        check_same_error(lambda module: module.Conv2D(**config), ValueError, message)

    @pytest.mark.parametrize(
        ("config", "shape", "message"),
        [
            ({}, (2, 2, 5, 1), "output size would be zero or negative"),
            ({"dilation_rate": 2}, (2, 4, 5, 1), "output size would be zero or neg"),
            ({}, (2, 5, 5), "expected min_ndim=4, found ndim=3"),
            ({"groups": 2}, (1, 5, 5, 3), "channels (of layer .* )?must be evenly"),
        ],
    )
    def test_inputs(self, config, shape, message):
        check_same_error(
            lambda module: module.Conv2D(4, 3, **config)(np.zeros(shape, "float32")),
            ValueError,
            message,
        )

    def test_inputs_of_too_high_a_rank(self):
        for module in (layers, keras.layers):
            with pytest.raises(ValueError, match=r"\(2, 2, 5, 5, 5\)"):
                module.Conv2D(4, 3)(np.zeros((2, 2, 5, 5, 5), "float32"))

    def test_other_channels(self):
        def use(module):
            layer = module.Conv2D(4, 3)
            layer(np.zeros((2, 5, 5, 3), "float32"))
            layer(np.zeros((2, 5, 5, 4), "float32"))

        check_same_error(use, ValueError, "expected axis -1 of input shape to have v")

    def test_smaller_input_than_it_was_built_for(self):
        """NB: Keras fails here too, in a shape error of TensorFlow's."""
        layer = layers.Conv2D(4, 3, name="c")
        layer(np.zeros((2, 5, 5, 3), "float32"))
        with pytest.raises(ValueError, match="layer 'c' slides a window of size"):
            layer(np.zeros((2, 2, 5, 3), "float32"))

    def test_unknown_channels(self):
        """NB: Keras raises a TypeError about None % int."""
        with pytest.raises(ValueError, match="must be known"):
            layers.Conv2D(4, 3).build((None, 5, 5, None))

    def test_kernel_before_it_is_built(self):
        check_same_error(
            lambda module: module.Conv2D(3, 3).kernel,
            AttributeError,
            "must build the layer before accessing `kernel`",
        )

    @pytest.mark.parametrize("name", ["lora_rank", "lora_alpha"])
    def test_what_is_not_implemented(self, name):
        layers.Conv2D(2, 3, **{name: None})
        with pytest.raises(ValueError, match="not implemented in minikeras"):
            layers.Conv2D(2, 3, **{name: 2})
