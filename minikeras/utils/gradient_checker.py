"""A gradient checker: every `backward` beside numeric derivatives, in float64.

Whoever writes a layer writes its gradient, and can be wrong in it. This compares it
with what the forward pass does when one number is moved a little:

    result = gradcheck(layers.Dense(3, activation="tanh"), x)
    print(result)                # one line per array: worst index, both values, verdict
    result.raise_if_failed()     # in a test

The output is weighted with a **random** cotangent `w`: the derivative of `sum(w * y)`
is what `backward(w, ...)` must return. (With all ones, errors that permute or sum to
zero cannot be seen.) Where the two disagree, the check is repeated at a point nearby: a
function with a kink just there (ReLU at 0, a tie in max pooling) agrees again, a wrong
gradient does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from minikeras.utils.gradient_diagnosis import diagnose
from minikeras.utils.gradient_problems import (
    FunctionProblem,
    LayerProblem,
    Problem,
    in_float64,
)
from minikeras.utils.gradient_report import ArrayCheck, GradcheckResult

_EPS = float(np.finfo(np.float64).eps)
_STEPS = (1e-5, 1e-6, 1e-4, 1e-3)  # relative; the first that agrees decides
_NEARBY = 1e-2  # how far away, relatively, the check is repeated
_NEARBY_POINTS = 3
_COMPLEX_STEP = 1e-30


def gradcheck(
    target: Any,
    *inputs: Any,
    call_kwargs: dict[str, Any] | None = None,
    training: bool = False,
    mask: Any = None,
    seed: int = 0,
    max_entries: int = 60,
    directions: int = 0,
    method: str = "auto",
    tolerance: float = 1e-6,
) -> GradcheckResult:
    """Compares `backward` with numeric derivatives, in float64.

    Args:
        target: a layer or model, a loss, or a `@differentiable` function (activations
            and loss functions are).
        inputs: what to call it with. Floats are converted to float64. A layer takes its
            first argument here; a loss `y_true, y_pred` (and checks `y_pred`).
        call_kwargs: further arguments. Float arrays given to a layer this way, such as
            `initial_state=[h, c]`, are checked too.
        training, mask: passed to layers that take them.
        seed: of the random cotangent, and of the choice of entries.
        max_entries: at most so many derivatives per array, chosen at random.
        directions: if above 0, derivatives along so many random directions per array
            instead of along single entries: much cheaper, but cannot name an index.
        method: `"central"` differences; `"complex"` steps (exact to rounding; only for
            functions NumPy can evaluate on complex numbers); `"auto"`: complex for
            functions where it works, else central.
        tolerance: of the error relative to the largest gradient in the array.

    Returns:
        A `GradcheckResult`; nothing is raised for a wrong gradient.

    >>> from minikeras.functions import differentiable
    >>> @differentiable
    ... def cube(x):
    ...     return x**3, x
    >>> _ = cube.gradient(lambda dy, x: dy * 2 * x**2)     # 2 instead of 3
    >>> gradcheck(cube, np.array([1.0, 2.0])).wrong
    ['x']
    """
    if method not in ("auto", "central", "complex"):
        raise ValueError(
            "`method` must be 'auto', 'central' or 'complex'. "
            f"Received: method={method!r}"
        )
    call_kwargs = call_kwargs or {}
    options = (seed, max_entries, directions)
    if hasattr(target, "variables"):
        if not target.built:
            target(*inputs, **call_kwargs)
        with in_float64(target):
            problem = LayerProblem(target, inputs, call_kwargs, training, mask, seed)
            return _check(problem, *options, "central", tolerance)
    if not hasattr(target, "forward") or not hasattr(target, "backward"):
        raise TypeError(
            "gradcheck expects something with `forward` and `backward`: a layer, a "
            "model, a loss or a `@differentiable` function. "
            f"Received: {target!r} (of type {type(target).__name__})"
        )
    with in_float64(target):
        function = FunctionProblem(target, inputs, call_kwargs, seed)
        if method == "auto":
            method = "complex" if _complex_works(function) else "central"
        return _check(function, *options, method, tolerance)


def _check(
    problem: Problem,
    seed: int,
    max_entries: int,
    directions: int,
    method: str,
    tolerance: float,
) -> GradcheckResult:
    rng = np.random.default_rng(seed + 1)
    answers = problem.answers(problem.arrays)
    analytic = _in_shape(answers, problem)
    nearby: list[Any] = []  # points a little further on, made when needed

    def agrees_nearby(name: str, direction: np.ndarray) -> bool:
        if not nearby:
            for _ in range(_NEARBY_POINTS):
                moved = {k: _move(a, rng) for k, a in problem.arrays.items()}
                found = _in_shape(problem.answers(moved), problem)
                nearby.append((moved, found))
        return any(
            _agree(problem, *point, name, direction, method, tolerance)[0]
            for point in nearby
        )

    checks = []
    for name, array in problem.arrays.items():
        worst = ArrayCheck(name, array.shape, 0, None, 0.0, 0.0, 0.0, 0, "ok")
        count = kinks = 0
        for index, direction in _directions(array, rng, max_entries, directions):
            count += 1
            ok, a, n, error = _agree(
                problem, problem.arrays, analytic, name, direction, method, tolerance
            )
            verdict = "ok"
            if not ok:
                verdict = "kink" if agrees_nearby(name, direction) else "WRONG"
                kinks += verdict == "kink"
            rank = ("ok", "kink", "WRONG").index
            if (rank(verdict), error) >= (rank(worst.verdict), worst.error):
                worst = ArrayCheck(name, array.shape, 0, index, a, n, error, 0, verdict)
        worst = replace(worst, checked=count, kinks=kinks)
        answer = answers.get(name)
        if answer is not None and answer.shape != array.shape:
            worst = ArrayCheck(name, array.shape, 0, None, 0, 0, np.inf, 0, "WRONG")
        if worst.verdict == "WRONG":
            said = diagnose(problem, name, answer, _typical_size(array))
            worst = replace(worst, diagnosis=said)
        checks.append(worst)
    title = {"central": "central differences", "complex": "complex steps"}[method]
    return GradcheckResult(problem.title, title, tuple(checks))


def _in_shape(answers: dict[str, Any], problem: Problem) -> dict[str, np.ndarray]:
    """Zeros in the place of gradients that are missing or of a wrong shape."""
    return {
        name: answers[name]
        if name in answers and answers[name].shape == array.shape
        else np.zeros(array.shape)
        for name, array in problem.arrays.items()
    }


def _agree(
    problem: Problem,
    arrays: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    name: str,
    direction: np.ndarray,
    method: str,
    tolerance: float,
) -> tuple[bool, float, float, float]:
    """(agrees, analytic, numeric, relative error) for one derivative."""
    gradient = gradients[name]
    analytic = float(np.sum(gradient * direction))
    along = np.abs(direction) > 0
    scale = float(np.abs(gradient).max(initial=0) * np.abs(direction).max())
    scale = max(scale, float(np.abs(gradient * direction)[along].sum()))
    array = arrays[name]
    if method == "complex":
        moved = arrays | {name: array + 1j * _COMPLEX_STEP * direction}
        numeric = float(np.imag(problem.value(moved))) / _COMPLEX_STEP
        error = abs(analytic - numeric)
        return error <= tolerance * scale, analytic, numeric, _relative(error, scale)
    best = (False, analytic, 0.0, np.inf)
    for step in _STEPS:
        h = step * _typical_size(array)
        up = float(problem.value(arrays | {name: array + h * direction}))
        down = float(problem.value(arrays | {name: array - h * direction}))
        numeric = (up - down) / (2 * h)
        error = abs(analytic - numeric)
        rounding = 16 * _EPS * (abs(up) + abs(down) + 1) / h
        ok = error <= tolerance * scale + rounding
        relative = _relative(error, max(scale, abs(numeric), rounding))
        if ok or relative < best[3]:
            best = (ok, analytic, numeric, relative)
        if ok:
            break
    return best


def _relative(error: float, scale: float) -> float:
    return error / scale if scale else float(error > 0)


def _directions(
    array: np.ndarray, rng: np.random.Generator, max_entries: int, directions: int
) -> Iterator[tuple[tuple[int, ...] | None, np.ndarray]]:
    """Unit vectors along single entries, or random directions."""
    if not array.size:
        return
    if directions:
        for _ in range(directions):
            yield None, rng.standard_normal(array.shape)
        return
    chosen = np.arange(array.size)
    if array.size > max_entries:
        chosen = np.sort(rng.choice(array.size, max_entries, replace=False))
    for flat in chosen:
        direction = np.zeros(array.shape)
        direction.flat[flat] = 1.0
        yield tuple(int(i) for i in np.unravel_index(flat, array.shape)), direction


def _typical_size(array: np.ndarray) -> float:
    """What a step is relative to: the median of the values that are not 0."""
    sizes = np.abs(array[array != 0])
    return float(np.median(sizes)) if sizes.size else 1.0


def _move(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every value moved by at least half of `_NEARBY`: off any kink it stood on."""
    away = rng.choice([-1.0, 1.0], array.shape) * rng.uniform(0.5, 1.5, array.shape)
    return array + _NEARBY * _typical_size(array) * away


def _complex_works(problem: FunctionProblem) -> bool:
    """Whether a complex step gives what a central difference gives, roughly."""
    (name, x), *_ = problem.arrays.items()
    direction = np.random.default_rng(7).standard_normal(x.shape)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Conversion to float would lose the derivative.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            moved = {name: x + 1j * _COMPLEX_STEP * direction}
            exact = float(np.imag(problem.value(moved))) / _COMPLEX_STEP
            h = _STEPS[0] * _typical_size(x)
            up = problem.value({name: x + h * direction})
            down = problem.value({name: x - h * direction})
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return False
    rough = float(up - down) / (2 * h)
    return abs(exact - rough) <= 1e-4 * max(abs(exact), abs(rough))
