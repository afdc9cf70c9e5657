"""Compares what a learner wrote with the library, array by array, on drawn inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from minikeras.teach.exercises.diagnoses import (
    Context,
    as_numbers,
    close,
    combined,
    explanations,
    where,
)
from minikeras.teach.exercises.exercise import Exercise, Slip, frozen
from minikeras.teach.exercises.loading import (
    LearnerError,
    explained,
    load_file,
)
from minikeras.teach.exercises.slips import slipped

SEEDS = 3  # inputs of each kind
_STEP = 1e-5
_DTYPE = (
    "For inputs of float32 it is {}, and must be float32. A NumPy float64 (np.zeros "
    "without a dtype, np.float64(2)) makes all it meets float64; Python's numbers do "
    "not."
)
_UNKNOWN = (
    "None of the mistakes that are known here gives these numbers. There may be two at "
    "once: write the lines down one by one, with their shapes."
)
_MOST_DERIVATIVES = 40


@dataclass
class ArrayResult:
    """The verdict on one array, and its worst place.

    Attributes:
        name, shape: of the array.
        verdict: `"exact"` (every bit), `"close"` (up to rounding) or `"WRONG"`.
        error: the largest difference, relative to the largest number of the truth.
        index: where it is; None if that cannot be said.
        yours, truth: the two numbers there.
        numeric: the largest distance from numeric derivatives, relative; None: not
            asked.
        keras: the same from Keras.
        diagnosis: what the mistake looks like.
        cases: the kinds of inputs it is wrong for.
    """

    name: str
    shape: tuple[int, ...] = ()
    verdict: str = "exact"
    error: float = 0.0
    index: tuple[int, ...] | None = None
    yours: float = 0.0
    truth: float = 0.0
    numeric: float | None = None
    keras: float | None = None
    diagnosis: str = ""
    cases: list[str] = field(default_factory=list)
    said: list[list[str]] = field(default_factory=list, repr=False)


@dataclass
class Report:
    """What `check` found.

    Attributes:
        exercise: which.
        arrays: one entry for each array; empty if the code did not run.
        trouble: why it did not run.
        unwritten: whether it is only not written yet.
        inputs: how many inputs were tried.
        keras_version: of the Keras that was asked, or `""`.
    """

    exercise: Exercise
    arrays: list[ArrayResult] = field(default_factory=list)
    trouble: str = ""
    unwritten: bool = False
    inputs: int = 0
    keras_version: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is right."""
        return not self.trouble and all(a.verdict != "WRONG" for a in self.arrays)


def check(exercise: Exercise, path: Path, keras: Any = None) -> Report:
    """Runs the learner's file beside the library.

    Args:
        exercise: which.
        path: the learner's file.
        keras: the module, if it is to be asked as well.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    try:
        ns = load_file(path)
    except LearnerError as error:
        return Report(exercise, trouble=str(error), unwritten=error.unwritten)
    return check_names(exercise, ns, path, keras)


def check_names(
    exercise: Exercise, ns: Any, path: Path = Path("<none>"), keras: Any = None
) -> Report:
    """The same for functions that are loaded already."""
    report, results = Report(exercise), {}
    explain = _Explainer(exercise)
    try:
        for case, inputs in drawn(exercise):
            report.inputs += 1
            truth = run(exercise, exercise.library, inputs)
            yours = _guarded(exercise, ns, inputs, path)
            for name, right in truth.items():
                result = results.setdefault(name, ArrayResult(name, right.shape))
                answer = yours.get(name)
                if not _compare(result, answer, right):
                    result.cases += [case] if case not in result.cases else []
                    result.said.append(list(explain(name, answer, truth, inputs)))
        _check_dtype(exercise, ns, path, results)
    except LearnerError as error:
        report.trouble, report.unwritten = str(error), error.unwritten
        if case != exercise.cases[0]:
            report.trouble = f"With {case}:\n{report.trouble}"
    report.arrays = list(results.values())
    tried = exercise.cases[: report.inputs - bool(report.trouble)]
    for result in report.arrays:
        _conclude(result, tried)
    if not report.trouble:
        simplest = next(iter(drawn(exercise)))[1]
        yours = _guarded(exercise, ns, simplest, path)
        _compare_with_others(report, simplest, yours, keras)
    return report


def drawn(exercise: Exercise, dtype: str = "float64") -> Iterator[tuple[str, Any]]:
    """(case, inputs) of everything that is tried; always the same."""
    for seed in range(SEEDS):
        for k, case in enumerate(exercise.cases):
            rng = np.random.default_rng([seed, k, len(exercise.name)])
            inputs = exercise.draw(rng, case)
            yield case, {n: _cast(value, dtype) for n, value in inputs.items()}


def _cast(value: Any, dtype: str) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(dtype)
    return value


def run(exercise: Exercise, ns: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The answers of some functions; the inputs are copied, and frozen."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return exercise.answers(ns, _values(exercise, inputs))


def _values(exercise: Exercise, inputs: dict[str, Any]) -> SimpleNamespace:
    copies = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in inputs.items()
    }
    frozen({n: a for n, a in copies.items() if n not in exercise.writable})
    return SimpleNamespace(**copies)


def _guarded(exercise: Exercise, ns: Any, inputs: Any, path: Path) -> dict[str, Any]:
    try:
        return run(exercise, ns, inputs)
    except Exception as error:
        raise explained(error, path) from error


# --- One array ------------------------------------------------------------------------


def _agrees(answer: Any, truth: np.ndarray) -> bool:
    array = as_numbers(answer)
    return array is not None and close(array, truth)


def _compare(result: ArrayResult, answer: Any, truth: np.ndarray) -> bool:
    """Whether they agree; notes the worst place so far."""
    agrees = _agrees(answer, truth)
    if agrees and np.array_equal(answer, truth):
        return True
    verdict = "close" if agrees else "WRONG"
    if result.verdict == "exact" or (verdict == "WRONG" != result.verdict):
        result.verdict, result.error, result.index = verdict, 0.0, None
    a = as_numbers(answer)
    if verdict != result.verdict or a is None or a.shape != truth.shape:
        return agrees
    distance = np.abs(a.astype("float64") - truth)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    largest = max(float(np.abs(truth).max(initial=0)), 1e-30)
    if float(distance.max(initial=0)) > result.error * largest:
        index = np.unravel_index(int(distance.argmax()), truth.shape)
        result.error = float(distance[index]) / largest
        result.index = tuple(int(i) for i in index)
        result.yours, result.truth = float(a[index]), float(truth[index])
    return agrees


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """`close`, and NaN in the same places."""
    if a.shape != b.shape:
        return False
    lost = np.isnan(a)
    return bool((lost == np.isnan(b)).all()) and close(a[~lost], b[~lost])


class _Explainer:
    """What a wrong array looks like: the known slips first, then in general."""

    def __init__(self, exercise: Exercise):
        self.exercise = exercise
        self.slips: list[tuple[Slip, Any]] | None = None
        self.answers: dict[int, list[tuple[str, dict[str, Any]]]] = {}

    def __call__(
        self, name: str, answer: Any, truth: dict[str, Any], inputs: dict[str, Any]
    ) -> Iterator[str]:
        right = truth[name]
        given = as_numbers(answer)
        others: list[tuple[str, np.ndarray]] = []
        if given is not None:
            for text, found in self._slipped(inputs):
                other = found.get(name)
                if isinstance(other, np.ndarray | np.generic):
                    other = np.asarray(other)
                    if other.dtype.kind == "f" and not close(other, right):
                        others.append((text, other))
            yield from (text for text, other in others if _same(given, other))
            for text, other in others:
                if given.shape != right.shape and _same(given.T, other):
                    yield f"{text} And besides: It is transposed."
        arrays = {n: v for n, v in inputs.items() if isinstance(v, np.ndarray)}
        context = Context(
            name,
            self.exercise.sizes(SimpleNamespace(**inputs)),
            self.exercise.blocks.get(name, ()),
            {n: v for n, v in {**truth, **arrays}.items() if n != name},
        )
        with np.errstate(all="ignore"):
            yield from explanations(answer, right, context)
            for text, other in others:
                also = combined(given, other, context)
                if also:
                    yield f"{text} And besides: {also}"
            place = where(answer, right, context)
            if place:
                yield f"{place} {_UNKNOWN}"

    def _slipped(self, inputs: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """What each known slip gives for these inputs."""
        if self.slips is None:
            self.slips = [(s, slipped(self.exercise, s)) for s in self.exercise.slips]
        key = id(inputs)
        if key not in self.answers:
            found = []
            for slip, ns in self.slips:
                try:
                    found.append((slip.text, run(self.exercise, ns, inputs)))
                except Exception:  # such as shapes that no longer fit: not this one
                    continue
            self.answers = {key: found}
        return self.answers[key]


def _conclude(result: ArrayResult, cases: Sequence[str]) -> None:
    """The first explanation that holds wherever it is wrong."""
    if result.verdict != "WRONG":
        return
    first = result.said[0] if result.said else []
    common = [s for s in first if all(s in other for other in result.said)]
    result.diagnosis = (common or first or [_UNKNOWN])[0]
    right = [c for c in cases if c not in result.cases]
    if right:
        result.diagnosis += (
            f" It is right for {_listed(right)}, wrong for "
            f"{_listed([c for c in cases if c in result.cases])}."
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _check_dtype(
    exercise: Exercise, ns: Any, path: Path, results: dict[str, ArrayResult]
) -> None:
    """float32 in, float32 out."""
    for _, (_, inputs) in zip(exercise.cases, drawn(exercise, "float32"), strict=False):
        truth = run(exercise, exercise.library, inputs)
        yours = _guarded(exercise, ns, inputs, path)
        for name, right in truth.items():
            result, answer = results[name], as_numbers(yours.get(name))
            known = result.verdict == "WRONG" or right.dtype != np.float32
            if not known and answer is not None and answer.dtype != right.dtype:
                result.verdict, result.cases = "WRONG", list(exercise.cases)
                result.said = [[_DTYPE.format(answer.dtype)]]


# --- Against derivatives that nobody wrote --------------------------------------------


def _compare_with_others(
    report: Report, inputs: dict[str, Any], yours: dict[str, Any], keras: Any
) -> None:
    exercise, theirs = report.exercise, {}
    if keras is not None and exercise.keras is not None:
        from minikeras.teach.exercises.with_keras import keras_answers

        report.keras_version = keras.__version__
        theirs = keras_answers(exercise, keras, inputs, list(yours))
    for result in report.arrays:
        answer, other = as_numbers(yours.get(result.name)), theirs.get(result.name)
        if answer is None or answer.shape != result.shape:
            continue
        if exercise.is_gradient:
            result.numeric = _numeric_error(exercise, inputs, result.name, answer)
        if other is not None:
            result.keras = relative(answer, other)


def relative(answer: np.ndarray, truth: np.ndarray) -> float:
    """The largest difference, relative to the largest number of the truth."""
    if not truth.size:
        return 0.0
    largest = max(float(np.abs(truth).max()), 1e-30)
    return float(np.abs(answer - truth).max()) / largest


def _numeric_error(
    exercise: Exercise, inputs: dict[str, Any], name: str, answer: np.ndarray
) -> float | None:
    """The largest distance between an answer and central differences."""
    source = exercise.source(name)
    x = inputs.get(source)
    if not isinstance(x, np.ndarray) or x.shape != answer.shape:
        return None

    def value(moved: np.ndarray) -> float:
        v = _values(exercise, {**inputs, source: moved})
        outputs = exercise.outputs(exercise.library, v)
        return float(sum((inputs[f"d{n}"] * y).sum() for n, y in outputs.items()))

    chosen = np.arange(x.size)
    if x.size > _MOST_DERIVATIVES:
        chosen = np.random.default_rng(0).choice(x.size, _MOST_DERIVATIVES, False)
    scale = max(float(np.abs(answer).max(initial=0)), 1e-30)
    worst = 0.0
    for flat in chosen:
        step = np.zeros_like(x)
        step.flat[flat] = _STEP
        slope = (value(x + step) - value(x - step)) / (2 * _STEP)
        scale = max(scale, abs(slope))
        worst = max(worst, abs(slope - float(answer.flat[flat])))
    return worst / scale
