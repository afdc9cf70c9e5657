"""Confusion counts, precision and recall, AUC, F scores, IoU, R2 and correlations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minikeras
from minikeras import metrics
from minikeras.metrics.confusion import confusion_counts
from parity_tests import strategies
from parity_tests.oracle import keras
from parity_tests.tolerance import assert_close, assert_equal
from parity_tests.updates import check_metric

COUNTS = ["TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"]
AT = [
    ("SensitivityAtSpecificity", "specificity"),
    ("SpecificityAtSensitivity", "sensitivity"),
    ("PrecisionAtRecall", "recall"),
    ("RecallAtPrecision", "precision"),
]
CURVES = ["ROC", "PR", "PRGAIN"]
METHODS = ["interpolation", "minoring", "majoring"]
IOUS = ["IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU"]
SCORES = ["R2Score", "PearsonCorrelation", "ConcordanceCorrelation"]
BOTH = pytest.mark.parametrize("dtype", strategies.DTYPES)

# (class, kind of data, arguments), each with every argument at least once
CASES = [
    *[(name, "binary", {}) for name in COUNTS],
    *[(name, "binary", {"thresholds": [0.25, 0.6]}) for name in COUNTS],
    ("Precision", "binary", {}),
    ("Precision", "binary", {"thresholds": [0.0, 0.5, 1.0]}),
    ("Precision", "binary", {"top_k": 2}),
    ("Recall", "binary", {"thresholds": 0.3, "class_id": 1}),
    ("Recall", "binary", {"top_k": 1, "class_id": 0}),
    ("Recall", "binary", {}),
    *[(name, "binary", {share: 0.5, "num_thresholds": 11}) for name, share in AT],
    *[(name, "binary", {share: 0.5, "num_thresholds": 1}) for name, share in AT],
    *[(name, "binary", {share: 0.2, "class_id": 1}) for name, share in AT],
    *[
        ("AUC", "binary", {"curve": c, "summation_method": m, "num_thresholds": 9})
        for c in CURVES
        for m in METHODS
    ],
    ("AUC", "binary", {"thresholds": [0.1, 0.7]}),
    ("AUC", "binary", {"thresholds": [0.25, 0.5, 0.75]}),
    ("AUC", "binary", {"label_weights": [1.0, 2.0, 0.5, 1.0], "num_thresholds": 5}),
    ("AUC", "binary", {"multi_label": True, "num_labels": 4, "num_thresholds": 5}),
    ("AUC", "binary", {"multi_label": True, "thresholds": [0.2, 0.5], "curve": "PR"}),
    ("AUC", "logits", {"from_logits": True, "num_thresholds": 7}),
    *[("FBetaScore", "binary", {"average": a}) for a in ("micro", "macro", "weighted")],
    ("FBetaScore", "binary", {"beta": 2.0, "threshold": 0.5}),
    ("F1Score", "binary", {"average": "weighted", "threshold": 0.5}),
    ("F1Score", "binary", {}),
    ("IoU", "labels", {"num_classes": 3, "target_class_ids": [0, 2]}),
    ("IoU", "labels", {"num_classes": 3, "target_class_ids": [1], "dtype": "float32"}),
    ("MeanIoU", "labels", {"num_classes": 4, "ignore_class": 1}),
    ("OneHotIoU", "one_hot", {"num_classes": 4, "target_class_ids": [0, 1]}),
    ("OneHotMeanIoU", "one_hot", {"num_classes": 4}),
    ("BinaryIoU", "binary", {"threshold": 0.3}),
    ("BinaryIoU", "binary", {"target_class_ids": [1]}),
    ("R2Score", "numbers", {}),
    ("R2Score", "numbers", {"class_aggregation": "variance_weighted_average"}),
    ("R2Score", "numbers", {"class_aggregation": None, "num_regressors": 2}),
    ("PearsonCorrelation", "numbers", {}),
    ("PearsonCorrelation", "numbers", {"axis": 0}),
    ("ConcordanceCorrelation", "numbers", {}),
]


def data(kind, rows, rng, columns=4):
    shape = (rows, columns)
    if kind == "labels":
        return rng.integers(0, 3, rows), rng.integers(0, 3, rows)
    if kind == "one_hot":
        return np.eye(columns)[rng.integers(0, columns, rows)], rng.random(shape)
    y_true = rng.integers(0, 2, shape).astype(float)
    if kind == "logits":
        return y_true, rng.standard_normal(shape)
    if kind == "numbers":  # that follow each other, so that nothing cancels
        y_true = rng.standard_normal(shape)
        return y_true, y_true + rng.random(shape) / 2
    # A quarter of them exactly at thresholds, 0 and 1 included
    chances = np.round(rng.random(shape) * 64 + 0.37) / 67
    edges = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], shape)
    return y_true, np.where(rng.random(shape) < 0.25, edges, chances)


def check(case, dtype, seed, weighted):
    name, kind, config = case
    if "axis" in config:
        weighted = False
    rng = np.random.default_rng(seed)
    updates = []
    for rows in rng.integers(2, 7, 3):
        weight = (rng.integers(0, 3, rows).astype(float),) if weighted else ()
        if "IoU" in name:
            weight = tuple(w.astype("int64") for w in weight)
            if weight and kind == "binary":
                weight = (np.repeat(weight[0], 4),)
        updates.append((*data(kind, int(rows), rng), *weight))
    check_metric(
        lambda: getattr(metrics, name)(**config),
        lambda: getattr(keras.metrics, name)(**config),
        updates,
        dtype=dtype,
    )


@pytest.mark.filterwarnings("ignore:More independent predictors")
@BOTH
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_one(case, dtype):
    check(case, dtype, seed=1, weighted=True)


@pytest.mark.filterwarnings("ignore:More independent predictors")
@given(
    case=st.sampled_from(CASES),
    dtype=strategies.dtypes(),
    seed=strategies.seeds(),
    weighted=st.booleans(),
)
def test_drawn(case, dtype, seed, weighted):
    check(case, dtype, seed, weighted)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_description(case):
    """Names and dtypes of variables, direction for callbacks, config both ways."""
    name, _, config = case
    ours, theirs = (getattr(m, name)(**config) for m in (metrics, keras.metrics))
    assert_equal(
        [(v.path, v.dtype, tuple(v.shape)) for v in ours.variables],
        [(v.path, v.dtype, tuple(v.shape)) for v in theirs.variables],
    )
    assert_equal(*[getattr(m, "_direction", None) for m in (ours, theirs)])
    assert_equal(ours.name, theirs.name)
    written = json.loads(json.dumps(metrics.serialize(ours)))
    assert_equal(metrics.serialize(metrics.deserialize(written)), written)
    again = keras.metrics.deserialize(written)
    for key, value in again.get_config().items():
        if key != "label_weights":  # a tensor in Keras
            assert_equal(np.asarray(value), np.asarray(written["config"][key]))


@given(seed=strategies.seeds(), count=st.integers(3, 9), labels=st.booleans())
def test_buckets_count_as_comparisons_do(seed, count, labels):
    """The quick path for evenly spaced thresholds beside the plain one."""
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(0, 2, (20, 3)), rng.random((20, 3))
    thresholds = np.arange(count) / (count - 1)
    options = {"dtype": "float64", "sample_weight": rng.random(20)}
    quick, plain = (
        confusion_counts(
            y_true, y_pred, thresholds, multi_label=labels, even=even, **options
        )
        for even in (True, False)
    )
    for a, b in zip(quick, plain, strict=True):
        assert_close(a, b, k=64)


ERRORS = [
    ("Precision", {"thresholds": [0.2, 1.5]}, r"Threshold values must be in \[0, 1\]"),
    ("AUC", {"num_thresholds": 1}, "must be an integer > 1"),
    ("AUC", {"curve": "RC"}, "Invalid AUC curve value"),
    ("AUC", {"summation_method": "x"}, "Invalid AUC summation method value"),
    ("AUC", {"num_labels": 3}, "only when `multi_label` is True"),
    ("PrecisionAtRecall", {"recall": 1.5}, r"must be in the range \[0, 1\]"),
    ("RecallAtPrecision", {"precision": -1}, r"must be in the range \[0, 1\]"),
    ("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 0}, "an integer > 0"),
    ("FBetaScore", {"average": "all"}, "Invalid `average` argument value"),
    ("FBetaScore", {"beta": 1}, "Invalid `beta` argument value"),
    ("FBetaScore", {"beta": -1.0}, "Invalid `beta` argument value"),
    ("F1Score", {"threshold": 2.0}, "Invalid `threshold` argument value"),
    ("F1Score", {"threshold": 1}, "Invalid `threshold` argument value"),
    ("IoU", {"num_classes": 2, "target_class_ids": [2]}, "is out of range"),
    ("R2Score", {"class_aggregation": "mean"}, "Invalid value for argument `class_agg"),
    ("R2Score", {"num_regressors": -1}, "Invalid value for argument `num_regressors`"),
]


@pytest.mark.parametrize(("name", "config", "message"), ERRORS, ids=str)
def test_arguments_that_are_refused(name, config, message):
    for module in (metrics, keras.metrics):
        with pytest.raises(ValueError, match=message):
            getattr(module, name)(**config)


@pytest.mark.parametrize("name", ["F1Score", "R2Score", "Precision"])
def test_shapes_that_are_refused(name):
    for module in (metrics, keras.metrics):
        config = {"class_id": 1} if name == "Precision" else {}
        with pytest.raises(ValueError, match=r"2D (inputs|array) with shape"):
            getattr(module, name)(**config).update_state(np.ones(3), np.ones(3))


def test_fractional_weights_of_a_whole_matrix_are_told():
    metric = metrics.MeanIoU(num_classes=2)
    with pytest.warns(UserWarning, match="cut off"):
        metric.update_state([0, 1], [0, 1], sample_weight=[0.5, 1.5])


@pytest.mark.parametrize(
    "chosen",
    [
        ["AUC", "Precision", "Recall", "TruePositives", "PrecisionAtRecall"],
        ["F1Score", "BinaryIoU", "R2Score"],
    ],
    ids=str,
)
def test_in_fit(chosen):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 3)), rng.integers(0, 2, (12, 2)).astype("float32")
    x, kernel = x.astype("float32"), rng.standard_normal((3, 2)).astype("float32")
    histories = []
    for library in (minikeras, keras):
        layers = [library.Input((3,)), library.layers.Dense(2, "sigmoid")]
        model = library.Sequential(layers)
        model.set_weights([kernel, np.zeros(2, "float32")])
        made = [
            getattr(library.metrics, n)(**({"recall": 0.5} if "At" in n else {}))
            for n in chosen
        ]
        model.compile("sgd", "binary_crossentropy", metrics=made)
        fitted = model.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0)
        histories.append(fitted.history)
    assert_equal(sorted(histories[0]), sorted(histories[1]))
    for key, values in histories[1].items():
        ours = np.array(histories[0][key], "float32")
        assert_close(ours, np.array(values, "float32"), name=key, k=64)


def test_by_hand():
    y_true, y_pred = [0, 1, 1, 0], [0.1, 0.4, 0.8, 0.9]
    assert_equal(float(metrics.TruePositives()(y_true, y_pred)), 1.0)
    assert_equal(float(metrics.Precision()(y_true, y_pred)), 0.5)
    assert_equal(float(metrics.Recall()(y_true, y_pred)), 0.5)
    # pairs (positive, negative) in the right order: (0.4, 0.1), (0.8, 0.1) of four
    assert_equal(float(metrics.AUC()(y_true, y_pred)), 0.5)
    assert_equal(float(metrics.Precision()([0, 0], [0.1, 0.2])), 0.0)


@pytest.mark.parametrize("name", ["pearson_correlation", "concordance_correlation"])
@BOTH
def test_functions(name, dtype):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.standard_normal((2, 3, 4)).astype(dtype)
    for axis in (-1, 0):
        expected = getattr(keras.metrics, name)(y_true, y_pred, axis=axis)
        found = getattr(metrics, name)(y_true, y_pred, axis=axis)
        assert_close(found, np.asarray(expected), k=64)
