"""The exercises: each can be solved by the library's own code, and is wrong otherwise.

Wrong answers are made by edits of the source (the slips that the exercises know), and
by changes of the results that any code could make.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys

import numpy as np
import pytest

from minikeras.teach.exercises import exercises, find
from minikeras.teach.exercises.checking import check_names, drawn, run
from minikeras.teach.exercises.exercise import Blank, Slip
from minikeras.teach.exercises.loading import Names, load_text
from minikeras.teach.exercises.slips import slipped
from minikeras.teach.exercises.source import YOUR_TURN, render, solution
from parity_tests import tolerance
from parity_tests.oracle import keras

ALL = exercises()
ROUNDING = tolerance.roundings(np.dtype("float64"), 1) * tolerance.eps("float64")


def solved(exercise):
    return Names(load_text(render(exercise, solved=True), exercise.name), "it")


@pytest.fixture(params=ALL)
def exercise(request):
    return ALL[request.param]


# --- Each exercise --------------------------------------------------------------------


def test_there_are_exercises_for_every_part():
    assert len(ALL) >= 20
    assert next(iter(ALL)) == "dense_forward"


def test_the_names_are_free(exercise):
    """A file of this name in the current directory hides no other module."""
    assert exercise.name not in sys.stdlib_module_names
    assert importlib.util.find_spec(exercise.name) is None


def test_the_file_is_readable(exercise):
    text = render(exercise)
    compile(text, exercise.name, "exec")
    assert text.count(YOUR_TURN) >= len(exercise.blanks)
    assert max(map(len, text.splitlines())) <= 88
    head = text.split('"""')[1]
    assert max(map(len, head.splitlines())) <= 80
    assert "**Gradient**" not in text and ">>>" not in text
    assert "@public" not in text
    assert 3 <= len(exercise.hints) <= 4
    assert len(exercise.title) <= 36


def test_what_is_blank_is_not_given_away(exercise):
    lines = [line.strip() for line in render(exercise).splitlines()]
    for blank in exercise.blanks:
        for prefix in blank.only:
            assert not any(line.startswith(prefix) for line in lines)
    for _, source in solution(exercise):
        last = source.rstrip().splitlines()[-1].strip()
        if not any(b.only for b in exercise.blanks) and len(last) > 20:
            assert last not in lines


def test_at_first_it_is_not_written(exercise):
    ns = Names(load_text(render(exercise), exercise.name), "it")
    report = check_names(exercise, ns)
    assert report.unwritten and not report.ok
    assert "Not written yet" in report.trouble


def test_the_librarys_own_code_is_the_answer(exercise):
    report = check_names(exercise, solved(exercise))
    assert report.ok, report
    assert {a.verdict for a in report.arrays} == {"exact"}
    for array in report.arrays:
        if array.numeric is not None:
            assert array.numeric < tolerance.NUMERIC_DERIVATIVE
    assert exercise.outputs is None or any(a.numeric for a in report.arrays)


def test_keras_says_the_same(exercise):
    keras.backend.clear_session()
    report = check_names(exercise, solved(exercise), keras=keras)
    compared = [a for a in report.arrays if a.keras is not None]
    assert compared and report.keras_version == keras.__version__
    for array in compared:
        assert array.keras <= ROUNDING, array


def test_the_inputs_are_always_the_same(exercise):
    for (_, first), (_, second) in zip(drawn(exercise), drawn(exercise), strict=True):
        for name, value in first.items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, second[name])


# --- Wrong answers --------------------------------------------------------------------


def test_each_known_slip_is_named(exercise):
    assert len(exercise.slips) >= 2
    for slip in exercise.slips:
        report = check_names(exercise, slipped(exercise, slip))
        assert not report.ok
        said = [a.diagnosis for a in report.arrays if a.verdict == "WRONG"]
        assert any(text.startswith(slip.text) for text in said), (slip.text, report)


class Wrong(Names):
    """Marks the functions whose results are changed."""


def changed(exercise, change):
    """The exercise with its results changed if they are not the library's."""

    def answers(ns, v):
        found = exercise.answers(ns, v)
        if isinstance(ns, Wrong):
            found = {name: change(np.asarray(a)) for name, a in found.items()}
        return found

    text = render(exercise, solved=True)
    ns = Wrong(load_text(text, exercise.name), "it")
    return check_names(dataclasses.replace(exercise, answers=answers), ns)


def with_nan(a):
    a = a.copy()
    a.reshape(-1)[-1] = np.nan
    return a


CHANGES = {
    "sign": (lambda a: -a, "sign"),
    "twice": (lambda a: 2 * a, "twice what it must be"),
    "half": (lambda a: a / 2, "half of what it must be"),
    "some factor": (lambda a: a * 1.37, "1.37 times"),
    "nothing": (lambda a: None, "nothing was returned"),
    "NaN": (with_nan, "NaN"),
    "zeros": (lambda a: 0 * a, "0 everywhere"),
    "a list": (lambda a: a.tolist() or [1], "no array of numbers but a"),
    "a ragged list": (lambda a: [[1], 2], "no array of numbers but a list"),
    "complex": (lambda a: a + 1j, "an array of complex128, and must be one of"),
    "another axis": (lambda a: np.stack([a / 3] * 3), "The sum over axis 0"),
    "a row": (lambda a: a[None], "kept axis 0 of size 1"),
    "one row": (lambda a: a.sum(axis=0) if a.ndim else a[None], "axis 0 of"),
    "float64": (lambda a: a.astype("float64"), "must be float32"),
}


EVERYWHERE = ("sign", "nothing", "NaN", "float64")
SOME = list(ALL)[1::5]
CASES = [(n, c) for c in CHANGES for n in (ALL if c in EVERYWHERE else SOME)]


@pytest.mark.parametrize(("name", "change"), CASES)
def test_changed_results_are_explained(name, change):
    exercise = ALL[name]
    function, text = CHANGES[change]
    report = changed(exercise, function)
    assert not report.ok
    ranks = {}
    for _, inputs in drawn(exercise):
        truth = run(exercise, exercise.library, inputs)
        ranks |= {name: array.ndim for name, array in truth.items()}
    for array in report.arrays:
        assert array.verdict == "WRONG" and array.diagnosis
        known = any(array.diagnosis.startswith(s.text) for s in exercise.slips)
        if not known and ranks[array.name]:
            assert text in array.diagnosis, array


def test_a_small_error_is_wrong_and_rounding_is_not():
    exercise = find("dense_backward")
    near = changed(exercise, lambda a: a * a.dtype.type(1 + 2**-50))
    assert near.ok and {a.verdict for a in near.arrays} == {"close"}
    far = changed(exercise, lambda a: a * a.dtype.type(1 + 2**-20))
    assert not far.ok


def test_two_mistakes_at_once_are_both_named():
    exercise = find("lstm_step_backward")
    missing = ("dc = dc + dh * o * (1 - a * a)", "dc = dh * o * (1 - a * a)")
    swap = ("return dz, dc_prev", "return dz[:, [*range(6), 9, 10, 11, 6, 7, 8]], dc")
    report = check_names(exercise, slipped(exercise, Slip("", (missing, swap))))
    dz = report.arrays[0].diagnosis
    assert "came from the next step is missing" in dz
    assert "And besides: The gates are in the order i, f, o, g" in dz


def test_the_transpose_of_a_mean_is_both():
    exercise = find("dense_backward")
    edit = (
        "grads.add(self.kernel, x.T @ dz_rows)",
        "grads.add(self.kernel, -dz.T @ x)",
    )
    report = check_names(exercise, slipped(exercise, Slip("", (edit,))))
    text = report.arrays[1].diagnosis
    assert "It is the transpose. And besides: The sign is wrong" in text


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("return dz, dh, dc", "return dz, dh", "must return 3 things: dz, dh0, dc0."),
        ("return dz, dh, dc", "pass", "Is the `return` missing?"),
    ],
)
def test_results_of_another_kind(old, new, text):
    exercise = find("lstm_through_time")
    report = check_names(exercise, slipped(exercise, Slip("", ((old, new),))))
    assert text in report.trouble


def test_right_for_some_inputs():
    exercise = find("embedding_backward")
    report = check_names(exercise, slipped(exercise, exercise.slips[0]))
    assert report.arrays[0].diagnosis.endswith(
        "It is right for every id at most once, wrong for repeated ids."
    )


# --- An exercise that no longer fits the source ---------------------------------------


@pytest.mark.parametrize(
    "blank",
    [
        Blank("Dense.backwards"),
        Blank("Dense.backward", only=("no such statement",)),
        Blank("Dense.backward", keep=("no such statement",)),
        Blank("Dense.call"),
    ],
)
def test_a_blank_that_is_not_there_is_an_error(blank):
    exercise = dataclasses.replace(find("dense_backward"), blanks=(blank,))
    with pytest.raises(LookupError):
        render(exercise)


def test_a_slip_that_is_not_there_is_an_error():
    with pytest.raises(LookupError, match="has no"):
        slipped(find("dense_backward"), Slip("", (("no such source", ""),)))


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'softmax_backward'"):
        find("sofmax_backward")
    assert find("dropout.py").name == "dropout"
