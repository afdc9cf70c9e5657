"""`predict` of a few examples takes a short way; it gives what the long way gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Input, Model, Sequential, layers
from minikeras.callbacks import Callback
from minikeras.trainers.data_adapters.arrays import few_examples
from parity_tests.tolerance import assert_equal


def _models() -> list[Model]:
    x = Input((3,))
    h = layers.Dense(4, activation="relu")(x)
    several = Model(x, {"a": layers.Dense(2)(h), "b": [h, x]})
    return [Sequential([Input((3,)), layers.Dense(2, activation="softmax")]), several]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("examples", [1, 2, 3, 4])
@pytest.mark.parametrize("which", [0, 1])
def test_both_ways(which: int, examples: int, dtype: str) -> None:
    model = _models()[which]
    x = np.random.default_rng(examples).normal(size=(examples, 3)).astype(dtype)
    short = model.predict(x, verbose=0)
    long = model.predict(x, verbose=0, callbacks=[Callback()])
    if which == 0:
        short, long = {"a": short, "b": []}, {"a": long, "b": []}
    for a, b in zip([short["a"], *short["b"]], [long["a"], *long["b"]], strict=True):
        assert_equal(a, b)
        assert not np.shares_memory(a, x)


@pytest.mark.parametrize(
    "x",
    [
        [[1.0, 2.0, 3.0]],
        np.zeros((0, 3)),
        np.array(1.0),
        np.array([["a", "b", "c"]]),
        np.zeros((4, 3)),
        np.ma.masked_array(np.zeros((1, 3))),
    ],
)
def test_what_goes_the_long_way(x: Any) -> None:
    assert few_examples(x, most=3) is None


def test_a_step_of_your_own_is_used() -> None:
    class Doubling(Sequential):
        def predict_step(self, data: Any) -> Any:
            return 2 * super().predict_step(data)

    model = Doubling([Input((3,)), layers.Dense(2)])
    x = np.ones((1, 3), "float32")
    assert_equal(model.predict(x, verbose=0), 2 * np.asarray(model(x)))
