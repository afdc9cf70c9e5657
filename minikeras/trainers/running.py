"""What stays the same from batch to batch while `fit`, `evaluate` or `predict` runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minikeras.graph import Graph
from minikeras.threads import one_blas_thread, workers
from minikeras.trainers import splitting
from minikeras.trainers.splitting import Cut

_thread = threading.local()

# Batches of fewer examples are never cut.
FEWEST_TO_CUT = 4


class Run:
    """The plans for one model, made when first needed.

    Walking a model's layers takes longer than a small step. What `compile` and the
    first step have found holds until the next `compile`, as in Keras.
    """

    def __init__(self, model: Any):
        self.model = model
        self.forget()

    def forget(self) -> None:
        """Makes the plans anew when they are needed again."""
        self._trainable: list[Any] | None = None
        self._penalized: list[Any] | None = None
        self._metrics: list[Any] | None = None
        self._cuts: dict[Any, tuple[Graph, Cut | None]] = {}

    @property
    def trainable(self) -> list[Any]:
        """The variables a step changes."""
        if self._trainable is None:
            self._trainable = self.model.trainable_variables
        return self._trainable

    @property
    def penalized(self) -> list[Any]:
        """Those of them that have a regularizer."""
        if self._penalized is None:
            found = [v for v in self.trainable if v.regularizer is not None]
            self._penalized = found
        return self._penalized

    @property
    def metrics(self) -> list[Any]:
        """The model's metrics."""
        if self._metrics is not None:
            return self._metrics
        metrics, loss = self.model.metrics, self.model._compile_loss
        if loss is None or loss.built:  # the first step makes those of single losses
            self._metrics = metrics
        return metrics

    def cut(self, graph: Graph, inputs: list[Any], training: bool) -> Cut | None:
        """How to cut a batch of inputs into micro-batches; None if it is not to be."""
        first = inputs[0]
        if first is None or len(first) < FEWEST_TO_CUT:
            return None
        key = (id(graph), training, *[None if x is None else x.shape for x in inputs])
        if key not in self._cuts:
            found = splitting.micro_batches(graph, inputs, training)
            self._cuts[key] = (graph, found)  # the graph, lest another gets its id
        return self._cuts[key][1]


@contextmanager
def keeping(run: Run) -> Iterator[None]:
    """Within it this thread uses the plans of `run` for its model."""
    before = getattr(_thread, "run", None)
    _thread.run = run
    try:
        with workers():
            yield
    finally:
        _thread.run = before


@contextmanager
def running(model: Any, run: Run | None = None) -> Iterator[None]:
    """Around the steps of an epoch: plans are kept (in `run`), BLAS has one thread, and
    helpers started by the steps end with it, unless an outer block keeps them."""
    with keeping(run or Run(model)), one_blas_thread():
        yield


def run_of(model: Any) -> Run:
    """The run this thread is in; outside of one, or for another model, a new one."""
    run = getattr(_thread, "run", None)
    return run if run is not None and run.model is model else Run(model)
