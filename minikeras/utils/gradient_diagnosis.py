"""What a wrong gradient looks like, given the right one from differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.utils.gradient_problems import LayerProblem, Problem

_MOST_NUMBERS = 1000  # of an array whose every derivative is computed
# A derivative from six points, to order 6: right to about 1e-11, where two points give
# 1e-9, which is too little to tell one mistake from another.
_POINTS = ((1, 45 / 60), (2, -9 / 60), (3, 1 / 60))
_STEP = 2e-3
_BLOCKS = {4: ("i", "f", "c", "o"), 3: ("z", "r", "h")}


def diagnose(problem: Problem, name: str, answer: Any, size: float) -> str:
    """What the mistake looks like; "" if it looks like nothing known.

    Args:
        problem: what was checked.
        name: of the array.
        answer: its gradient from backward, of any shape; None if there was none.
        size: a typical size of the array's numbers, for the step.
    """
    # The same that the exercises say.
    from minikeras.teach.exercises.diagnoses import Context, explanations, where

    if answer is None:
        return (
            "There is no gradient: backward returned nothing for it, or added nothing "
            "to `grads`."
        )
    array = problem.arrays[name]
    if array.size > _MOST_NUMBERS:
        if answer.shape != array.shape:
            return f"Its shape is {np.shape(answer)}, and must be {array.shape}."
        return ""
    truth = _derivatives(problem, name, _STEP * size)
    context = Context(
        f"the gradient of {name}",
        _sizes(problem),
        _blocks(problem, name),
        {"the gradient of the output, as it came": problem.w},
    )
    found = next(explanations(answer, truth, context), None)
    return found or where(answer, truth, context) or ""


def _derivatives(problem: Problem, name: str, h: float) -> np.ndarray:
    """Along every number of an array."""
    array = problem.arrays[name]
    result = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        total = 0.0
        for k, weight in _POINTS:
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * k * h
                value = float(problem.value(problem.arrays | {name: moved}))
                total += sign * weight * value
        result[index] = total / h
    return result


def _sizes(problem: Problem) -> dict[str, int]:
    """What a factor may be: the number of examples, and of what follows."""
    first = next(iter(problem.arrays.values()))
    if isinstance(problem, LayerProblem):
        given = problem.given[problem.first]
        first = given if isinstance(given, np.ndarray) else first
    sizes = {}
    if first.ndim:
        sizes["the number of examples"] = first.shape[0]
    if first.ndim == 3:
        sizes["the number of steps"] = first.shape[1]
    if isinstance(problem.w, np.ndarray) and problem.w.ndim > 1:
        sizes["the size of the output's last axis"] = problem.w.shape[-1]
    return sizes


def _blocks(problem: Problem, name: str) -> tuple[str, ...]:
    """The gates on the last axis of a recurrent layer's weight."""
    layer = getattr(problem, "layer", None)
    units = getattr(layer, "units", None)
    if name not in getattr(problem, "variables", ()) or not hasattr(layer, "cell"):
        return ()
    return _BLOCKS.get(problem.arrays[name].shape[-1] // units, ()) if units else ()
