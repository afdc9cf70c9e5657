"""A built layer takes no new variables, layers, metrics or seeds, as in Keras."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minikeras
from parity_tests.oracle import keras

X = np.ones((2, 3), "float32")


def composite(k):
    class Composite(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(2)
            self.some = [k.layers.Dense(2)]
            self.named = {"a": k.layers.Dense(2)}

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

    return Composite()


def subclassed(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.dense = k.layers.Dense(2)
            self.some = [k.layers.Dense(2)]
            self.named = {"a": k.layers.Dense(2)}

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x)

    return Own()


def functional(k):
    inputs = k.Input((3,))
    return k.Model(inputs, k.layers.Dense(2)(inputs))


MAKERS = {
    "composite": composite,
    "subclassed": subclassed,
    "functional": functional,
    "sequential": lambda k: k.Sequential([k.layers.Dense(2)]),
    "dense": lambda k: k.layers.Dense(2),
    "normalization": lambda k: k.layers.BatchNormalization(),
}
ADDITIONS = {
    "layer": lambda k, m: setattr(m, "new", k.layers.Dense(2)),
    "list": lambda k, m: setattr(m, "new", [k.layers.Dense(2)]),
    "tuple": lambda k, m: setattr(m, "new", (k.layers.Dense(2),)),
    "dict": lambda k, m: setattr(m, "new", {"a": k.layers.Dense(2)}),
    "variable": lambda k, m: setattr(m, "new", k.Variable(X)),
    "frozen variable": lambda k, m: setattr(m, "new", k.Variable(X, trainable=False)),
    "metric": lambda k, m: setattr(m, "new", k.metrics.Mean()),
    "seed": lambda k, m: setattr(m, "new", k.random.SeedGenerator(1)),
    "number": lambda k, m: setattr(m, "new", 3),
    "empty list": lambda k, m: setattr(m, "new", []),
    "array": lambda k, m: setattr(m, "new", X),
    "weight": lambda k, m: m.add_weight(shape=(2,), name="new"),
}
INSIDE = {
    "append": lambda k, m: m.some.append(k.layers.Dense(1)),
    "extend": lambda k, m: m.some.extend([k.layers.Dense(1)]),
    "number in a list": lambda k, m: m.some.append(1),
    "key": lambda k, m: m.named.__setitem__("b", k.layers.Dense(1)),
    "update": lambda k, m: m.named.update({"b": k.layers.Dense(1)}),
    "replace": lambda k, m: setattr(m, "dense", k.layers.Dense(1)),
    "again": lambda k, m: setattr(m, "again", m.dense),
}


def outcome(change, k, layer):
    try:
        change(k, layer)
    except Exception as error:
        return type(error).__name__, str(error)[:60]
    return "accepted"


@pytest.mark.parametrize("called", [False, True], ids=["new", "built"])
@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_what_is_refused(maker, called):
    for name, change in {**ADDITIONS, **INSIDE}.items():
        found = []
        for k in (minikeras, keras):
            layer = maker(k)
            if called:
                layer(X)
            if name in INSIDE and not hasattr(layer, "some"):
                continue
            found.append(outcome(change, k, layer))
        assert len(set(found)) < 2, (name, found)


def test_a_trained_model_is_locked_and_compiles_again():
    for k in (minikeras, keras):
        model = subclassed(k)
        for _ in range(2):
            model.compile("sgd", "mse", metrics=["mae"])
            model.fit(X, X[:, :2], verbose=0)
        with pytest.raises(ValueError, match="You cannot add new elements of state"):
            model.some.append(k.layers.Dense(1))
        assert len(model.some) == 1


def test_lists_of_layers_stay_lists():
    layer = composite(minikeras)
    layer.some.append(minikeras.layers.Dense(3))
    assert isinstance(layer.some, list) and len(layer.some) == 2
    assert isinstance(layer.named, dict)
    layer.some += [minikeras.layers.Dense(4)]
    layer.named.setdefault("c", minikeras.layers.Dense(5))
    assert len(layer._layers) == 6
    assert [x.units for x in copy.deepcopy(layer).some] == [2, 3, 4]
