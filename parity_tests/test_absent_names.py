"""Every public name of Keras is there, or asking for it says that it is not."""

from __future__ import annotations

from types import ModuleType

import pytest

import minikeras
from minikeras import absent
from parity_tests.oracle import keras


def submodules(module, prefix=""):
    """The dotted names of all public modules in a module of Keras."""
    found = []
    for name in dir(module):
        inner = getattr(module, name, None)
        if name.startswith("_") or name == "src":  # Keras's private code
            continue
        if isinstance(inner, ModuleType) and inner.__name__.startswith("keras."):
            found += [prefix + name, *submodules(inner, f"{prefix}{name}.")]
    return found


def resolve(module, path):
    for name in path.split("."):
        module = getattr(module, name)
    return module


@pytest.mark.parametrize("path", submodules(keras))
def test_every_name_is_there_or_refused_by_name(path):
    try:
        ours = resolve(minikeras, path)
    except AttributeError as error:  # the module, or one it is in
        assert "keras" in str(error).lower()
        assert "has no attribute" not in str(error)
        return
    for name in dir(resolve(keras, path)):
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
