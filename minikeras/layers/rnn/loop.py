"""Any cell, step by step over a time-major sequence, and back.

This is the plain version of what a cell may also do at once (`forward_sequence`).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.ops.rnn import select

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class LoopResiduals(NamedTuple):
    """Kept from a loop.

    Attributes:
        steps: what the cell kept at each step.
        mask: (T, N, 1) or None.
        output: the last output, for its shape.
        states: the last states, for their structure and shapes.
        bare_state: whether the cell returned its one new state outside of a list.
    """

    steps: list[Any]
    mask: np.ndarray | None
    output: np.ndarray
    states: list[Any]
    bare_state: bool


def step_keywords(cell: Any, training: bool, masks: Any) -> dict[str, Any]:
    """What a cell's `forward` takes besides the input and the states."""
    parameters = inspect.signature(cell.forward).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    keywords: dict[str, Any] = {}
    if takes_all or "training" in parameters:
        keywords["training"] = training
    if hasattr(cell, "draw_masks"):
        keywords["masks"] = masks
    return keywords


def draws_in_steps(cell: Any) -> bool:
    """Whether a step draws random numbers itself (a user's cell with a Dropout in it).

    `draw_masks` is for the others: they draw once, before the first step.
    """
    if hasattr(cell, "draw_masks"):
        return any(draws_in_steps(inner) for inner in getattr(cell, "cells", ()))
    return len(getattr(cell, "variables", ())) > len(getattr(cell, "weights", ()))


def loop_forward(
    cell: Any,
    x: np.ndarray,
    states: list[Any],
    *,
    mask: np.ndarray | None = None,
    training: bool = False,
    masks: Any = None,
    unroll: bool = False,
) -> tuple[tuple[list[np.ndarray], list[Any]], LoopResiduals]:
    """`(outputs, last states), residuals`.

    Args:
        cell: see `RNN` for what a cell is.
        x: (T, N, ...), time-major.
        states: the initial ones.
        mask: (T, N, 1). Where False, the output before is repeated (zeros at first) and
            the states stay.
        training, masks: passed to the cell.
        unroll: as the user asked for; decides only how often a cell draws.

    **Formula** `output[t], states[t+1] = where(mask[t], cell(x[t], states[t]),
    (output[t-1], states[t]))`
    """
    keywords = step_keywords(cell, training, masks)
    if training and not unroll and draws_in_steps(cell):
        # NB: Keras runs the first step twice, the first time to see the output's shape.
        # A cell that draws in its steps must draw as often.
        cell.forward(x[0], states, **keywords)
    outputs: list[np.ndarray] = []
    steps = []
    bare = False
    for t in range(len(x)):
        (output, new_states), kept = cell.forward(x[t], states, **keywords)
        bare = not tree.is_nested(new_states)
        new_states = [new_states] if bare else list(new_states)
        if mask is not None:
            held = outputs[-1] if outputs else np.zeros_like(output)
            output = select(mask[t], output, held)
            new_states = _map(
                lambda n, o, m=mask[t]: select(m, n, o), new_states, states
            )
        outputs.append(output)
        steps.append(kept)
        states = new_states
    return (outputs, states), LoopResiduals(steps, mask, outputs[-1], states, bare)


def loop_backward(
    cell: Any,
    d_outputs: Sequence[np.ndarray | None],
    d_states: list[Any],
    residuals: LoopResiduals,
    grads: Gradients,
) -> tuple[np.ndarray, list[Any]]:
    """`dx, d_initial_states`.

    Args:
        d_outputs: per step, the gradient of its output, or None for none.
        d_states: gradients of the last states, in their structure.

    **Gradient** Backpropagation through time. The states before a step were used by it,
    and, where it is masked, by the step after it; the output before a masked step was
    used again as its output.
    """
    steps, mask, output, states, bare = residuals
    zero = np.zeros_like(output)
    d_held = zero  # gradient of the output before a step, as used by the step
    dx: list[Any] = [None] * len(steps)
    for t in reversed(range(len(steps))):
        d_output = d_held if d_outputs[t] is None else d_outputs[t] + d_held
        d_held, d_past = zero, None
        if mask is not None:
            # in forward: output = where(mask, output, held), states likewise
            new, old = _splitter(mask[t])
            d_output, d_held = new(d_output), old(d_output)
            d_states, d_past = _map(new, d_states), _map(old, d_states)
        # in forward: output, new_states = cell(x[t], states)
        d_new_states = d_states[0] if bare else d_states
        dx[t], d_states = cell.backward((d_output, d_new_states), steps[t], grads)
        d_states = d_states if tree.is_nested(d_states) else [d_states]
        d_states = or_zeros(list(d_states), states)
        if d_past is not None:
            d_states = _map(np.add, d_states, d_past)
    return np.stack(dx), d_states


def _splitter(mask: np.ndarray) -> tuple[Any, Any]:
    """The gradients of `select(mask, new, old)` with respect to new and old."""
    return lambda d: select(mask, d, 0), lambda d: select(mask, 0, d)


def or_zeros(gradients: Any, like: Any) -> Any:
    """Zeros in the shape of `like` where a gradient is None, at any depth.

    >>> or_zeros([None, 3.0], [np.ones(2), 1.0])
    [array([0., 0.]), 3.0]
    """
    if gradients is None:
        return tree.map_structure(np.zeros_like, like)
    if tree.is_nested(like):
        return [or_zeros(d, x) for d, x in zip(gradients, like, strict=True)]
    return gradients


def _map(function: Any, *structures: Any) -> Any:
    """`tree.map_structure` that does not tell lists from tuples."""
    if tree.is_nested(structures[0]):
        return [_map(function, *parts) for parts in zip(*structures, strict=True)]
    return function(*structures)
