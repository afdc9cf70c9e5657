"""Class labels as one-hot rows, and rows of length one."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Integer labels as one-hot vectors.

    Args:
        x: array of class indices, of any shape; a last axis of size 1 is dropped.
        num_classes: the number of classes; the largest label plus one by default.

    Returns:
        Array of shape `x.shape + (num_classes,)`, dtype float64.

    >>> to_categorical([0, 2], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = np.asarray(x)
    if labels.size and np.any(labels != np.floor(labels)):
        raise ValueError(
            "`to_categorical` expects integer labels. Received values such as "
            f"{labels[labels != np.floor(labels)].flat[0]}"
        )
    labels = labels.astype("int64")
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    labels = labels.reshape(-1)
    if num_classes is None:
        if not labels.size:
            raise ValueError("`num_classes` is needed when there are no labels.")
        num_classes = int(labels.max()) + 1
    if labels.size and not (0 <= labels.min() and labels.max() < num_classes):
        raise ValueError(
            f"Labels must lie in [0, {num_classes}). Received: labels from "
            f"{labels.min()} to {labels.max()}"
        )
    one_hot = np.zeros((labels.size, num_classes))
    one_hot[np.arange(labels.size), labels] = 1
    return one_hot.reshape(*shape, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """`x` divided by its norms along `axis`; zero rows stay zero.

    >>> normalize([[3.0, 4.0]])
    array([[0.6, 0.8]])
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"`order` must be an int >= 1. Received: {order}")
    array = np.atleast_1d(np.asarray(x))
    norms = np.atleast_1d(np.linalg.norm(array, order, axis))
    norms[norms == 0] = 1
    return array / np.expand_dims(norms, axis)
