"""Adaptive pooling: against Keras, and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import layers
from minikeras.gradients import Gradients
from minikeras.ops.adaptive_pool import adaptive_windows
from parity_tests import strategies
from parity_tests.harness import check_layer
from parity_tests.oracle import keras, tf
from parity_tests.tolerance import assert_equal
from parity_tests.twins import (
    check_config_travels,
    check_files,
    check_same_error,
)

KINDS = ["AdaptiveAveragePooling", "AdaptiveMaxPooling"]
NAMES = [f"{kind}{rank}D" for kind in KINDS for rank in (1, 2, 3)]


@st.composite
def cases(draw, rank):
    """(config, shape): results may be more than elements, too."""
    config = {"data_format": draw(strategies.data_formats())}
    outputs = tuple(draw(strategies.sizes(1, 4)) for _ in range(rank))
    same = len(set(outputs)) == 1
    config["output_size"] = outputs[0] if same and draw(st.booleans()) else outputs
    longest = 6 if rank < 3 else 4
    spatial = tuple(draw(strategies.sizes(1, longest)) for _ in range(rank))
    n, channels = draw(strategies.sizes(1, 3)), draw(strategies.sizes(1, 3))
    if config["data_format"] == "channels_last":
        return config, (n, *spatial, channels)
    return config, (n, channels, *spatial)


def keras_cannot(name, dtype, config, shape):
    """TensorFlow pools volumes in float32 only. NB: where a window is the whole axis
    Keras also pools with windows one longer, into nothing, and the gradient of such a
    maximum is memory that TensorFlow has not written; sometimes it crashes."""
    if name.endswith("3D") and dtype == "float64":
        return True
    size = config["output_size"]
    sizes = size if isinstance(size, tuple) else (size,) * int(name[-2])
    first = 1 if config["data_format"] == "channels_last" else 2
    lengths = shape[first : first + len(sizes)]
    whole = [1 in pair for pair in zip(sizes, lengths, strict=True)]
    return "Max" in name and any(whole)


def reference(name, stand_in):
    """The Keras layer, or one that says in TensorFlow what it should do."""
    original = getattr(keras.layers, name)
    if not stand_in:
        return original
    pool = tf.reduce_max if "Max" in name else tf.reduce_mean

    def call(self, inputs):
        first = 1 if self.data_format == "channels_last" else 2
        for axis, count in enumerate(self.output_size, first):
            windows = [
                tf.gather(inputs, tf.range(w.start, w.stop), axis=axis)
                for w in adaptive_windows(inputs.shape[axis], count)
            ]
            inputs = tf.stack([pool(w, axis=axis) for w in windows], axis=axis)
        return inputs

    return type(name, (original,), {"call": call})


class TestAgainstKeras:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @given(data=st.data(), seed=st.integers(0, 99))
    def test_layer(self, name, dtype, data, seed):
        config, shape = data.draw(cases(int(name[-2])))
        stand_in = keras_cannot(name, dtype, config, shape)
        specials = ("ties", "zeros") if "Max" in name else ("zeros", "large")
        x = data.draw(strategies.values(shape, specials=() if stand_in else specials))
        near = name == "AdaptiveMaxPooling3D" and not stand_in
        x = strategies.apart(x) if near else x()  # see volumes_nearly_equal_win.py
        smooth = "Average" in name or np.unique(x).size == x.size
        check_layer(
            lambda: getattr(layers, name)(**config),
            lambda: reference(name, stand_in)(**config),
            x,
            dtype=dtype,
            seed=seed,
            numeric=smooth,
            referee="Average" in name,
            empty_batch="3D" not in name,  # TensorFlow fails
        )
        check_config_travels(name, config)

    @pytest.mark.parametrize("name", NAMES)
    def test_files(self, name, tmp_path):
        rank = int(name[-2])
        x = strategies.Values((2, *(4,) * rank, 3))().astype("float32")

        def make(library):
            pooled = getattr(library.layers, name)(3)
            return library.Sequential([library.Input(x.shape[1:]), pooled])

        check_files(make, x, tmp_path)

    @pytest.mark.parametrize("name", ["AdaptiveAveragePooling2D", NAMES[4]])
    def test_unknown_sizes(self, name):
        for module in (layers, keras.layers):
            layer = getattr(module, name)((2, 3))
            shape = layer.compute_output_shape((None, None, 5, None))
            assert_equal(tuple(shape), (None, 2, 3, None))

    def test_integers(self):
        """Maxima stay integers, as in Keras; means are floats."""
        x = np.arange(4, dtype="int32").reshape(1, 4, 1)
        for module in (layers, keras.layers):
            y = np.array(module.AdaptiveMaxPooling1D(2)(x))
            assert_equal(y.ravel(), np.array([1, 3], "int32"))
        y = layers.AdaptiveAveragePooling1D(2)(x)
        assert_equal(y.ravel(), np.array([0.5, 2.5], "float32"))


class TestByHand:
    @pytest.mark.parametrize("length", range(1, 9))
    @pytest.mark.parametrize("count", range(1, 9))
    def test_windows_cover_everything(self, length, count):
        windows = adaptive_windows(length, count)
        seen = {i for w in windows for i in range(w.start, w.stop)}
        assert_equal(seen, set(range(length)))
        sizes = [w.stop - w.start for w in windows]
        assert min(sizes) > 0 and max(sizes) - min(sizes) <= 1
        steps = itertools.pairwise(windows)
        if count <= length:
            assert all(a.stop - b.start in (0, 1) for a, b in steps)

    def run(self, layer, x, dy):
        y, residuals = layer.forward(np.asarray(x, "float32"))
        dy = np.reshape(dy, y.shape).astype("float32")
        return y.ravel(), layer.backward(dy, residuals, Gradients()).ravel()

    def test_average(self):
        x = np.arange(3).reshape(1, 3, 1)
        y, dx = self.run(layers.AdaptiveAveragePooling1D(2), x, [2, 4])
        assert_equal(y, np.array([0.5, 1.5], "float32"))
        assert_equal(dx, np.array([1, 3, 2], "float32"))

    def test_max_in_two_windows(self):
        x = np.array([0, 5, 1]).reshape(1, 3, 1)
        y, dx = self.run(layers.AdaptiveMaxPooling1D(2), x, [2, 4])
        assert_equal(y, np.array([5, 5], "float32"))
        assert_equal(dx, np.array([0, 6, 0], "float32"))

    def test_one_of_equals_wins(self):
        x = np.ones((1, 2, 2, 1))
        _, dx = self.run(layers.AdaptiveMaxPooling2D(1), x, [3])
        assert_equal(dx, np.array([3, 0, 0, 0], "float32"))

    def test_each_of_equals_wins_in_3d(self):
        """NB: TensorFlow's maximum of volumes is not like its others."""
        x = np.ones((1, 2, 1, 2, 1))
        _, dx = self.run(layers.AdaptiveMaxPooling3D(1), x, [3])
        assert_equal(dx, np.full(4, 3, "float32"))


class TestRefusals:
    @pytest.mark.parametrize("size", ["2", 2.0, None, (2,), (1, 2, 3, 4)])
    @pytest.mark.parametrize("rank", [2, 3])
    def test_sizes(self, size, rank):
        check_same_error(
            lambda m: getattr(m, f"AdaptiveMaxPooling{rank}D")(size),
            TypeError,
            "`output_size` must be an integer or",
        )

    def test_sizes_of_sequences(self):
        for size, error in (((1, 2), ValueError), ("2", TypeError)):
            check_same_error(
                lambda m, size=size: m.AdaptiveAveragePooling1D(size),
                error,
                "`output_size`",
            )

    def test_data_format(self):
        check_same_error(
            lambda m: m.AdaptiveAveragePooling2D(2, "last"),
            ValueError,
            "Invalid data_format: last",
        )

    @pytest.mark.parametrize("size", [0, (2, -1), (2, "3")])
    def test_what_keras_finds_out_later(self, size):
        with pytest.raises(ValueError, match="must be made of positive integers"):
            layers.AdaptiveMaxPooling2D(size)

    def test_rank(self):
        layer = layers.AdaptiveMaxPooling2D(2, name="p")
        with pytest.raises(ValueError, match="Layer 'p' expects an input of rank 4"):
            layer(np.zeros((2, 5, 5)))
