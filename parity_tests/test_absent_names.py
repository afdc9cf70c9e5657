"""Every public name of Keras is there, or asking for it says that it is not."""

from __future__ import annotations

import pytest

import minikeras
from minikeras import absent
from parity_tests.oracle import keras

MODULES = [
    "activations",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "utils",
]


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_there_or_refused_by_name(module):
    ours, theirs = getattr(minikeras, module), getattr(keras, module)
    for name in dir(theirs):
        if name.startswith("_"):
            continue
        try:
            getattr(ours, name)
        except AttributeError as error:
            assert name in str(error)
            assert "has no attribute" not in str(error), name


@pytest.mark.parametrize("module", absent.NAMES)
def test_what_is_called_absent_is_absent(module):
    ours = getattr(minikeras, module)
    assert [n for n in absent.NAMES[module].split() if n in dir(ours)] == []


def test_top_level_names():
    for name in dir(keras):
        if name.startswith("_") or name == "src":  # Keras's private code
            continue
        try:
            getattr(minikeras, name)
        except AttributeError as error:
            assert f"keras.{name}" in str(error)


def test_a_misspelt_name_suggests_the_right_one():
    with pytest.raises(AttributeError, match="Did you mean 'Dense'"):
        _ = minikeras.layers.Desne
    with pytest.raises(AttributeError, match="Did you mean 'Sequential'"):
        _ = minikeras.Sequental
