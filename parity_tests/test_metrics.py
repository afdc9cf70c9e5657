"""Metrics: what they say after each batch, as Keras says it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras import metrics
from minikeras.metrics.accuracy_functions import argmax
from parity_tests import runner, strategies
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras, tensors
from parity_tests.records import parity_case
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.updates import check_metric

# (class, kind of data, arguments)
CASES = [
    ("Mean", "values", {}),
    ("Sum", "values", {}),
    ("Accuracy", "labels", {}),
    ("BinaryAccuracy", "binary", {}),
    ("BinaryAccuracy", "binary", {"threshold": 0.3}),
    ("CategoricalAccuracy", "one_hot", {}),
    ("SparseCategoricalAccuracy", "classes", {}),
    ("TopKCategoricalAccuracy", "one_hot", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", "classes", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", "ids", {"k": 2, "from_sorted_ids": True}),
    ("MeanSquaredError", "numbers", {}),
    ("RootMeanSquaredError", "numbers", {}),
    ("MeanAbsoluteError", "numbers", {}),
    ("MeanAbsolutePercentageError", "numbers", {}),
    ("MeanSquaredLogarithmicError", "positive", {}),
    ("LogCoshError", "numbers", {}),
    ("CosineSimilarity", "numbers", {}),
    ("KLDivergence", "binary", {}),
    ("Poisson", "positive", {}),
    ("BinaryCrossentropy", "binary", {}),
    ("BinaryCrossentropy", "binary", {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalCrossentropy", "one_hot", {}),
    ("CategoricalCrossentropy", "one_hot", {"label_smoothing": 0.1}),
    ("SparseCategoricalCrossentropy", "classes", {}),
    ("SparseCategoricalCrossentropy", "classes", {"from_logits": True}),
    ("SparseCategoricalCrossentropy", "classes", {"ignore_class": 1}),
    ("Hinge", "binary", {}),
    ("SquaredHinge", "binary", {}),
    ("CategoricalHinge", "one_hot", {}),
]


def data(kind, shape, rng):
    """(y_true, y_pred) of a batch, the last axis of y_pred being that of classes."""
    chances = rng.random(shape)
    chances = np.where(rng.random(shape) < 0.2, 0.5, chances)  # ties
    classes = rng.integers(0, shape[-1], shape[:-1])
    if kind == "values":
        return (rng.standard_normal(shape),)
    if kind == "labels":
        return rng.integers(0, 3, shape), rng.integers(0, 3, shape).astype("float64")
    if kind == "binary":
        return rng.integers(0, 2, shape).astype("float64"), chances
    if kind == "one_hot":
        return np.eye(shape[-1])[classes], chances
    if kind == "classes":
        return classes, chances
    if kind == "ids":
        return classes, rng.integers(0, shape[-1], shape).astype("float64")
    if kind == "positive":
        return rng.random(shape) * 3, rng.random(shape) * 3 + 0.1
    return rng.standard_normal(shape), rng.standard_normal(shape)


def weights(kind, shape, rng):
    """Sample weights that fit one value per example, or per vector."""
    if kind is None:
        return None
    if kind == "number":
        return np.asarray(2.5)
    shape = {"example": shape[:1], "column": (*shape[:1], 1), "value": shape[:-1]}[kind]
    return rng.random(shape)


class TestAgainstKeras:
    """Results and variables after every batch."""

    @given(
        case=st.sampled_from(CASES),
        seed=strategies.seeds(),
        middle=st.lists(st.integers(1, 3), max_size=2),
        classes=st.integers(2, 5),
        weighting=st.sampled_from([None, "number", "example", "column", "value"]),
        dtype=strategies.dtypes(),
    )
    def test_batches(self, case, seed, middle, classes, weighting, dtype):
        name, kind, config = case
        if "TopK" in name:
            dtype = "float32"  # TensorFlow's in_top_k takes no other
        if "ignore_class" in config and weighting in ("example", "column"):
            weighting = "value"  # Keras multiplies weights and mask as they are
        rng = np.random.default_rng(seed)
        updates = []
        for size in rng.integers(1, 7, 3):
            shape = (int(size), *middle, classes)
            weight = weights(weighting, shape, rng)
            updates.append((*data(kind, shape, rng), weight))
        with default_dtype(dtype), parity_case("metric", name, dtype):
            ours = getattr(metrics, name)(**config)
            theirs = getattr(keras.metrics, name)(**config)
            for arguments in runner.cast(updates, dtype):
                ours.update_state(*runner.frozen(arguments))
                theirs.update_state(*tensors(arguments))
                found = [ours.result(), *(v.value for v in ours.variables)]
                expected = [theirs.result(), *(v.value for v in theirs.variables)]
                for a, b in zip(found, expected, strict=True):
                    b = b.numpy()
                    # Errors are about 1 and may cancel, in the log of cosh for one.
                    scale = max(float(abs(b)), 1.0)
                    assert_close(np.asarray(a), b, name=name, scale=scale, k=100)

    @pytest.mark.parametrize(("name", "kind", "config"), CASES, ids=str)
    def test_every_one(self, name, kind, config):
        rng = np.random.default_rng(0)
        updates = [data(kind, (5, 4), rng), (*data(kind, (3, 4), rng), rng.random(3))]
        check_metric(
            lambda: getattr(metrics, name)(**config),
            lambda: getattr(keras.metrics, name)(**config),
            updates,
            dtype="float32",
        )

    @pytest.mark.parametrize(("name", "kind", "config"), CASES, ids=str)
    def test_description(self, name, kind, config):
        """Names and dtypes of variables, direction for callbacks, config both ways."""
        for dtype in (None, "float64"):
            ours = getattr(metrics, name)(**config, dtype=dtype)
            theirs = getattr(keras.metrics, name)(**config, dtype=dtype)
            assert_equal(
                [(v.path, v.dtype, tuple(v.shape)) for v in ours.variables],
                [(v.path, v.dtype, tuple(v.shape)) for v in theirs.variables],
            )
            direction = [getattr(m, "_direction", None) for m in (ours, theirs)]
            assert_equal(*direction, name="direction")
            written = json.loads(json.dumps(metrics.serialize(ours)))
            assert_equal(written, keras.metrics.serialize(theirs))
            again = metrics.deserialize(keras.metrics.serialize(theirs))
            assert_equal(metrics.serialize(again), written)

    def test_columns(self):
        """(N,) beside (N, 1), in every metric that Keras lets take it."""
        rng = np.random.default_rng(0)
        column = rng.random((6, 1))
        for name in ("MeanSquaredError", "RootMeanSquaredError", "BinaryAccuracy"):
            check_metric(
                lambda name=name: getattr(metrics, name)(),
                lambda name=name: getattr(keras.metrics, name)(),
                [(column[:, 0].round(), column), (column.round(), column[:, 0])],
                dtype="float64",
            )
        labels = rng.integers(0, 3, (6, 1))
        check_metric(
            metrics.SparseCategoricalAccuracy,
            keras.metrics.SparseCategoricalAccuracy,
            [(labels, rng.random((6, 3))), (labels[:, 0], rng.random((6, 3)))],
            dtype="float32",
        )

    @pytest.mark.parametrize("floatx", ["float32", "float64"])
    def test_lists_are_float32(self, floatx):
        found = []
        with default_dtype(floatx):
            for k in (metrics, keras.metrics):
                metric = k.MeanAbsoluteError()
                metric.update_state([0.1, 0.2], [0.3, 0.5])
                found.append(np.asarray(metric.result()))
        assert_close(*found)

    @pytest.mark.parametrize(
        "row",
        [
            [0.0, -0.0, 0.0],
            [-0.0, 0.0, 0.0],
            [-0.0, -1.0, -2.0],
            [np.nan, 1.0, 2.0],
            [1.0, np.nan, 0.0],
            [np.nan, np.nan, np.nan],
            [-np.inf, np.nan, -1.0],
            [-1e-40, -0.0, 0.0],
            [np.nan, -5.0, -3.0],
        ],
    )
    def test_largest_of_odd_numbers(self, row):
        for dtype in strategies.DTYPES:
            x = np.array([row, [1.0, 2.0, 3.0]], dtype)
            found = np.asarray(keras.ops.argmax(x, axis=-1))
            assert_equal(argmax(x).astype(found.dtype), found)

    @pytest.mark.parametrize("k", [1, 2, 3, 9])
    def test_top_k_of_odd_numbers(self, k):
        scores = np.array(
            [
                [0.5, 0.5, 0.5],
                [0.1, 0.5, 0.5],
                [np.nan, 1.0, 2.0],
                [np.inf, 1.0, 2.0],
                [1.0, 2.0, 3.0],
            ],
            "float32",
        )
        for targets in ([0, 0, 1, 1, 0], [2, 1, 2, 2, 2], [-1, 3, 7, 0, 1]):
            targets = np.array(targets)
            arguments = (targets, scores)
            found = metrics.sparse_top_k_categorical_accuracy(*arguments, k=k)
            expected = keras.metrics.sparse_top_k_categorical_accuracy(*arguments, k=k)
            assert_equal(found, np.asarray(expected))


class TestFunctions:
    """The functions that `keras.metrics` exports."""

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("binary_accuracy", "binary"),
            ("binary_crossentropy", "binary"),
            ("categorical_accuracy", "one_hot"),
            ("categorical_crossentropy", "one_hot"),
            ("categorical_hinge", "one_hot"),
            ("hinge", "binary"),
            ("huber", "numbers"),
            ("kl_divergence", "binary"),
            ("log_cosh", "numbers"),
            ("mean_absolute_error", "numbers"),
            ("mean_absolute_percentage_error", "numbers"),
            ("mean_squared_error", "numbers"),
            ("mean_squared_logarithmic_error", "positive"),
            ("poisson", "positive"),
            ("sparse_categorical_accuracy", "classes"),
            ("sparse_categorical_crossentropy", "classes"),
            ("sparse_top_k_categorical_accuracy", "classes"),
            ("squared_hinge", "binary"),
            ("top_k_categorical_accuracy", "one_hot"),
        ],
    )
    def test_equals_keras(self, name, kind):
        rng = np.random.default_rng(0)
        for shape in ((6, 4), (2, 3, 4)):
            batch = [
                a.astype("float32") if a.dtype.kind == "f" else a
                for a in data(kind, shape, rng)
            ]
            found = getattr(metrics, name)(*batch)
            expected = getattr(keras.metrics, name)(*tensors(batch))
            assert_close(np.asarray(found), np.asarray(expected), name=name, k=4)

    def test_functions_as_metrics(self):
        def error(y_true, y_pred):
            return abs(y_true - y_pred)

        check_metric(
            lambda: metrics.MeanMetricWrapper(error, name="error"),
            lambda: keras.metrics.MeanMetricWrapper(error, name="error"),
            [
                (np.ones((3, 2)), np.zeros((3, 2))),
                (np.ones(4), np.zeros(4), np.ones(4)),
            ],
            dtype="float64",
        )
        wrapped = metrics.MeanMetricWrapper(metrics.mean_squared_error, name="e")
        assert_equal(wrapped._direction, "down")
        twin = keras.metrics.MeanMetricWrapper(keras.metrics.mean_squared_error, "e")
        written = metrics.serialize(wrapped)
        assert_equal(written, keras.metrics.serialize(twin))
        assert metrics.deserialize(written)._fn is metrics.mean_squared_error
        again = keras.metrics.deserialize(written)
        assert again._fn is keras.metrics.mean_squared_error


class TestByHand:
    """Numbers that need no library."""

    def test_mean_counts_examples(self):
        mean = metrics.Mean()
        mean.update_state([[1.0, 3.0], [5.0, 7.0]])  # 2 and 6
        mean.update_state([10.0])
        assert_equal((float(mean.result()), float(mean.count)), (6.0, 3.0))
        mean.reset_state()
        assert_equal(float(mean.result()), 0.0)

    def test_mean_is_weighted(self):
        mean = metrics.Mean()
        mean.update_state([1.0, 3.0], sample_weight=[3.0, 1.0])
        assert_equal(float(mean.result()), 1.5)

    def test_batches_of_different_size(self):
        """Not the mean of the accuracies 1 and 0.25, but 5 of 8."""
        accuracy = metrics.BinaryAccuracy()
        accuracy.update_state(np.ones(4), np.ones(4))
        accuracy.update_state([1, 0, 0, 0], [1.0, 1.0, 1.0, 1.0])
        assert_equal(float(accuracy.result()), 0.625)

    def test_threshold_is_exclusive(self):
        assert_equal(float(metrics.BinaryAccuracy()([0, 1], [0.5, 0.5])), 0.5)

    def test_root_over_all_batches(self):
        rmse = metrics.RootMeanSquaredError()
        rmse.update_state([0.0], [1.0])
        rmse.update_state([0.0], [7.0])
        assert_equal(float(rmse.result()), 5.0)

    def test_masked_values_do_not_count(self):
        metric = metrics.MeanAbsoluteError()
        y_true, y_pred = np.zeros((1, 3, 1)), np.array([[[1.0], [2.0], [9.0]]])
        metric.update_state(y_true, y_pred, mask=np.array([[True, True, False]]))
        assert_equal(float(metric.result()), 1.5)

    def test_ignore_class_counts_unless_there_are_weights(self):
        """NB: Keras's mean of the ignored zeros is over all examples."""
        chances = np.full((2, 2), 0.5, "float32")
        metric = metrics.SparseCategoricalCrossentropy(ignore_class=0)
        assert_close(metric([0, 1], chances), np.float32(np.log(2) / 2))
        metric.reset_state()
        weighted = metric([0, 1], chances, sample_weight=[1.0, 1.0])
        assert_close(weighted, np.float32(np.log(2)))
