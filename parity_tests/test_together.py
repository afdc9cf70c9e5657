"""Work of one step on two threads: the same numbers as on one, and as in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import Input, Sequential, layers, threads
from minikeras.ops import lstm_fused, products, rnn
from parity_tests.micro_batch_runs import on_threads
from parity_tests.tolerance import assert_close, assert_equal, assert_run_close


def _share_all(monkeypatch: Any) -> None:
    for module in (threads, products, rnn):
        monkeypatch.setattr(module, "WORTH_SHARING", 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 4, 7), (1, 3, 2), (8, 1, 1), (0, 2, 3)])
def test_halves(shape: tuple, dtype: str, monkeypatch: Any) -> None:
    m, k, n = shape
    rng = np.random.default_rng(m)
    a, b = (rng.normal(size=s).astype(dtype) for s in [(m, k), (k, n)])
    whole = products.matmul_tall(a, b)
    _share_all(monkeypatch)
    for count in (1, 2):
        with on_threads(count), threads.workers():
            found = products.matmul_tall(a, b)
        assert_close(found, whole, k=k, scale=np.abs(a) @ np.abs(b))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_lstm_trains_the_same(dropout: float, monkeypatch: Any) -> None:
    x = np.random.default_rng(0).integers(0, 9, (6, 5)).astype("int32")
    y = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")

    def run() -> list[np.ndarray]:
        minikeras.utils.set_random_seed(1)
        lstm = layers.LSTM(4, dropout=dropout, return_sequences=True)
        stack = [Input((5,), dtype="int32"), layers.Embedding(9, 3), lstm]
        model = Sequential([*stack, layers.LSTM(3), layers.Dense(2)])
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=3, epochs=2, verbose=0)
        return model.get_weights()

    plain = run()
    _share_all(monkeypatch)
    found = []
    for count in (1, 2):
        with on_threads(count):
            found.append(run())
    for one, two, whole in zip(*found, plain, strict=True):
        assert_equal(one, two)
        assert_run_close(one, whole, "float32", name="weights")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_that_vanish_become_zero_not_denormal(dtype: str) -> None:
    steps, n, units = 3000, 2, 3
    z = np.zeros((steps, n, 4 * units), dtype)  # all gates 1/2: a half at each step
    zeros, kernel = np.zeros((n, units), dtype), np.zeros((units, 4 * units), dtype)
    kept = lstm_fused.fused_sequence(z, zeros, zeros + 1, kernel)
    dh = np.random.default_rng(0).normal(size=(n, units)).astype(dtype)
    dz, _, dc = lstm_fused.fused_sequence_grad([None] * steps, dh, dh, kept, kernel)
    tiny = np.finfo(dtype).tiny
    assert not ((dz != 0) & (np.abs(dz) < tiny)).any()
    assert not dc.any() and dz[-1].any()


def test_an_error_reaches_the_caller() -> None:
    def fails() -> None:
        raise KeyError("here")

    with on_threads(2), threads.workers(), pytest.raises(KeyError, match="here"):
        threads.together(lambda: 1, fails, operations=1e12)
