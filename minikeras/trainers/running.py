"""What stays the same from batch to batch while `fit`, `evaluate` or `predict` runs."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minikeras.graph import Graph
from minikeras.threads import one_blas_thread, workers
from minikeras.trainers import splitting
from minikeras.trainers.splitting import Cut

_thread = threading.local()


class Run:
    """The plans for one model, made when first needed.

    Walking a model's layers takes longer than a small step. But a callback may freeze a
    layer, so plans hold for one epoch.
    """

    def __init__(self, model: Any):
        self.model = model
        self._cuts: dict[Any, tuple[Graph, Cut | None]] = {}

    @functools.cached_property
    def trainable(self) -> list[Any]:
        """The variables a step changes."""
        return self.model.trainable_variables

    @functools.cached_property
    def penalized(self) -> list[Any]:
        """Those of them that have a regularizer."""
        return [v for v in self.trainable if v.regularizer is not None]

    @functools.cached_property
    def metrics(self) -> list[Any]:
        """The model's metrics; asked for when a step has made them all."""
        return self.model.metrics

    def cut(self, graph: Graph, inputs: list[Any], training: bool) -> Cut | None:
        """How to cut a batch of inputs into micro-batches; None if it is not to be."""
        first = inputs[0]
        if first is None or len(first) < 4:
            return None
        key = (id(graph), training, *[None if x is None else x.shape for x in inputs])
        if key not in self._cuts:
            found = splitting.micro_batches(graph, inputs, training)
            self._cuts[key] = (graph, found)  # the graph, lest another gets its id
        return self._cuts[key][1]


@contextmanager
def running(model: Any) -> Iterator[Run]:
    """Around the steps of an epoch: plans are kept, BLAS has one thread, and helpers
    started by the steps end with it, unless an outer block keeps them."""
    before = getattr(_thread, "run", None)
    _thread.run = run = Run(model)
    try:
        with one_blas_thread(), workers():
            yield run
    finally:
        _thread.run = before


def run_of(model: Any) -> Run:
    """The run this thread is in; outside of one, or for another model, a new one."""
    run = getattr(_thread, "run", None)
    return run if run is not None and run.model is model else Run(model)
