"""Metrics by name, metrics of one's own, and stateless calls."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import metrics
from minikeras.variables import Variable
from parity_tests.oracle import keras
from parity_tests.test_metrics import CASES
from parity_tests.tolerance import assert_equal

NAMES = sorted({name for name, _, _ in CASES})


class TestGet:
    """Names, configs, classes, functions."""

    @pytest.mark.parametrize(
        "name",
        [
            "mse", "MSE", "mae", "mape", "msle", "bce", "BCE", "accuracy", "Accuracy",
            "binary_accuracy", "mean_squared_error", "MeanSquaredError", "mean", "sum",
            "cosine_similarity", "CosineSimilarity", "log_cosh_error", "kl_divergence",
            "sparse_top_k_categorical_accuracy", "hinge", "categorical_crossentropy",
        ],
    )  # fmt: skip
    def test_names(self, name):
        ours, theirs = metrics.get(name), keras.metrics.get(name)
        assert_equal(type(ours).__name__, type(theirs).__name__)
        assert_equal(ours.name, theirs.name)

    @pytest.mark.parametrize("name", NAMES)
    def test_every_class_by_both_names(self, name):
        snake = minikeras.naming.to_snake_case(name)
        assert_equal(type(metrics.get(name)).__name__, name)
        assert_equal(type(metrics.get(snake)).__name__, name)

    def test_others(self):
        metric = metrics.Mean()
        assert metrics.get(metric) is metric
        assert metrics.get(None) is None
        assert isinstance(metrics.get(metrics.Sum), metrics.Sum)
        assert metrics.get(len) is len
        config = {"class_name": "BinaryAccuracy", "config": {"threshold": 0.7}}
        assert_equal(metrics.get(config).threshold, 0.7)

    @pytest.mark.parametrize("library", [metrics, keras.metrics])
    @pytest.mark.parametrize("name", ["mean_squared_eror", "logcosh", "kld", 3])
    def test_unknown(self, library, name):
        with pytest.raises(ValueError, match="Could not interpret metric identifier"):
            library.get(name)

    def test_nearest_name(self):
        with pytest.raises(ValueError, match="Did you mean 'mean_squared_error'"):
            metrics.get("mean_squared_eror")


class LargestError(metrics.Metric):
    """A metric of one's own, that holds another one."""

    def __init__(self, name="largest_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_weight(shape=(), initializer="zeros", name="largest")
        self.parts = [metrics.Mean(name="inner")]

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = np.abs(np.asarray(y_true) - np.asarray(y_pred))
        self.largest.assign(max(float(self.largest), error.max()))
        self.parts[0].update_state(error)

    def result(self):
        return {"largest": self.largest.value, "mean": self.parts[0].result()}


class TestOwn:
    """Metrics of one's own, and the stateless calls."""

    def test_variables_of_parts(self):
        metric = LargestError()
        assert_equal(
            [v.path for v in metric.variables],
            ["largest_error/largest", "inner/total", "inner/count"],
        )
        metric([1.0, 2.0], [1.5, 5.0])
        assert_equal({k: float(v) for k, v in metric.result().items()},
                     {"largest": 3.0, "mean": 1.75})  # fmt: skip
        metric.reset_state()
        assert_equal([float(v) for v in metric.variables], [0.0, 0.0, 0.0])
        assert_equal(LargestError.from_config(metric.get_config()).name, metric.name)

    def test_assigned_variable_is_tracked(self):
        metric = metrics.Metric(name="m")
        metric.extra = Variable(np.ones(2), name="extra")
        assert metric.variables[0] is metric.extra

    def test_stateless(self):
        metric = metrics.Mean()
        metric.update_state([4.0])
        start = metric.stateless_reset_state()
        after = metric.stateless_update_state(start, [1.0, 2.0])
        assert_equal(float(metric.stateless_result(after)), 1.5)
        assert_equal(float(metric.result()), 4.0)
        with pytest.raises(ValueError, match="length 1, but expected 2 variables"):
            metric.stateless_result([0.0])

    def test_abstract(self):
        metric = metrics.Metric()
        for use in (metric.update_state, metric.result):
            with pytest.raises(NotImplementedError, match="must override"):
                use()

    def test_forgotten_super(self):
        class Forgetful(metrics.Metric):
            def __init__(self):
                self.total = self.add_variable((), "zeros", name="total")

        with pytest.raises(RuntimeError, match="forgot to call"):
            Forgetful()

    @pytest.mark.parametrize("size", [2, 5])
    def test_weights_that_do_not_fit(self, size):
        with pytest.raises(ValueError, match="sample_weight"):
            metrics.MeanSquaredError()(
                np.ones((4, 1)), np.zeros((4, 1)), sample_weight=np.ones(size)
            )

    def test_names_count(self):
        minikeras.utils.clear_session()
        names = [metrics.Metric().name, metrics.Metric().name, repr(metrics.Mean())]
        assert_equal(names, ["metric", "metric_1", "<Mean name=mean>"])
