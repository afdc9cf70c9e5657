"""Which layers are trained: what `fit` found at its first step, until `compile`.

NB: Keras compiles its training step when it is first run and does not look at
`trainable` again before `compile` is called. `fit` and `train_on_batch` have a compiled
step each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class TrainableState:
    """The `trainable` flags of a model's layers and variables at one moment."""

    def __init__(self, model: Any):
        self.layers = [(x, x._trainable) for x in (model, *model._all_sublayers())]
        self.variables = [(v, v.trainable) for v in model.variables]

    def changed(self) -> list[str]:
        """The names of the layers and variables whose flags are others now."""
        layers = [x.name for x, flag in self.layers if x._trainable != flag]
        return layers or [v.path for v, flag in self.variables if v.trainable != flag]

    def held(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`step`, with these flags while it runs."""

        def held_step(data: Any) -> Any:
            with self._in_force():
                return step(data)

        return held_step

    @contextmanager
    def _in_force(self) -> Iterator[None]:
        layers = [(x, x._trainable) for x, _ in self.layers]
        # Variables made since, by a model built at its first step, go by their layer.
        known = {id(v) for v, _ in self.variables}
        wanted = list(self.variables)
        for layer, flag in self.layers:
            wanted += [
                (v, flag) for v in layer._trainable_variables if id(v) not in known
            ]
        variables = [(v, v.trainable) for v, _ in wanted]
        try:
            _set(self.layers, wanted)
            yield
        finally:
            _set(layers, variables)


def _set(layers: list[tuple[Any, bool]], variables: list[tuple[Any, bool]]) -> None:
    for layer, flag in layers:
        object.__setattr__(layer, "_trainable", flag)
    for variable, flag in variables:
        variable.trainable = flag
