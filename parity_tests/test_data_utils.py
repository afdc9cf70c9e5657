"""`utils`: padding, windows over a time series, splitting; `plot_model`."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import layers, utils
from minikeras.utils.model_visualization import arrows_of, lay_out
from parity_tests.oracle import keras
from parity_tests.strategies import seeds
from parity_tests.tolerance import assert_equal

ENDS = st.sampled_from(["pre", "post"])
NOTHING = {
    "shapes": False,
    "dtype": False,
    "names": True,
    "activations": False,
    "trainable": False,
}


class TestPadSequences:
    @given(
        seed=seeds(),
        lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
        maxlen=st.one_of(st.none(), st.integers(1, 6)),
        ends=st.tuples(ENDS, ENDS),
        vectors=st.booleans(),
    )
    def test_equal_keras(self, seed, lengths, maxlen, ends, vectors):
        rng = np.random.default_rng(seed)
        shape = (2,) if vectors else ()
        sequences = [rng.integers(0, 9, (n, *shape)).tolist() for n in lengths]
        options = {"maxlen": maxlen, "padding": ends[0], "truncating": ends[1]}
        options.update(value=7, dtype="float32" if vectors else "int32")
        found, expected = (
            k.utils.pad_sequences(sequences, **options) for k in (minikeras, keras)
        )
        assert_equal(found, expected)

    def test_texts(self):
        options = {"dtype": object, "value": "-"}
        found = utils.pad_sequences([["a"], ["b", "c"]], **options)
        assert_equal(found.tolist(), [["-", "a"], ["b", "c"]])

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            ((3,), {}, "must be iterable"),
            (([1, 2],), {}, "must be a list of iterables"),
            (([[1]],), {"padding": "left"}, 'type "left" not understood'),
            (([[1]],), {"truncating": "left"}, 'type "left" not understood'),
            (([[1]],), {"value": "a"}, "not compatible with `value`"),
            (([[[1]], [[1, 2]]],), {}, "is different from expected shape"),
        ],
    )
    def test_refused(self, arguments, options, message):
        for k in (minikeras, keras):
            with pytest.raises(ValueError, match=message):
                k.utils.pad_sequences(*arguments, **options)


class TestTimeseries:
    @given(
        length=st.integers(8, 14),
        sequence_length=st.integers(1, 4),
        steps=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        part=st.sampled_from([(None, None), (2, None), (1, 7), (0, 6)]),
        batch_size=st.sampled_from([None, 3]),
        targets=st.booleans(),
    )
    def test_equal_keras(
        self, length, sequence_length, steps, part, batch_size, targets
    ):
        x = np.arange(2 * length).reshape(length, 2)
        y = np.arange(length) * 10 if targets else None
        options = {
            "sequence_stride": steps[0],
            "sampling_rate": steps[1],
            "start_index": part[0],
            "end_index": part[1],
            "batch_size": batch_size,
        }
        found, expected = (
            list(
                k.utils.timeseries_dataset_from_array(x, y, sequence_length, **options)
            )
            for k in (minikeras, keras)
        )
        assert_equal(len(found), len(expected))
        for ours, theirs in zip(found, expected, strict=True):
            pairs = zip(ours, theirs, strict=True) if targets else [(ours, theirs)]
            for a, b in pairs:
                assert_equal(np.asarray(a), np.asarray(b))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"start_index": -1}, "must be 0 or greater"),
            ({"start_index": 10}, "must be lower than the length"),
            ({"start_index": 5, "end_index": 4}, "must be higher than"),
            ({"end_index": 10}, "must be lower than the length"),
            ({"sampling_rate": 0}, "must be higher than 0"),
            ({"sampling_rate": 10}, "must be lower than the length"),
            ({"sequence_stride": 0}, "must be higher than 0"),
            ({"sequence_stride": 10}, "must be lower than the length"),
            ({"format": "np"}, 'should be either "tf" or "grain"'),
        ],
    )
    def test_refused(self, options, message):
        for k in (minikeras, keras):
            with pytest.raises(ValueError, match=message):
                k.utils.timeseries_dataset_from_array(np.arange(10), None, 2, **options)

    def test_a_seed_gives_an_order_and_each_pass_another(self):
        def passes(seed):
            data = utils.timeseries_dataset_from_array(
                np.arange(20), None, 1, batch_size=None, shuffle=True, seed=seed
            )
            return [[int(w[0]) for w in data] for _ in range(2)]

        first, second = passes(3)
        assert_equal([first, second], passes(3))
        assert first != second and first != list(range(20))
        assert_equal(sorted(first), list(range(20)))

    def test_fit_keeps_its_order(self):
        seen = []

        class Watch(layers.Layer):
            def forward(self, x):
                seen.append(float(x[0, 0]))
                return x, None

            def backward(self, dy, residuals, grads):
                return dy

        x = np.arange(10, dtype="float32")
        data = utils.timeseries_dataset_from_array(x, x, 2, batch_size=2)
        model = minikeras.Sequential([Watch(), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(data, epochs=2, verbose=0)
        assert_equal(seen[-10:], [0.0, 2.0, 4.0, 6.0, 8.0] * 2)


class TestSplit:
    @pytest.mark.parametrize(
        ("left", "right"), [(0.8, None), (None, 3), (4, 2), (0.5, 0.25), (None, 0.3)]
    )
    def test_sizes_and_order_of_keras(self, left, right):
        options = {"left_size": left, "right_size": right}
        found, expected = (
            [[int(v) for v in part] for part in k.utils.split_dataset(x, **options)]
            for k, x in ((minikeras, np.arange(10)), (keras, np.arange(10)))
        )
        assert_equal(found, expected)

    def test_pairs_train(self):
        x, y = np.ones((10, 3), "float32"), np.ones((10, 1), "float32")
        left, right = utils.split_dataset((x, y), left_size=0.5, shuffle=True, seed=0)
        model = minikeras.Sequential([minikeras.Input((3,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(left.batch(2), validation_data=right.batch(3), verbose=0)
        assert_equal(sorted(history.history), ["loss", "val_loss"])
        assert_equal((left.cardinality(), right.batch(2).cardinality()), (5, 3))

    def test_batches_of_a_dataset_are_examples(self):
        class Squares(utils.PyDataset):
            def __len__(self):
                return 4

            def __getitem__(self, index):
                return np.array([index, index**2])

        left, right = utils.split_dataset(Squares(), left_size=3)
        assert_equal([x.tolist() for x in left], [[0, 0], [1, 1], [2, 4]])
        assert_equal([x.tolist() for x in right], [[3, 9]])

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({}, ValueError),
            ({"left_size": "3"}, TypeError),
            ({"left_size": 1.5}, ValueError),
            ({"right_size": 10}, ValueError),
            ({"left_size": 0.7, "right_size": 0.7}, ValueError),
            ({"left_size": 0.01}, ValueError),
        ],
    )
    def test_refused(self, options, error):
        for k in (minikeras, keras):
            with pytest.raises(error):
                k.utils.split_dataset(np.arange(10), **options)

    def test_lengths_that_differ(self):
        with pytest.raises(ValueError, match="arrays of the same length"):
            utils.split_dataset((np.arange(3), np.arange(4)), left_size=1)


def two_towers():
    """Two inputs, a nested model used twice, a merge that skips it, two outputs."""
    inner = minikeras.Sequential(
        [minikeras.Input((4,)), layers.Dense(4, activation="relu"), layers.Dense(4)],
        name="inner",
    )
    left, right = (minikeras.Input((4,), name=name) for name in ("left", "right"))
    a, b = inner(left), inner(right)
    first = layers.Dense(1, name="<first>")(layers.Concatenate()([a, b]))
    second = layers.Dense(2, name="second")(layers.Add()([a, b, right]))
    return minikeras.Model([left, right], [first, second])


class TestPlotModel:
    @pytest.mark.parametrize("across", [False, True])
    @pytest.mark.parametrize("expand", [False, True])
    def test_boxes_do_not_overlap_and_arrows_go_on(self, across, expand):
        picture = lay_out(two_towers(), NOTHING, across, expand)
        assert_equal(len(picture.inside), 7)
        for box in picture.inside:
            assert box.x > 0 and box.x + box.width < picture.width
            assert box.y > 0 and box.y + box.height < picture.height
            for other in picture.inside:
                apart_x = box.x + box.width < other.x or other.x + other.width < box.x
                apart_y = box.y + box.height < other.y or other.y + other.height < box.y
                assert box is other or apart_x or apart_y
        assert_equal(len(arrows_of(picture)), 7)
        for x1, y1, x2, y2 in arrows_of(picture):
            assert (x2 > x1) if across else (y2 > y1)
        inner = [box for box in picture.inside if box.inside]
        assert_equal([len(box.inside) for box in inner], [2] if expand else [])

    def test_svg_says_what_was_asked_for(self, tmp_path):
        path = tmp_path / "model.svg"
        utils.plot_model(
            two_towers(),
            path,
            show_shapes=True,
            show_dtype=True,
            show_layer_names=True,
            show_layer_activations=True,
            show_trainable=True,
            expand_nested=True,
        )
        texts = [t.text for t in ET.parse(path).iter() if t.tag.endswith("text")]
        for text in (
            "<first> (Dense)",
            "inner (Sequential)",
            "Activation: relu",
            "Input shape: (None, 4), (None, 4), (None, 4)",
            "Output shape: (None, 8)",
            "Dtype: float32",
            "Trainable",
        ):
            assert text in texts

    def test_png_and_the_default_ending(self, tmp_path):
        model = minikeras.Sequential([minikeras.Input((2,)), layers.Dense(1)])
        utils.plot_model(model, tmp_path / "model", dpi=50)
        written = (tmp_path / "model.png").read_bytes()
        assert written.startswith(b"\x89PNG") and len(written) > 500

    def test_a_subclass_is_a_row_of_its_layers(self):
        class Own(minikeras.Model):
            def __init__(self):
                super().__init__()
                self.a, self.b = layers.Dense(2), layers.Dense(1)

            def call(self, x):
                return self.b(self.a(x))

        model = Own()
        model(np.ones((1, 3), "float32"))
        assert_equal(len(lay_out(model, NOTHING, False, False).inside), 2)

    def test_refused(self, tmp_path):
        model = minikeras.Sequential([layers.Dense(1)])
        with pytest.raises(ValueError, match="not yet been built"):
            utils.plot_model(model, tmp_path / "a.svg")
        model.build((None, 2))
        with pytest.raises(ValueError, match="Unrecognized keyword"):
            utils.plot_model(model, tmp_path / "a.svg", colour="red")
        with pytest.raises(ValueError, match="`rankdir` must be one of"):
            utils.plot_model(model, tmp_path / "a.svg", rankdir="TD")
        assert_equal(list(tmp_path.iterdir()), [])
