"""Quantiles of data that comes in batches, from a summary of bounded size.

A summary is an array (2, n): sorted values, and how many numbers each stands for.
"""

from __future__ import annotations

import numpy as np


def summarize(values: np.ndarray, epsilon: float) -> np.ndarray:
    """The summary of one batch, of about 1 / epsilon values at equal distances.

    >>> summarize(np.array([3.0, 1.0, 2.0]), 0.01)
    array([[1., 2., 3.],
           [1., 1., 1.]])
    """
    values = np.sort(values, axis=None)
    step = max(values.size * epsilon, 1)
    chosen = values[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def merge(a: np.ndarray, b: np.ndarray, epsilon: float) -> np.ndarray:
    """One summary for the data of both."""
    both = np.concatenate([a, b], axis=1)
    return compress(both[:, np.argsort(both[0])], epsilon)


def compress(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of 1 / epsilon values that each stand for equally many numbers.

    They are found by linear interpolation between the cumulated weights. Summaries that
    are already as small stay as they are.
    """
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    values = np.interp(shares, weights / weights[-1], summary[0])
    weights = np.interp(shares, weights / weights[-1], weights)
    return np.stack([values, np.diff(weights, prepend=0)]).astype("float32")


def boundaries(summary: np.ndarray, bins: int) -> np.ndarray:
    """The values that cut the data into `bins` parts of equal size."""
    return compress(summary, 1.0 / bins)[0, :-1]
