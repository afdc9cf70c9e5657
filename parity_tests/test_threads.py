"""Threads in `fit`: errors surface, none stay, fits may nest and run side by side."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import minikeras
from minikeras import Input, Model, Sequential, layers, threads
from minikeras.callbacks import LambdaCallback
from minikeras.threads import Pool
from parity_tests.micro_batch_runs import (
    Apart,
    convolutional,
    cut_into,
    data,
    noisy,
    on_threads,
    vectors,
)
from parity_tests.tolerance import assert_equal


class Failing(layers.Layer):
    """Fails in a thread of its choice."""

    couples_examples = False

    class Trouble(Exception):
        pass

    def forward(self, x: Any) -> tuple[Any, None]:
        if (x > 100).any():
            raise Failing.Trouble("here")
        return x, None

    def backward(self, dy: Any, residuals: None, grads: Any) -> Any:
        return dy


def _ours() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("minikeras")]


@pytest.mark.parametrize("row", [0, 6, 11])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch"])
def test_an_error_in_a_part_reaches_the_caller(method: str, row: int) -> None:
    x, y = vectors(), vectors(size=2)
    model = Sequential([Input((6,)), Failing(), layers.Dense(2)])
    model.compile("sgd", "mse")
    arguments = (x.copy(),) if method == "predict" else (x.copy(), y)
    arguments[0][row] = 1000
    options = {} if method == "train_on_batch" else {"verbose": 0}
    with cut_into(4) as cuts, on_threads(3):
        before = model.get_weights()
        with pytest.raises(Failing.Trouble, match="here"):
            getattr(model, method)(*arguments, **options)
        assert cuts and not _ours()
        for a, b in zip(model.get_weights(), before, strict=True):
            assert_equal(a, b)
        model.fit(x, y, verbose=0)  # and all is well
    assert not _ours()


def test_threads_are_there_in_fit_and_gone_after_it() -> None:
    seen: set[str] = set()

    class Spy(Apart):
        def forward(self, x: Any) -> tuple[Any, None]:
            seen.add(threading.current_thread().name)
            parts.wait(timeout=10)  # both threads are in here at once
            return x, None

    parts = threading.Barrier(2)
    model = Sequential([Input((6,)), Spy(), layers.Dense(2)])
    model.compile("sgd", "mse")
    with cut_into(2), on_threads(2):
        model.fit(vectors(), vectors(size=2), verbose=0)
    assert len(seen) == 2 and not _ours()


def test_fits_within_fits() -> None:
    def trained(nested: bool) -> list[np.ndarray]:
        minikeras.utils.set_random_seed(1)
        inner, outer = convolutional(), convolutional()
        for model in (inner, outer):
            model.compile("adam", "sparse_categorical_crossentropy")
        x, y = data(convolutional)

        def between(batch: int, logs: Any) -> None:
            inner.fit(x, y, verbose=0)
            outer.evaluate(x, y, verbose=0)
            outer.predict(x, verbose=0)

        hooks = [LambdaCallback(on_train_batch_end=between)] if nested else []
        outer.fit(x, y, batch_size=6, epochs=2, verbose=0, callbacks=hooks)
        return outer.get_weights()

    with cut_into(3), on_threads(2):
        for a, b in zip(trained(True), trained(False), strict=True):
            assert_equal(a, b)
    assert not _ours()


def test_fits_beside_each_other() -> None:
    def fit_one(i: int, results: dict[int, Any]) -> None:
        x, y = vectors(seed=i), vectors(size=2, seed=i + 10)
        models[i].fit(x, y, batch_size=6, epochs=5, verbose=0)
        results[i] = [*models[i].get_weights(), models[i].predict(x, verbose=0)]

    def all_results(at_once: bool) -> dict[int, Any]:
        minikeras.utils.set_random_seed(5)
        models[:] = [noisy() for _ in range(4)]
        results: dict[int, Any] = {}
        for model in models:
            model.compile("adam", "mse")
        runs = [threading.Thread(target=fit_one, args=(i, results)) for i in range(4)]
        for thread in runs:
            thread.start()
            if not at_once:
                thread.join()
        for thread in runs:
            thread.join()
        return results

    models: list[Model] = []
    with cut_into(3), on_threads(2):
        together, alone = all_results(True), all_results(False)
    for i in range(4):
        for a, b in zip(together[i], alone[i], strict=True):
            assert_equal(a, b)
    assert not _ours()


def test_a_pool_keeps_order_and_stops_at_the_first_error() -> None:
    began: list[int] = []

    def work(i: int) -> int:
        began.append(i)
        if i in (3, 5):
            raise KeyError(i)
        return i * i

    pool = Pool(3)
    assert pool.map(lambda i: i * i, range(50)) == [i * i for i in range(50)]
    with pytest.raises(KeyError, match="3"):
        pool.map(work, range(1000))
    assert len(began) < 20
    pool.close()
    assert not _ours()


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads(count: Any) -> None:
    with pytest.raises(ValueError, match="positive integer"):
        minikeras.config.set_num_threads(count)


def test_the_number_of_threads() -> None:
    before = threads._num_threads
    minikeras.config.set_num_threads(3)
    assert minikeras.config.num_threads() == 3
    minikeras.config.set_num_threads(None)
    assert minikeras.config.num_threads() >= 1
    threads._num_threads = before
