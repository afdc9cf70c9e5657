"""`keras.tree`: nested structures."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import pytest

import minikeras
from parity_tests.oracle import keras

Pair = namedtuple("Pair", "a b")
Other = namedtuple("Other", "a b")
STRUCTURES = [
    1,
    None,
    [],
    (),
    [1],
    (1,),
    [1, 2],
    [None],
    {"a": 1},
    {"b": 1},
    {"b": 2, "a": 1},
    {"a": [1, 2]},
    {"a": [1]},
    OrderedDict(a=1),
    Pair(1, 2),
    Other(1, 2),
    [1, [2, {"a": [3]}], (4,)],
]


def outcome(function, *arguments):
    try:
        return repr(function(*arguments))
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("a", STRUCTURES, ids=str)
def test_same_structure(a):
    for b in STRUCTURES:
        for name in ("assert_same_structure", "map_structure"):
            ours, theirs = getattr(minikeras.tree, name), getattr(keras.tree, name)
            given = (a, b) if name.startswith("assert") else (lambda *x: x, a, b)
            assert outcome(ours, *given) == outcome(theirs, *given), (name, b)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize(
    "name", ["flatten", "flatten_with_path", "is_nested", "lists_to_tuples"]
)
def test_of_one_structure(name, structure):
    ours, theirs = getattr(minikeras.tree, name), getattr(keras.tree, name)
    assert outcome(ours, structure) == outcome(theirs, structure)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_pack_sequence_as(structure):
    for count in range(5):
        flat = [10 * i for i in range(count)]
        ours = outcome(minikeras.tree.pack_sequence_as, structure, flat)
        assert ours == outcome(keras.tree.pack_sequence_as, structure, flat), count


def test_no_structure_at_all():
    for k in (minikeras, keras):
        with pytest.raises(ValueError, match="at least one structure"):
            k.tree.map_structure(print)
