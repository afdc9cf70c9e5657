"""What a wrong array looks like: candidates made of the right one, and compared.

Each function takes the answer, the truth and a `Context`, and returns a sentence, or
None if that is not it. They know nothing of any exercise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CLOSE = 1e-9  # of the largest number; the arrays are small, and of float64
_MOST_BLOCKS = 4


@dataclass(frozen=True)
class Context:
    """What else is known of an array.

    Attributes:
        name: such as `"dkernel"`.
        sizes: what a size is -> the size.
        blocks: names of the blocks of its last axis.
        others: the other right results by their names, and the inputs.
    """

    name: str
    sizes: dict[str, int] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    others: dict[str, np.ndarray] = field(default_factory=dict)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same up to rounding, in shape too.

    >>> close(np.array([1.0]), np.array([1.0 + 1e-12])), close(np.ones(1), np.ones(2))
    (True, False)
    """
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    with np.errstate(all="ignore"):
        return bool(np.abs(a - b).max() <= CLOSE * max(np.abs(b).max(), 1e-30))


# --- Not an array of the right kind ---------------------------------------------------


def nothing(answer: Any, truth: np.ndarray, context: Context) -> str | None:
    """None instead of an array."""
    if answer is not None:
        return None
    return (
        f"There is no {context.name}: nothing was returned for it, or nothing was "
        "added to `grads`."
    )


def no_array(answer: Any, truth: np.ndarray, context: Context) -> str | None:
    """A list, or an array of something else."""
    if as_numbers(answer) is not None:
        return None
    if isinstance(answer, np.ndarray):
        return f"It is an array of {answer.dtype}, and must be one of {truth.dtype}."
    return f"It is no array of numbers but a {type(answer).__name__}."


def as_numbers(answer: Any) -> np.ndarray | None:
    """The answer as an array, or None if it is none of numbers."""
    if not isinstance(answer, np.ndarray | np.generic | int | float):
        return None
    array = np.asarray(answer)
    return array if array.dtype.kind in "fiub" else None


def wrong_shape(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """Every way to a wrong shape that is known."""
    if answer.shape == truth.shape:
        return None
    said = f"Its shape is {answer.shape}, and must be {truth.shape}. "
    if answer.T.shape == truth.shape:
        if close(answer.T, truth):
            return said + "It is the transpose: (A.T @ B).T is B.T @ A."
        also = next((f(answer.T, truth, context) for f in (factor, moved_blocks)), None)
        if also:
            return f"{said}It is the transpose. And besides: {also}"
        return said + "Those are the axes in the other order, and the values differ."
    for axes in _subsets(answer.ndim):
        if close(answer.sum(axis=axes), truth):
            return said + _missing_sum(answer, axes, context)
        if answer.sum(axis=axes).shape == truth.shape and answer.ndim > truth.ndim:
            for times, name in _factors(context.sizes):
                if close(answer.sum(axis=axes) * times, truth):
                    return (
                        f"{said}{_missing_sum(answer, axes, context)} And it is "
                        f"{_times(1 / times, name)}."
                    )
    for axes in _subsets(truth.ndim):
        for keepdims in (False, True):
            if close(answer, truth.sum(axis=axes, keepdims=keepdims)):
                return (
                    f"{said}It was summed over {_axes(axes)} of {truth.shape}, which "
                    "must stay."
                )
    if answer.size == truth.size and close(answer.reshape(truth.shape), truth):
        return said + "The numbers are right: a `reshape` is missing."
    return said


def _missing_sum(answer: np.ndarray, axes: tuple[int, ...], context: Context) -> str:
    kept = [answer.shape[a] for a in axes]
    if kept == [1] * len(kept):
        return f"It has kept {_axes(axes)} of size 1: sum without keepdims, or reshape."
    what = [name for a in axes for name, n in context.sizes.items() if n == kept[0]]
    over = f" ({what[0].removeprefix('the ')})" if what and len(axes) == 1 else ""
    return (
        f"The sum over {_axes(axes)}{over} is missing: what is used several times gets "
        "the sum of what each use gives."
    )


def not_finite(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """NaN or infinity."""
    wrong = ~np.isfinite(answer)
    if not wrong.any() or not np.isfinite(truth).all():
        return None
    word = "NaN" if np.isnan(answer).any() else "infinity"
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"It has {word} ({int(wrong.sum())} of {wrong.size} numbers, first at {where})"
        ": a division by 0, the log or root of something negative, or np.empty that "
        "was not filled."
    )


# --- The right numbers in the wrong place ---------------------------------------------


def zeros(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """Nothing at all."""
    if answer.any() or not truth.any():
        return None
    return "It is 0 everywhere."


def another(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """It is another of the results, or an input as it came."""
    for name, array in context.others.items():
        if isinstance(array, np.ndarray) and array.any() and close(answer, array):
            return f"It is {name}, and must be {context.name}."
    return None


def moved_axes(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """Axes exchanged, reversed or shifted."""
    axes = range(truth.ndim)
    for a, b in itertools.combinations(axes, 2):
        if close(answer, truth.swapaxes(a, b)):
            if truth.ndim == 2:
                return "It is the transpose: (A.T @ B).T is B.T @ A."
            return f"Axes {a} and {b} have changed places."
    for axis in axes:
        if truth.shape[axis] < 2:
            continue
        if close(answer, np.flip(truth, axis)):
            return f"It is reversed along axis {axis}{_called(axis, truth, context)}."
        for shift in (1, -1):
            if _shifted(answer, truth, axis, shift):
                return (
                    f"It is shifted by one along axis {axis}"
                    f"{_called(axis, truth, context)}: off by one."
                )
    if truth.ndim > 2:
        for pair in itertools.combinations(axes, 2):
            if close(answer, np.flip(truth, pair)):
                return f"It is reversed along {_axes(pair)}."
    return None


def _shifted(answer: np.ndarray, truth: np.ndarray, axis: int, shift: int) -> bool:
    """Equal where both exist, after a shift, and not for want of differences."""
    n = truth.shape[axis]
    early, late = range(n - 1), range(1, n)
    first, second = (early, late) if shift > 0 else (late, early)
    a = answer.take(list(second), axis=axis)
    b = truth.take(list(first), axis=axis)
    return n > 2 and bool(b.any()) and close(a, b)


def _called(axis: int, truth: np.ndarray, context: Context) -> str:
    names = [name for name, n in context.sizes.items() if n == truth.shape[axis]]
    return f" ({names[0].removeprefix('the ')})" if names else ""


def moved_blocks(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """The blocks of the gates in another order."""
    count = len(context.blocks)
    if not 1 < count <= _MOST_BLOCKS:
        return None
    parts = np.split(truth, count, axis=-1)
    for order in itertools.permutations(range(count)):
        if order == tuple(range(count)):
            continue
        if close(answer, np.concatenate([parts[k] for k in order], axis=-1)):
            found = ", ".join(context.blocks[k] for k in order)
            right = ", ".join(context.blocks)
            return f"The gates are in the order {found}; in Keras it is {right}."
    return None


def single_blocks(
    answer: np.ndarray, truth: np.ndarray, context: Context
) -> str | None:
    """Some blocks are right; what the others look like."""
    count = len(context.blocks)
    if count < 2:
        return None
    pairs = zip(*(np.split(a, count, axis=-1) for a in (answer, truth)), strict=True)
    wrong: dict[str, str] = {}
    for name, (a, t) in zip(context.blocks, pairs, strict=True):
        if not close(a, t):
            inner = Context(f"the block of {name}", context.sizes)
            found = next(explanations(a, t, inner), "")
            wrong[name] = found
    if len(wrong) == count:
        return None
    right = ", ".join(b for b in context.blocks if b not in wrong)
    names = ", ".join(wrong)
    reasons = {r for r in wrong.values() if r}
    why = f" {reasons.pop()}" if len(reasons) == 1 else ""
    plural = "s" if len(wrong) > 1 else ""
    verb = "are" if len(wrong) > 1 else "is"
    return f"Block{plural} {names} {verb} wrong; {right} right.{why}"


# --- The wrong size -------------------------------------------------------------------


def factor(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """All numbers off by one factor."""
    square = float((truth * truth).sum())
    if not square:
        return None
    ratio = float((answer * truth).sum()) / square
    if not ratio or not close(answer, ratio * truth):
        return None
    if abs(ratio + 1) < 1e-6:
        return "The sign is wrong: everything is -1 times what it must be."
    for value, name in _factors(context.sizes):
        for sign in (1, -1):
            if abs(ratio * value * sign - 1) < 1e-6:
                tail = " And the sign is wrong." if sign < 0 else ""
                return _sentence(1 / value, name) + tail
    return f"Everything is {ratio:.6g} times what it must be."


def _factors(sizes: dict[str, int]) -> Iterator[tuple[float, str]]:
    """(what to multiply an answer with to make it right, what that number is)."""
    for name, n in sizes.items():
        if n > 2:
            yield float(n), name
    for name, n in sizes.items():
        if n > 2:
            yield 1.0 / n, name
    yield 0.5, ""
    yield 2.0, ""
    for (a, n), (b, m) in itertools.combinations(sizes.items(), 2):
        yield float(n * m), f"{a} times {b}"
        yield 1.0 / (n * m), f"{a} times {b}"


def _times(ratio: float, name: str) -> str:
    if not name:
        return "twice what it must be" if ratio > 1 else "half of what it must be"
    number = round(max(ratio, 1 / ratio))
    if ratio < 1:
        return f"divided by {number}, {name}: a mean, and must be a sum"
    return f"{number} times what it must be, {name}: a sum, and must be a mean"


def _sentence(ratio: float, name: str) -> str:
    if not name:
        missing = " A factor 2 too many." if ratio > 1 else " A factor 2 is missing."
        return f"Everything is {_times(ratio, name)}.{missing}"
    return f"Everything is {_times(ratio, name)}."


# --- Where ----------------------------------------------------------------------------


def places(answer: np.ndarray, truth: np.ndarray, context: Context) -> str | None:
    """Wrong only at one index of one axis, or right only there."""
    scale = CLOSE * max(float(np.abs(truth).max(initial=0)), 1e-30)
    wrong = np.abs(answer - truth) > scale
    if wrong.all():
        return None
    for axis in range(truth.ndim):
        n = truth.shape[axis]
        others = tuple(a for a in range(truth.ndim) if a != axis)
        if n < 3:
            continue
        any_wrong, all_wrong = wrong.any(axis=others), wrong.all(axis=others)
        called = _called(axis, truth, context)
        if any_wrong.sum() == 1:
            index = int(np.flatnonzero(any_wrong)[0])
            return f"Wrong only at index {index} of axis {axis}{called}."
        if (~any_wrong).sum() == 1 and all_wrong.sum() == n - 1:
            index = int(np.flatnonzero(~any_wrong)[0])
            return f"Right only at index {index} of axis {axis}{called}."
    return f"{int((~wrong).sum())} of {wrong.size} numbers are right."


_BEFORE: tuple[Callable[..., str | None], ...] = (nothing, no_array)
_SHAPE: tuple[Callable[..., str | None], ...] = (wrong_shape,)
_VALUES: tuple[Callable[..., str | None], ...] = (
    not_finite,
    zeros,
    another,
    factor,
    moved_axes,
    moved_blocks,
    single_blocks,
)


def explanations(answer: Any, truth: np.ndarray, context: Context) -> Iterator[str]:
    """All that can be said of a wrong answer, the most telling first.

    >>> truth = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> next(explanations(-truth, truth, Context("dx")))
    'The sign is wrong: everything is -1 times what it must be.'
    """
    for group in (_BEFORE, _SHAPE, _VALUES):
        found = [said for f in group if (said := f(answer, truth, context))]
        yield from found
        if found:
            return
        answer = np.asarray(answer)


def where(answer: Any, truth: np.ndarray, context: Context) -> str | None:
    """Which numbers are right, if that is all there is to say."""
    array = as_numbers(answer)
    same = array is not None and array.shape == truth.shape
    return places(array, truth, context) if same else None


def combined(answer: np.ndarray, slipped: np.ndarray, context: Context) -> str | None:
    """What a second mistake looks like, after one that makes `slipped` of the truth."""
    if answer.shape != slipped.shape:
        return None
    for function in (factor, moved_axes, moved_blocks):
        found = function(answer, slipped, context)
        if found:
            return found
    return None


def _subsets(rank: int) -> Iterator[tuple[int, ...]]:
    for count in range(1, rank + 1):
        yield from itertools.combinations(range(rank), count)


def _axes(axes: tuple[int, ...]) -> str:
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return f"axes {', '.join(map(str, axes[:-1]))} and {axes[-1]}"
