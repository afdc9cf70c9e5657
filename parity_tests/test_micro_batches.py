"""Steps in micro-batches equal those of whole batches; what is not cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras
from minikeras import Input, Model, Sequential, layers
from minikeras.trainers import splitting
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import functionals, sequentials
from parity_tests.functions import default_dtype
from parity_tests.micro_batch_runs import (
    Apart,
    Penalized,
    convolutional,
    cut_into,
    noisy,
    on_threads,
    recurrent,
    run,
    vectors,
)
from parity_tests.model_twins import check_fit
from parity_tests.strategies import seeds
from parity_tests.tolerance import assert_equal, assert_run_close

quarter = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 4)


KINDS = [noisy, recurrent, convolutional, Penalized]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_as_in_one_piece(kind: Any, dtype: str, weighted: bool) -> None:
    weights = np.linspace(0.5, 2, 12, dtype=dtype) if weighted else None
    if weighted and kind is recurrent:  # one for each time step
        weights = np.outer(weights, np.linspace(1, 2, 7, dtype=dtype))
    with default_dtype(dtype):
        whole = run(kind, sample_weight=weights)
        with cut_into(3) as cuts:
            parts = run(kind, sample_weight=weights)
    assert max(cuts) == 3
    assert_equal(parts.pop("seeds"), whole.pop("seeds"))
    for name, expected in whole.items():
        assert_run_close(parts[name], expected, dtype, name=name)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(kind: Any) -> None:
    found = []
    with cut_into(3):
        for count in (1, 2, 4):
            with on_threads(count):
                found.append(run(kind))
    for other in found[1:]:
        for name, value in found[0].items():
            assert_equal(other[name], value, name=name)


@quarter
@given(make=sequentials() | functionals(), seed=seeds())
def test_drawn_models_train_like_keras(make: Architecture, seed: int) -> None:
    x, y = make.data(7, seed, "float64")
    with default_dtype("float64"), cut_into(3):
        check_fit(make, x, y, batch_size=5, epochs=2, steps=4)


def test_several_outputs_and_their_losses() -> None:
    def make() -> Model:
        x = Input((6,))
        h = layers.Dense(4, activation="relu")(x)
        outputs = {"a": layers.Dense(2, name="a")(h), "b": layers.Dense(1)(h)}
        return Model(x, outputs)

    def run_once() -> list[Any]:
        minikeras.utils.set_random_seed(3)
        model = make()
        model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights={"a": 2, "b": 1})
        y = {"a": vectors(size=2, seed=2), "b": vectors(size=1, seed=3)}
        history = model.fit(vectors(), y, epochs=2, verbose=0).history
        values = [np.array(history[name]) for name in sorted(history)]
        return [*values, *model.get_weights()]

    whole = run_once()
    with cut_into(3) as cuts:
        parts = run_once()
    assert cuts
    for a, b in zip(parts, whole, strict=True):
        assert_run_close(a, b, "float32", name="run")


# --- What is not cut ------------------------------------------------------------------


class Own(layers.Layer):
    """Says nothing about its examples."""

    def forward(self, x: Any) -> tuple[Any, None]:
        return x - x.mean(axis=0), None

    def backward(self, dy: Any, residuals: None, grads: Any) -> Any:
        return dy - dy.mean(axis=0)


def _graph(function: Callable[[Any], Any], batch: int | None = None) -> Any:
    x = Input(batch_shape=(batch, 4, 3))
    return Model(x, function(x))._graph


@pytest.mark.parametrize(
    "function,in_training,in_inference",
    [
        (lambda x: layers.BatchNormalization()(x), False, True),
        (lambda x: layers.BatchNormalization(trainable=False)(x), True, True),
        (lambda x: Sequential([layers.BatchNormalization()])(x), False, True),
        (lambda x: layers.LSTM(2)(x), True, True),
        (
            lambda x: layers.LSTM(2)(x, initial_state=[np.ones((4, 2))] * 2),
            False,
            False,
        ),
        (lambda x: Own()(x), False, False),
        (lambda x: Sequential([Own()])(x), False, False),
        (lambda x: layers.TimeDistributed(Own())(x), False, False),
        (lambda x: Apart()(x), True, True),
        (lambda x: layers.Softmax(axis=1)(x), True, True),
        (lambda x: layers.Softmax(axis=0)(x), False, False),
        (lambda x: layers.Softmax(axis=-3)(x), False, False),
        (lambda x: minikeras.activations.softmax(x, axis=-1), True, True),
        (lambda x: minikeras.activations.softmax(x, axis=0), False, False),
        (lambda x: x[:, 1:], True, True),
        (lambda x: x[..., 0], True, True),
        (lambda x: x[:2], False, False),
        (lambda x: x[::-1], False, False),
        (lambda x: x + np.ones((4, 3), "float32"), True, True),
        (lambda x: x + np.ones((1, 4, 3), "float32"), True, True),
        (lambda x: x + np.ones((2, 4, 3), "float32"), False, False),
        (lambda x: x * (x + 1.0) > 0.5, True, True),
        (lambda x: x @ np.ones((3, 3), "float32"), True, True),
        (lambda x: layers.Dense(2, activity_regularizer="l2")(x), True, True),
        (
            lambda x: layers.Dense(2, activity_regularizer=lambda y: y.max())(x),
            False,
            False,
        ),
        (lambda x: layers.Dropout(0.5, noise_shape=(6, 1, 1))(x), False, False),
    ],
)
def test_which_graphs_keep_examples_apart(
    function: Any, in_training: bool, in_inference: bool
) -> None:
    graph = _graph(function)
    assert splitting.keeps_examples_apart(graph, training=True) is in_training
    assert splitting.keeps_examples_apart(graph, training=False) is in_inference


def test_a_stateful_layer_is_not_cut() -> None:
    graph = _graph(lambda x: layers.LSTM(2, stateful=True)(x), batch=8)
    assert not splitting.keeps_examples_apart(graph, training=False)


def test_small_models_are_not_cut_and_large_ones_are() -> None:
    def count(model: Model, shape: tuple[int, ...], dtype: str = "float32") -> int:
        graph, x = model._graph, np.zeros(shape, dtype)
        cost = splitting.cost_of(graph, [x], training=True)
        return splitting.count_micro_batches(cost, len(x), training=True)

    def dense(*units: int) -> Model:
        x = h = Input((units[0],))
        for n in units[1:]:
            h = layers.Dense(n)(h)
        return Model(x, h)

    assert count(dense(2, 4, 1), (32, 2)) == 1
    assert count(dense(784, 128, 10), (32, 784)) == 1
    x = Input((28, 28, 1))
    conv = Model(x, layers.Conv2D(32, 3)(layers.Conv2D(32, 3)(x)))
    assert count(conv, (128, 28, 28, 1)) >= 2
    assert count(conv, (512, 28, 28, 1)) >= 8
    assert count(conv, (2, 28, 28, 1)) == 1
    x = Input((50, 8))  # the steps of a recurrent layer must not become too short
    assert count(Model(x, layers.LSTM(64)(x)), (64, 50, 8)) == 1
    assert count(Model(x, layers.LSTM(64)(x)), (1024, 50, 8)) >= 2
    both = layers.Bidirectional(layers.GRU(64))
    assert count(Model(x, both(x)), (64, 50, 8)) == 1
