"""`metrics=` of `compile`: every structure that Keras takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import metrics, tree
from minikeras.trainers.compile_metrics import CompileMetrics
from parity_tests.compile_cases import PRED, STRUCTURES, TRUE, WEIGHTS
from parity_tests.oracle import keras, tensors
from parity_tests.tolerance import assert_close, assert_equal

KerasMetrics = keras.src.trainers.compile_utils.CompileMetrics


def squared(k):
    """The same function in both libraries."""
    return (keras.metrics if k is keras else metrics).mean_squared_error


METRICS = {
    "one": [
        ["mse"],
        ["mse", "accuracy"],
        ["acc", "mse", "mse"],
        ("mae",),
        {"out": ["mse", "mae"]},
        [squared],
        ["mean_squared_error", "cosine_similarity"],
        [lambda k: k.metrics.MeanSquaredError(name="mine")],
        [lambda k: k.metrics.BinaryAccuracy],
    ],
    "list": [
        [["mse"], ["mae", "acc"]],
        ["mse", ["mae", "acc"]],
        [None, "accuracy"],
        {"b": ["mse"], "a": "acc"},
        {"b": ["mse", "mse"]},
        [squared, squared],
    ],
    "dict": [{"b": ["mse"], "a": "acc"}, {"a": ["acc"]}, ["mse", ["mae"]]],
    "nested dict": [
        {"a": ["mse", ["mae"]], "b": "acc"},
        {"a": [None, "mse"], "b": None},
    ],
    "nested list": [["mse", ("mae", ["acc", "mse"])]],
}


@st.composite
def metric_cases(draw):
    """(outputs, metrics, weighted metrics, output names, sample weights)."""
    outputs = draw(st.sampled_from(list(METRICS)))
    options = st.sampled_from([None, *METRICS[outputs]])
    plain, weighted = draw(options), draw(options)
    names = [None, {"one": ["out"], "list": ["b", "a"]}.get(outputs)]
    if outputs == "list" and (isinstance(plain, dict) or isinstance(weighted, dict)):
        del names[0]  # a dict needs them
    weighting = draw(st.sampled_from([None, "one", outputs]))
    return outputs, plain, weighted, draw(st.sampled_from(names)), weighting


def for_library(structure, k):
    """The entries that differ, made for library `k`."""
    return tree.map_structure(lambda m: m(k) if callable(m) else m, structure)


class TestMetricsAgainstKeras:
    """`CompileMetrics` of both libraries on the same arrays."""

    @given(case=metric_cases())
    def test_structures(self, case):
        outputs, plain, weighted, names, weighting = case
        y_true, y_pred = STRUCTURES[outputs](TRUE), STRUCTURES[outputs](PRED)
        weight = None if weighting is None else STRUCTURES[weighting](WEIGHTS)
        if not plain and not weighted:
            plain = METRICS[outputs][0]
        made = [
            kind(for_library(plain, k), for_library(weighted, k), output_names=names)
            for kind, k in ((CompileMetrics, minikeras), (KerasMetrics, keras))
        ]
        for _ in range(2):
            made[0].update_state(y_true, y_pred, weight)
            made[1].update_state(*tensors([y_true, y_pred, weight]))
        found, expected = (m.result() for m in made)
        assert_equal(list(found), list(expected), name="names")
        for name, value in expected.items():
            assert_close(found[name], value.numpy(), name=name, k=16)
        assert_equal(
            [m.name for m in made[0].metrics], [m.name for m in made[1].metrics]
        )
        paths = [
            [v.path for v in m.variables if "wrapper" not in v.path] for m in made
        ]  # a wrapped function's number counts on from test to test
        assert_equal(*paths, name="paths")
        made[0].reset_state()
        assert_equal(
            [float(v) for v in made[0].variables], [0.0] * len(made[0].variables)
        )

    @pytest.mark.parametrize(
        ("true", "pred", "expected"),
        [
            ((4, 1), (4, 1), "BinaryAccuracy"),
            ((4,), (4, 1), "BinaryAccuracy"),
            ((4,), (4, 3), "SparseCategoricalAccuracy"),
            ((4, 1), (4, 3), "SparseCategoricalAccuracy"),
            ((4, 3), (4, 3), "CategoricalAccuracy"),
            ((4, 5), (4, 5, 3), "SparseCategoricalAccuracy"),
            ((4, 5, 1), (4, 5, 1), "BinaryAccuracy"),
        ],
    )
    def test_accuracy_by_shape(self, true, pred, expected):
        y_true, y_pred = np.zeros(true, "float32"), np.zeros(pred, "float32")
        for kind in (CompileMetrics, KerasMetrics):
            made = kind(["accuracy"], None)
            batch = [y_true, y_pred]
            made.update_state(*(tensors(batch) if kind is KerasMetrics else batch))
            assert_equal(type(made.metrics[0]).__name__, expected)
            assert_equal(made.metrics[0].name, "accuracy")


class TestMemory:
    """Masks and logits belong to arrays, as in Keras they do to tensors."""

    def test_for_these_very_arrays_once(self):
        y_true, y_pred = np.zeros((2, 3)), np.array([[1.0, 1.0, 4.0], [0.0, 6.0, 6.0]])
        mask = np.array([True, False])
        made = CompileMetrics(["mae"], None)
        made.update_state(y_true, y_pred)
        assert_equal(float(made.result()["mae"]), 3.0)
        for array, expected in ((y_pred, 2.0), (y_pred.copy(), 3.0)):
            made.reset_state()
            made.remember(y_pred, [mask])
            made.update_state(y_true, array)
            assert_equal(float(made.result()["mae"]), expected)
            made.reset_state()
            made.update_state(y_true, y_pred)
            assert_equal(float(made.result()["mae"]), 3.0)

    def test_logits(self):
        z = np.array([[100.0, 0.0]], "float32")
        y_true, y_pred = np.array([1]), minikeras.activations.softmax(z)
        made = CompileMetrics(["sparse_categorical_crossentropy"], None)
        made.remember(y_pred, [None], [("softmax", z)])
        made.update_state(y_true, y_pred)
        (value,) = made.result().values()
        assert_equal(float(value), 100.0)  # from probabilities: 16.1


class TestRefused:
    """Wrong specifications."""

    @pytest.mark.parametrize("kind", [CompileMetrics, KerasMetrics])
    @pytest.mark.parametrize(
        ("given_metrics", "outputs", "match"),
        [
            ("mse", "one", "to be a list, tuple, or dict"),
            (["mean_square"], "one", "not interpret metric identifier: mean_square"),
            ([["mse"], None, "mae"], "list", "same nested structure|Invalid `metrics`"),
            ({"x": ["mse"]}, "list", "Invalid `metrics`"),
            ([["mse"], ["mean_square"]], "list", "Received: metrics="),
            ([None], "one", "Expected metric, received `None`"),
        ],
    )
    def test_metrics(self, kind, given_metrics, outputs, match):
        y_true, y_pred = STRUCTURES[outputs](TRUE), STRUCTURES[outputs](PRED)
        if kind is KerasMetrics:
            y_true, y_pred = tensors([y_true, y_pred])
        with pytest.raises(ValueError, match=match):
            kind(given_metrics, None, output_names=None).update_state(y_true, y_pred)

    @pytest.mark.parametrize("kind", [CompileMetrics, KerasMetrics])
    def test_result_before_the_first_batch(self, kind):
        with pytest.raises(ValueError, match="has not yet been built"):
            kind(["mse"], None).result()

    def test_nearest_name(self):
        with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
            CompileMetrics(["acuracy"], None).update_state(TRUE[0], PRED[0])
