"""The way through time of a cell with one state h, and back: GRU and SimpleRNN.

Time-major, every step a slice of one block. The step itself is a function, so that the
formulas of a cell are written once and serve one step and a whole sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def run_steps(
    step: Callable[[int, np.ndarray, np.ndarray], None],
    steps: int,
    h0: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """All states: (T + 1, N, units), h[0] before the first step, h[t + 1] after step t.

    Args:
        step: `step(t, h_prev, h)` writes the state after step t to h.
        steps: T.
        h0: (N, units), the initial state.
        mask: (T, N, 1), booleans: where False, the state passes through unchanged.

    **Formula** `h[t + 1] = where(mask[t], step(t, h[t]), h[t])`

    >>> run_steps(lambda t, h_prev, h: np.add(h_prev, t, out=h), 3, np.ones((1, 1)))
    array([[[1.]],
    <BLANKLINE>
           [[1.]],
    <BLANKLINE>
           [[2.]],
    <BLANKLINE>
           [[4.]]])
    """
    h = np.empty((steps + 1, *h0.shape), h0.dtype)
    h[0] = h0
    skipped = None if mask is None else ~mask
    for t in range(steps):
        step(t, h[t], h[t + 1])
        if skipped is not None:
            np.copyto(h[t + 1], h[t], where=skipped[t])
    return h


def run_steps_back(
    step_back: Callable[[int, np.ndarray], np.ndarray],
    dh_steps: np.ndarray | Sequence[np.ndarray | None],
    dh: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """The gradient of `run_steps`: backpropagation through time.

    Args:
        step_back: `step_back(t, dh)` is the gradient of step t: what dh, the gradient
            of the state after it, says of the state before it.
        dh_steps: for each step, the gradient that arrives at h[t + 1] from outside,
            (N, units), or None for none.
        dh: (N, units), the gradient of the last state.
        mask: as in `run_steps`.

    Returns:
        dh0.

    **Gradient** h[t + 1] was used outside and by the next step: the two add. Where a
    step is masked, dh goes past it to h[t], and the step itself gets 0.
    """
    for t in reversed(range(len(dh_steps))):
        if dh_steps[t] is not None:
            dh = dh + dh_steps[t]
        if mask is None:
            dh = step_back(t, dh)
            continue
        # in forward: h[t + 1] = where(mask[t], step(t, h[t]), h[t])
        past = np.where(mask[t], 0, dh)
        dh = step_back(t, np.where(mask[t], dh, 0)) + past
    return dh


def activate(function: Any, block: np.ndarray) -> Any:
    """Replaces z by `function(z)` in place; returns what the gradient needs.

    `function` is an activation with `forward` and `backward`.
    """
    # A copy, since the residuals may hold their input.
    block[...], kept = function.forward(block.copy())
    return kept


def rows_sum(dz: np.ndarray) -> np.ndarray:
    """The sum over all axes but the last: the gradient of a bias."""
    return dz.reshape(-1, dz.shape[-1]).sum(axis=0)
