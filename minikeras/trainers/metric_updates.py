"""Metrics that a traced `compute_loss` updates: noted down, done at every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from minikeras import tree
from minikeras.symbolic import KerasTensor, is_keras_tensor


class MetricUpdates:
    """The calls of `update_state` in a `compute_loss`.

    Args:
        model: the model whose metrics they are, and those of its layers.

    Attributes:
        tensors: the symbolic tensors among the arguments of the calls.
    """

    def __init__(self, model: Any):
        layers = (model, *model._all_sublayers())
        own = [metric for layer in layers for metric in layer._metrics]
        self._metrics = {id(m): m for m in [*own, *model.metrics]}.values()
        self._calls: list[tuple[Any, tuple, dict[str, Any]]] = []

    @property
    def tensors(self) -> list[KerasTensor]:
        """In the order of the calls."""
        leaves = tree.flatten([[args, kwargs] for _, args, kwargs in self._calls])
        return [leaf for leaf in leaves if is_keras_tensor(leaf)]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Within it the metrics note their updates."""

        def noting(metric: Any) -> Any:
            def update_state(*args: Any, **kwargs: Any) -> None:
                self._calls.append((metric, args, kwargs))

            return update_state

        def result(*_: Any) -> NoReturn:
            raise NotImplementedError(
                "A metric's `result()` is not known while `compute_loss` is traced. "
                "Update it there, and read it in `compute_metrics` or a callback."
            )

        for metric in self._metrics:
            metric.__dict__.update(update_state=noting(metric), result=result)
        try:
            yield
        finally:
            for metric in self._metrics:
                del metric.__dict__["update_state"], metric.__dict__["result"]

    def run(self, values: list[Any]) -> None:
        """Does the updates, with `values` in the place of `tensors`."""
        rest = iter(values)
        for metric, args, kwargs in self._calls:
            args, kwargs = tree.map_structure(
                lambda leaf: next(rest) if is_keras_tensor(leaf) else leaf,
                [args, dict(sorted(kwargs.items()))],
            )
            metric.update_state(*args, **kwargs)
