"""Calls with ever new shapes: nothing piles up."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import minikeras
from minikeras import layers
from minikeras.layers.composite import MOST_TRACES


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, activation="tanh")
        self.normalize = layers.LayerNormalization()

    def call(self, x):
        return self.normalize(self.dense(x)) * 2.0 + self.dense(x)


class Own(minikeras.Model):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.last = layers.Dense(1)

    def call(self, x):
        return self.last(self.block(x))


def functional():
    inputs = minikeras.Input((None, 3))
    return minikeras.Model(inputs, layers.Dense(1)(Block()(inputs)))


def composite():
    return Block()


def kept(layer):
    """How many calls and traces the layer and all inside it remember."""
    count = 0
    for one in (layer, *layer._all_sublayers()):
        count += len(one._inbound_nodes) + len(one._outbound_nodes)
        count += len(one.__dict__.get("_traces", ()))
    return count


def on_batch(model, x):
    model.train_on_batch(x, np.zeros((*x.shape[:2], 1)))


RUNS = {
    "composite": (composite, lambda layer, x: layer(x)),
    "own model": (Own, lambda model, x: model(x)),
    "own model, predict": (Own, lambda model, x: model.predict_on_batch(x)),
    "own model, trained": (Own, on_batch),
    "functional": (functional, lambda model, x: model(x)),
    "functional, trained": (functional, on_batch),
}


@pytest.mark.parametrize(("make", "run"), RUNS.values(), ids=RUNS)
def test_memory_does_not_grow_with_the_shapes_seen(make, run):
    layer = make()
    if isinstance(layer, minikeras.Model):
        layer.compile("sgd", "mse")
    lengths = iter(range(200, 0, -1))  # the largest first: work space does not grow

    def calls(n):
        for _ in range(n):
            run(layer, np.ones((2, next(lengths), 3), "float32"))
        gc.collect()

    tracemalloc.start()
    try:
        calls(MOST_TRACES + 10)
        count, memory = kept(layer), [tracemalloc.get_traced_memory()[0]]
        for _ in range(3):
            calls(20)
            memory.append(tracemalloc.get_traced_memory()[0])
        assert kept(layer) == count
    finally:
        tracemalloc.stop()
    # What grows with every call grows in each part; Python's own caches once.
    per_call = min(np.diff(memory)) / 20
    assert per_call < 300, f"{per_call:.0f} bytes per call"  # a trace has 20,000


def test_a_shape_that_was_forgotten_gives_the_same_again():
    model = Own()
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    first = model(x)
    for length in range(1, MOST_TRACES + 10):
        model(np.ones((2, length, 3), "float32"))
    np.testing.assert_array_equal(model(x), first)


def test_a_layer_in_a_traced_model_can_join_a_functional_one():
    model = Own()
    for length in range(1, 5):
        model(np.ones((2, length, 3), "float32"))
    inputs = minikeras.Input((7, 3))
    other = minikeras.Model(inputs, model.last(model.block(inputs)))
    model(np.ones((2, 9, 3), "float32"))
    again = minikeras.Model.from_config(
        other.get_config(), custom_objects={"Block": Block}
    )
    assert [x.name for x in again.layers] == [x.name for x in other.layers]
    x = np.ones((2, 7, 3), "float32")
    np.testing.assert_array_equal(other(x), model(x))
