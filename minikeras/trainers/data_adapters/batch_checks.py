"""What is asked of a batch that a generator or a `PyDataset` hands over."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import tree
from minikeras.trainers.data_adapters import arrays

# Keras looks at this many batches, before the first epoch, to learn their ranks.
PEEKED_BATCHES = 2


def to_numpy(batch: Any) -> Any:
    """The batch with every leaf as a NumPy array; None stays. Dtypes are kept."""

    def convert(leaf: Any) -> np.ndarray | None:
        if leaf is None:
            return None
        array = np.asarray(leaf)
        if array.ndim == 0:
            raise ValueError(
                "When passing a dataset to a Keras model, the arrays must be at least "
                f"rank 1. Received: {leaf!r} of rank 0. (A Python list is read as "
                "several inputs: pass `np.array(...)`.)"
            )
        return arrays.as_array(array, "the batch")

    return tree.map_structure(convert, batch)


def check_alike(batches: list[Any]) -> None:
    """Raises ValueError unless all batches have one structure, with equal ranks."""
    for other in batches[1:]:
        if not tree.same_structure(batches[0], other):
            raise ValueError(
                "When passing a dataset to a Keras model, all batches must have the "
                f"same structure. Received: {_outline(batches[0])} and then "
                f"{_outline(other)}"
            )
        pairs = zip(tree.flatten(batches[0]), tree.flatten(other), strict=True)
        for a, b in pairs:
            if a is not None and b is not None and a.ndim != b.ndim:
                raise ValueError(
                    "When passing a dataset to a Keras model, the corresponding arrays "
                    "in each batch must have the same rank. Received: shapes "
                    f"{a.shape} and {b.shape}"
                )


def _outline(batch: Any) -> Any:
    return tree.map_structure(lambda a: None if a is None else a.shape, batch)
