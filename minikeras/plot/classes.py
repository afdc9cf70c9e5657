"""Which class was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikeras.plot.canvas import numbers, one
from minikeras.plot.images import WRITTEN, draw, write_numbers


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[str] | None = None,
    normalize: bool = False,
    ax: Any = None,
) -> Any:
    """How often each true class was given each predicted class.

    Args:
        y_true: classes as integers, or one-hot rows.
        y_pred: classes as integers, or a model's output: a row of scores for each
            example (the highest wins), or one probability (0.5 and above is class 1).
        labels: the names of the classes; their numbers by default.
        normalize: whether to draw shares of each row instead of counts.
        ax: matplotlib's Axes; new ones by default.

    Returns:
        The Axes. What is right is on the diagonal; the title gives its share.

    >>> ax = confusion_matrix([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> ax.images[0].get_array().tolist(), ax.get_title()
    ([[1, 0], [1, 1]], '2 of 3 right (66.7 %)')
    """
    true, predicted = _classes(y_true, "y_true"), _classes(y_pred, "y_pred")
    if len(true) != len(predicted) or not len(true):
        raise ValueError(
            "`y_true` and `y_pred` must have one entry for each example, and there "
            f"must be some. Received: {len(true)} and {len(predicted)}"
        )
    wide = max(np.shape(y)[1] if np.ndim(y) == 2 else 0 for y in (y_true, y_pred))
    n = max(int(max(true.max(), predicted.max())) + 1, wide, len(labels or ()), 2)
    if labels is not None and len(labels) != n:
        raise ValueError(
            f"`labels` must have one name for each of the {n} classes. Received: "
            f"{list(labels)}"
        )
    counts = np.zeros((n, n), np.int64)
    np.add.at(counts, (true, predicted), 1)
    shown = counts
    if normalize:
        shown = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(0.5 * n + 1.6, 3.6), 9.0)
    ax = one(ax, (side + 0.9, side))
    image = draw(ax, shown, (0, max(float(shown.max()), 1e-12), "Blues"))
    if shown.size <= WRITTEN:
        write_numbers(ax, shown, image, 2)
    if n <= 30 or labels is not None:
        ticks = labels if labels is not None else [str(k) for k in range(n)]
        long = max(map(len, ticks)) > 3
        ax.set_xticks(range(n), ticks, rotation=45 if long else 0, ha="right" if long
                      else "center")  # fmt: skip
        ax.set_yticks(range(n), ticks)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_aspect("equal")
    right = int(np.trace(counts))
    ax.set_title(f"{right:,} of {len(true):,} right ({right / len(true):.1%})".replace(
        "%)", " %)"))  # fmt: skip
    label = "share of the true class" if normalize else "number of examples"
    ax.get_figure().colorbar(image, ax=ax, label=label)
    return ax


def _classes(y: Any, name: str) -> np.ndarray:
    """One class for each example, from any of the usual forms."""
    y = numbers(y, name)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]  # (N, 1) -> (N,)
    elif y.ndim == 2:
        return y.argmax(axis=1)  # one-hot rows or scores: (N, C) -> (N,)
    if y.ndim != 1:
        raise ValueError(
            f"`{name}` must be one class, or one row of scores, for each example. "
            f"Received: shape {y.shape}"
        )
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        if y.min() < 0 or y.max() > 1:
            raise ValueError(
                f"`{name}` must be classes (0, 1, 2, ...) or probabilities. Received: "
                f"values from {y.min():.3g} to {y.max():.3g}"
            )
        if name == "y_true":
            raise ValueError(
                "`y_true` must be classes: 0, 1, 2, ... or one-hot rows. Received: "
                f"fractions, such as {y[y != np.round(y)][0]:.3g}"
            )
        return (y >= 0.5).astype(np.int64)
    if (y < 0).any():
        raise ValueError(f"Classes count from 0. Received: {int(y.min())} in `{name}`")
    return y.astype(np.int64)
