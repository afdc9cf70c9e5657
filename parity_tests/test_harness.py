"""The harness itself: it passes what is right and catches every planted bug."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras.functions import differentiable
from parity_tests import oracle, records
from parity_tests.functions import check_function
from parity_tests.planted_bugs import BUGS, MISTAKES, Mistake, PlantedBug, Specimen
from parity_tests.strategies import Values
from parity_tests.tolerance import (
    assert_close,
    assert_equal,
    assert_trajectory_close,
    eps,
)

SPECIMENS = {
    f"{bug.specimen.layer} {bug.specimen.config} {bug.specimen.options}": bug.specimen
    for bug in BUGS
}


@pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=SPECIMENS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_specimens_without_a_bug_pass(specimen: Specimen, dtype: str) -> None:
    with records.not_recorded():
        specimen.check(dtype=dtype)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_every_planted_bug_is_caught(bug: PlantedBug) -> None:
    with (
        records.not_recorded(),
        pytest.raises((AssertionError, ValueError), match=bug.message),
    ):
        bug.specimen.check(bug.cls, **bug.options)


@pytest.mark.parametrize("mistake", MISTAKES, ids=[m.name for m in MISTAKES])
def test_every_planted_mistake_in_training_is_caught(mistake: Mistake) -> None:
    with records.not_recorded():
        mistake.check(mistake.right)
        with pytest.raises(AssertionError, match=mistake.message):
            mistake.check(mistake.wrong)


def test_there_are_bugs_of_every_kind() -> None:
    assert len(BUGS) >= 14
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_function_is_caught(dtype: str) -> None:
    @differentiable
    def tanh(x):
        y = np.tanh(x)
        return y, (x, y)

    @tanh.gradient
    def _(dy, residuals):
        x, _ = residuals
        return dy * (1 - x * x)  # of x instead of y

    with records.not_recorded(), pytest.raises(AssertionError, match="tanh: dx"):
        check_function(tanh, oracle.keras.activations.tanh, Values((3, 4)), dtype=dtype)


class TestTolerance:
    """The rulers."""

    def test_a_rounding_is_close_and_a_little_more_is_not(self) -> None:
        for dtype in ("float32", "float64"):
            a = np.array([1.0, 2.0, 3.0], dtype)
            b = a * np.asarray(1 + eps(dtype), dtype)
            assert_close(a, b)
            with pytest.raises(AssertionError, match="1 of 3 values"):
                assert_close(a, np.array([1.0, 2.0, 3.001], dtype))

    def test_the_message_says_where_and_how_much(self) -> None:
        a, b = np.ones((2, 3)), np.ones((2, 3))
        b[1, 2] = 1.5
        with pytest.raises(AssertionError) as failure:
            assert_close(a, b, name="dense.dkernel")
        text = str(failure.value)
        for part in (
            "dense.dkernel: 1 of 6",
            "(1, 2)",
            "absolute 0.5",
            "ULP",
            "eps of",
        ):
            assert part in text

    def test_a_scale_makes_room_for_cancellation(self) -> None:
        x = np.array([1e8, 1.0, -1e8], "float32")
        sums = x.sum(), x[::-1].sum()
        assert_close(np.float32(0), np.float32(1), scale=np.abs(x).sum())
        with pytest.raises(AssertionError):
            assert_close(np.float32(0), np.float32(1))
        assert len(sums) == 2

    @pytest.mark.parametrize(
        ("actual", "expected", "message"),
        [
            (np.zeros(3), np.zeros((3, 1)), "shape"),
            (np.zeros(3, "float32"), np.zeros(3), "dtype"),
            (np.array([np.nan, 1]), np.array([1.0, np.nan]), "NaN in other places"),
            (np.array([np.inf]), np.array([-np.inf]), "inf in other places"),
            (np.array([1, 2]), np.array([1, 3]), "must be equal"),
            (np.zeros(2), np.array([0.0, 1e-30]), "differ beyond"),
        ],
    )
    def test_what_is_never_close(self, actual, expected, message) -> None:
        with pytest.raises(AssertionError, match=message):
            assert_close(actual, expected)

    def test_nan_in_the_same_place_is_equal(self) -> None:
        both = np.array([np.nan, np.inf, -np.inf, 1.0])
        assert_close(both, both.copy())
        assert_equal(both, both.copy())

    def test_trajectories_have_more_room_but_not_much(self) -> None:
        w = np.ones(3)
        assert_trajectory_close(w * (1 + 100 * eps("float64")), w, steps=10)
        with pytest.raises(AssertionError, match="after 10 steps"):
            assert_trajectory_close(w * (1 + 1000 * eps("float64")), w, steps=10)


class TestOracle:
    """The reference is what it says it is."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_it_computes_in_the_dtype_asked_for(self, dtype: str) -> None:
        with oracle.default_dtype(dtype):
            layer = oracle.keras.layers.LSTM(3, activation="tanh")
            x = Values((2, 3, 4))(dtype)
            reference = oracle.run_layer(layer, x, dy=np.ones((2, 3), dtype))
        assert_equal(str(reference.y.dtype), dtype)
        assert_equal(str(reference.dx.dtype), dtype)
        assert_equal({str(g.dtype) for g in reference.dweights}, {dtype})

    def test_another_dtype_is_refused(self) -> None:
        layer = oracle.keras.layers.Dense(3)
        with pytest.raises(AssertionError, match="no referee"):
            oracle.run_layer(layer, np.ones((2, 3)), dtype="float64")

    def test_the_default_dtype_is_put_back(self) -> None:
        with oracle.default_dtype("float64"):
            assert oracle.keras.config.floatx() == "float64"
        assert oracle.keras.config.floatx() == "float32"
        assert oracle.versions()["keras"] >= "3.15"


def test_records_count_cases_and_worst_differences(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(records.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(records, "_records", {})
    for gap in (0.0, 1e-15):
        with records.parity_case("layer", "Dense", "float64"):
            assert_close(np.float64(1 + gap), np.float64(1), depth="forward")
            assert_close(np.float64(2), np.float64(2), depth="forward")
    records.write()
    (record,) = records.read(tmp_path)
    assert (record.cases, record.comparisons, record.over) == (2, 4, 0)
    assert 4 <= record.ulp <= 6
