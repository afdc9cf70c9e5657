"""What Maximum and Minimum share: one input wins, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras.layers.merging.base_merge import Merge, MergeResiduals
from minikeras.ops.merge import extremum, extremum_grad


class Extremum(Merge):
    """A subclass says which of two elements it takes, and when the first one wins."""

    records_mask = False  # in a graph masks travel beside the values
    _choose: Callable[..., np.ndarray] = np.maximum
    _first_wins: Callable[..., np.ndarray] = np.greater_equal

    def forward(
        self, inputs: Any, *, mask: Any = None
    ) -> tuple[np.ndarray, MergeResiduals]:
        """The largest or smallest elements."""
        return self._run(inputs, mask)

    def _merge(
        self, xs: list[np.ndarray], masks: list[Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        return extremum(xs, self._choose, self._first_wins, masks)

    def _merge_grad(
        self, dy: np.ndarray, kept: np.ndarray, shapes: list[tuple[int, ...]]
    ) -> Sequence[np.ndarray]:
        return extremum_grad(dy, kept, shapes)
