"""A chain of layers runs without looking anything up, and as any other graph does."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given

import minikeras
from minikeras import Input, Model, Sequential, layers
from minikeras.gradients import Gradients
from parity_tests.architectures import Architecture
from parity_tests.drawn_architectures import sequentials
from parity_tests.strategies import seeds
from parity_tests.tolerance import assert_equal

half = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 2)


def _graph(model: Any) -> Any:
    return (getattr(model, "_functional", None) or model)._graph


def _passes(model: Any, x: np.ndarray, chain: bool, need_dx: bool) -> list[Any]:
    """Everything that a forward and a backward give."""
    graph = _graph(model)
    graph._is_chain = chain
    for variable in model.variables:  # the same draws
        if variable.dtype == "int64":
            variable.assign([1, 0])
    moving = {v: v.numpy() for v in model.non_trainable_weights}
    (y,), residuals = graph.forward([x], training=True)
    dy = np.random.default_rng(0).normal(size=y.shape).astype(y.dtype)
    (z,) = residuals.output_logits
    dlogits = (None,) if z is None else (dy * np.asarray(2, dy.dtype),)
    grads = Gradients(model.trainable_variables)
    residuals = residuals._replace(dlogits=dlogits)
    (dx,) = graph.backward([dy], residuals, grads, need_dx)
    found = [y, residuals.activity_loss, residuals.output_masks == [None], dx]
    found += [z and z.z, *[grads.get(v) for v in model.trainable_variables]]
    for variable, value in moving.items():
        variable.assign(value)
    return found


def _assert_alike(model: Any, x: np.ndarray, need_dx: bool = True) -> None:
    fast, plain = (_passes(model, x, chain, need_dx) for chain in (True, False))
    for a, b in zip(fast, plain, strict=True):
        if hasattr(b, "dense"):
            a, b = a.dense(), b.dense()
        assert_equal(a, b)


@half
@given(make=sequentials(), seed=seeds())
def test_drawn_chains(make: Architecture, seed: int) -> None:
    model = make(minikeras)
    if _graph(model)._is_chain:
        x, _ = make.data(4, seed, "float32")
        _assert_alike(model, x, need_dx=seed % 2 == 0)


@pytest.mark.parametrize("frozen", range(4))
def test_frozen_layers_end_it(frozen: int) -> None:
    stack = [layers.Dense(3), layers.Dropout(0.5), layers.Dense(2, "sigmoid")]
    model = Sequential([Input((4,)), *stack])
    for layer in stack[:frozen]:
        layer.trainable = False
    assert _graph(model)._is_chain
    x = np.ones((3, 4), "float32")
    _assert_alike(model, x, need_dx=False)
    _assert_alike(model, x, need_dx=True)


def _branched() -> Model:
    x = Input((4,))
    h = layers.Dense(4)(x)
    return Model(x, h + layers.Dense(4)(h))


def _two_outputs() -> Model:
    x = Input((4,))
    h = layers.Dense(4)(x)
    return Model(x, [h, layers.Dense(2)(h)])


def _nested() -> Model:
    return Sequential([Input((4,)), Sequential([layers.Dense(2)]), layers.Dense(1)])


def _masked() -> Model:
    stack = [layers.Masking(), layers.LSTM(2)]
    return Sequential([Input((4, 2)), *stack])


@pytest.mark.parametrize("make", [_branched, _two_outputs, _nested, _masked])
def test_other_graphs_are_no_chains(make: Any) -> None:
    assert not _graph(make())._is_chain


def test_penalties_are_not_forgotten() -> None:
    model = Sequential([Input((4,)), layers.Dense(3, activity_regularizer="l2")])
    assert _graph(model)._is_chain
    x = np.ones((3, 4), "float32")
    _assert_alike(model, x)
    _, residuals = _graph(model).forward([x], training=True)
    assert residuals.activity_loss > 0
