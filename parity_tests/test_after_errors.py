"""After a mistake: a suggestion, and a model that is what it was; NaN in data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minikeras
from parity_tests import runner
from parity_tests.test_bad_input import X, Y, model_of
from parity_tests.tolerance import assert_equal

NEAREST = [
    (lambda k: k.layers.Dense(3, activation="rellu"), "relu"),
    (
        lambda k: k.layers.Dense(3, kernel_initializer="glorot_unifrom"),
        "glorot_uniform",
    ),
    (lambda k: k.layers.Dense(3, kernel_regularizer="l1l3"), "l1_l2|L1L2|l1l2"),
    (lambda k: k.layers.Dense(3, kernel_constraint="nonneg"), "non_neg|NonNeg"),
    (lambda k: k.optimizers.get("adm"), "adam|Adam"),
    (lambda k: k.losses.get("mean_square_error"), "mean_squared_error"),
    (lambda k: k.metrics.get("binary_acuracy"), "binary_accuracy|BinaryAccuracy"),
    (lambda k: k.layers.Dens, "Dense"),
    (lambda k: k.optimizers.Adm, "Adam"),
    (lambda k: k.losses.MeanSquareError, "MeanSquaredError"),
    (lambda k: k.Sequental, "Sequential"),
    (lambda k: k.utils.to_categorial, "to_categorical"),
    (lambda k: model_of(k).get_layer("dens_1"), "dense_1"),
]


@pytest.mark.parametrize(("use", "name"), NEAREST, ids=[n[1] for n in NEAREST])
def test_unknown_names_suggest_the_nearest(use, name):
    with pytest.raises((ValueError, AttributeError), match=name):
        use(minikeras)


BREAKING: list[tuple[str, Callable[[Any], Any]]] = [
    ("lengths", lambda m: m.fit(X, Y[:5], verbose=0)),
    ("features", lambda m: m.fit(X[:, :3], Y, verbose=0)),
    ("labels in the last batch", lambda m: m.fit(X, np.r_[Y[:-1], 9], batch_size=12)),
    ("targets", lambda m: m.train_on_batch(X, np.ones((12, 7, 2)))),
    ("weights", lambda m: m.set_weights([*m.get_weights()[:-1], np.ones(9)])),
    ("names", lambda m: m.get_layer("nothing")),
    ("build", lambda m: m.build((None, 9))),
    ("add", lambda m: m.add(minikeras.Input((4,)))),
    ("compile", lambda m: m.compile("sgd", "no such loss")),
    ("optimizer", lambda m: m.compile("no such optimizer", "mse")),
    ("metrics", lambda m: m.compile("sgd", "mse", metrics="mae")),
    ("file", lambda m: m.load_weights("/no/such.weights.h5")),
]


@pytest.mark.parametrize("use", [b[1] for b in BREAKING], ids=[b[0] for b in BREAKING])
def test_nothing_is_half_changed(use):
    """After the error the model is what it was, and trains as if nothing had been."""
    minikeras.utils.set_random_seed(0)
    broken, whole = model_of(minikeras), model_of(minikeras)
    whole.set_weights(broken.get_weights())
    before = [v.numpy() for v in broken.variables]
    loss, optimizer = broken.loss, broken.optimizer
    with pytest.raises((ValueError, OSError)):
        use(broken)
    for a, b in zip([v.numpy() for v in broken.variables], before, strict=True):
        assert_equal(a, b)
    assert broken.loss == loss and broken.optimizer is optimizer
    assert len(broken.layers) == 2 and broken.compiled
    for model in (broken, whole):
        model.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(runner.state_of(broken), runner.state_of(whole), strict=True):
        assert_equal(a, b)
    assert_equal(int(broken.optimizer.iterations), int(whole.optimizer.iterations))


class TestNaN:
    def test_it_spreads_and_is_seen(self):
        x = X.copy()
        x[3, 1] = np.nan
        model = model_of(minikeras)
        history = model.fit(x, Y, epochs=2, verbose=0, batch_size=4)
        assert np.isnan(history.history["loss"][-1])
        assert np.isnan(model.get_weights()[0]).any()

    def test_terminate_on_nan(self):
        model = model_of(minikeras)
        x = np.full_like(X, np.nan)
        stop = minikeras.callbacks.TerminateOnNaN()
        history = model.fit(x, Y, epochs=50, verbose=0, batch_size=4, callbacks=[stop])
        assert len(history.epoch) == 1

    def test_infinite_data(self):
        model = model_of(minikeras)
        history = model.fit(np.full_like(X, np.inf), Y, verbose=0)
        assert not np.isfinite(history.history["loss"][0])

    def test_prediction_of_nan_is_nan(self):
        x = np.full_like(X, np.nan)
        assert np.isnan(model_of(minikeras).predict(x, verbose=0)).all()
