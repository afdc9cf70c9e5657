"""`trainable` set without `compile`: when it takes effect, and what is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = np.ones((8, 1), "float32")


def made(k, optimizer="sgd", **options):
    k.utils.set_random_seed(0)
    layers = [k.layers.Dense(4), k.layers.BatchNormalization(), k.layers.Dense(1)]
    model = k.Sequential([k.Input((3,)), *layers])
    model.compile(optimizer, "mse", **options)
    return model


def trained(model, run):
    """Which weights `run` changed, or the error it raised."""
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            getattr(model, run)(X, Y, **({"verbose": 0} if run == "fit" else {}))
        except ValueError as error:
            return str(error)[:30]
    pairs = zip(before, model.get_weights(), strict=True)
    return [bool(np.any(a != b)) for a, b in pairs]


STORIES = {
    "frozen after the first fit": ["fit", False, "fit", "fit", True, "fit"],
    "frozen between compile and fit": [False, "fit", True, "fit"],
    "thawed, then a step alone": [False, "fit", True, "train_on_batch"],
    "fit and steps": ["fit", False, "train_on_batch", True, "train_on_batch"],
    "steps alone": ["train_on_batch", False, "train_on_batch", "fit"],
    "compiled again": ["fit", False, "fit", "compile", "fit"],
    "compiled again, thawed": [False, "fit", True, "compile", "fit", "fit"],
}


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("part", ["first layer", "all", "normalization"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_same_weights_are_trained(story, part, eager):
    found = []
    for k in (minikeras, keras):
        model = made(k, run_eagerly=eager)
        pieces = {"all": model.layers, "normalization": [model.layers[1]]}
        steps = []
        for event in story:
            if isinstance(event, bool):
                for layer in pieces.get(part, [model.layers[0]]):
                    layer.trainable = event
            elif event == "compile":
                model.compile("adam", "mse", run_eagerly=eager)
            else:
                steps.append(trained(model, event))
        found.append(steps)
    assert found[0] == found[1]


def test_a_change_without_effect_is_told_once():
    model = made(minikeras)
    model.layers[0].trainable = False  # before anything ran: takes effect
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    with pytest.warns(UserWarning, match=r"state of \['dense'\] has changed") as told:
        model.fit(X, Y, verbose=0, epochs=3)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_unfreezing_under_a_built_optimizer_names_the_variable_and_the_way_out():
    model = made(minikeras, run_eagerly=True)
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True
    with pytest.raises(ValueError, match=r"dense/kernel.*call `compile` with a new"):
        model.fit(X, Y, verbose=0)


def test_a_model_built_by_its_first_fit():
    for freeze_at_first in (False, True):
        found = []
        for k in (minikeras, keras):
            k.utils.set_random_seed(0)
            model = k.Sequential([k.layers.Dense(4), k.layers.Dense(1)])
            model.compile("sgd", "mse")
            model.layers[0].trainable = not freeze_at_first
            model.fit(X, Y, verbose=0)
            model.layers[0].trainable = freeze_at_first
            found.append(trained(model, "fit"))
        assert found[0] == found[1]
