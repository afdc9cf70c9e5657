"""Slips of a newcomer: Keras's type of error, and what was probably meant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras

X, Y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")


def model(k, *compile_arguments, **options):
    made = k.Sequential([k.Input((3,)), k.layers.Dense(2)])
    made.compile(*compile_arguments, **options)
    return made


def two_outputs(k, as_dict=False):
    x = k.Input((3,))
    a, b = (k.layers.Dense(2, name=name)(x) for name in ("a", "b"))
    made = k.Model(x, {"a": a, "b": b} if as_dict else [a, b])
    made.compile("sgd", "mse")
    return made


def fit(made, y=Y, **options):
    made.fit(X, y, verbose=0, **options)


# what is called, what the message says
BOTH_REFUSE: list[tuple[Callable, str]] = [
    (lambda k: k.models.load_model("nope.h5"), "No such file"),
    (lambda k: k.models.load_model("nope.keras"), "File not found"),
    (lambda k: k.models.load_model("nope"), "File format not supported"),
    (lambda k: model(k).load_weights("nope.weights.h5"), "File not found"),
    (lambda k: model(k).load_weights("nope.h5"), "File not found"),
    (lambda k: model(k).load_weights("nope.keras"), "File not found"),
    (lambda k: model(k, "adma", "mse"), "mean '[Aa]dam'"),
    (lambda k: model(k, "sgd", los="mse"), "mean 'loss'"),
    (lambda k: model(k, "sgd", "mse", metric=["mae"]), "mean 'metrics'"),
    (lambda k: fit(model(k, "sgd", "mse"), epoch=2), "mean 'epochs'"),
    (lambda k: k.Input(shpe=(3,)), "mean 'shape'"),
    (lambda k: model(k).summary(line_len=80), "mean 'line_length'"),
    (lambda k: fit(two_outputs(k, True), {"a": Y}), "2 outputs"),
    (lambda k: fit(two_outputs(k), Y), "2 outputs"),
    (
        lambda k: fit(
            two_outputs(k), [Y, Y], sample_weight={"a": np.ones(4), "b": np.ones(4)}
        ),
        "y\\[0\\].*sample_weight\\['a'\\]",
    ),
]


@pytest.mark.parametrize("number", range(len(BOTH_REFUSE)))
def test_refused_as_in_keras(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, message = BOTH_REFUSE[number]
    with pytest.raises(Exception) as theirs:
        function(keras)
    with pytest.raises(theirs.type, match=message):
        function(minikeras)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mae_"}, "mean 'mae'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "mean 'accuracy'"),
        ({"loss": "mse", "weighted_metrics": ["mean_squared_eror"]}, "squared_error'"),
    ],
)
def test_names_are_refused_by_compile(options, message):
    """NB: Keras refuses them when the first batch is seen."""
    with pytest.raises(ValueError, match=message):
        model(minikeras, "sgd", **options)
    theirs = model(keras, "sgd", **options)
    with pytest.raises(ValueError):
        fit(theirs)


def test_targets_of_unknown_outputs():
    with pytest.raises(ValueError, match=r"The outputs are named \['a', 'b'\]"):
        fit(two_outputs(minikeras), {"a": Y, "c": Y})
