"""What a wrong array looks like: each change of a true array is called by its name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikeras.teach.exercises.diagnoses import (
    Context,
    close,
    combined,
    explanations,
    where,
)

SIZES = {"the batch size": 5, "the number of steps": 3}
GATES = Context("dz", SIZES, ("i", "f", "g", "o"))
PLAIN = Context("dx", SIZES, (), {"dy": np.arange(30.0).reshape(5, 6) + 1})


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def first(answer, truth, context=PLAIN):
    return next(explanations(answer, truth, context), "")


TRUTH = drawn(5, 12)
BLOCKS = np.split(TRUTH, 4, axis=-1)


def only_o_negative():
    return np.concatenate([*BLOCKS[:3], -BLOCKS[3]], axis=-1)


def with_sum(axis):
    """An array whose sum over a new axis is the truth."""
    parts = drawn(3, 5, 12)
    parts[-1] = TRUTH - parts[:-1].sum(axis=0)
    return np.moveaxis(parts, 0, axis)


CASES = {
    "transposed": (TRUTH.T, "It is the transpose: (A.T @ B).T is B.T @ A."),
    "transposed, with a sign": (-TRUTH.T, "And besides: The sign is wrong"),
    "transposed, and other": (TRUTH.T**2, "the axes in the other order"),
    "a sum is missing": (with_sum(0), "The sum over axis 0 (number of steps) is"),
    "a sum is missing inside": (with_sum(1), "The sum over axis 1"),
    "a mean of these": (with_sum(0) / 3, "And it is divided by 3, the number of steps"),
    "summed too far": (TRUTH.sum(axis=1), "It was summed over axis 1 of (5, 12)"),
    "summed, axis kept": (TRUTH.sum(axis=1, keepdims=True), "summed over axis 1"),
    "an axis of 1": (TRUTH[None], "It has kept axis 0 of size 1"),
    "flat": (TRUTH.reshape(-1), "The numbers are right: a `reshape` is missing."),
    "another shape": (drawn(7, 7), "Its shape is (7, 7), and must be (5, 12)."),
    "infinite": (np.where(TRUTH > 1, np.inf, TRUTH), "It has infinity"),
    "mean": (TRUTH / 5, "divided by 5, the batch size: a mean, and must be a sum"),
    "mean and sign": (-TRUTH / 5, "a sum. And the sign is wrong."),
    "both sizes": (TRUTH / 15, "the batch size times the number of steps"),
    "sum for a mean": (TRUTH * 5, "5 times what it must be, the batch size: a sum"),
    "reversed": (TRUTH[::-1], "It is reversed along axis 0 (batch size)."),
    "shifted": (np.roll(TRUTH, 1, axis=0), "shifted by one along axis 0"),
    "gates": (
        np.concatenate([BLOCKS[k] for k in (0, 1, 3, 2)], axis=-1),
        "The gates are in the order i, f, o, g; in Keras it is i, f, g, o.",
    ),
    "one gate": (only_o_negative(), "Block o is wrong; i, f, g right. The sign is"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_has_its_name(case):
    answer, text = CASES[case]
    assert text in first(answer, TRUTH, GATES)


def test_axes_of_one_size_that_changed_places():
    truth = drawn(4, 4)
    assert first(truth.T, truth) == "It is the transpose: (A.T @ B).T is B.T @ A."
    truth = drawn(2, 4, 4)
    assert first(truth.swapaxes(1, 2), truth) == "Axes 1 and 2 have changed places."
    flipped = "It is reversed along axes 1 and 2."
    assert first(truth[:, ::-1, ::-1], truth) == flipped


def test_another_result_is_recognised():
    truth = drawn(5, 6)
    assert first(PLAIN.others["dy"].copy(), truth) == "It is dy, and must be dx."


def test_where_it_is_wrong_if_nothing_else_is_known():
    answer = TRUTH.copy()
    answer[2] += drawn(12, seed=1)
    assert not first(answer, TRUTH)
    text = "Wrong only at index 2 of axis 0 (batch size)."
    assert where(answer, TRUTH, PLAIN) == text
    answer = TRUTH + drawn(5, 12, seed=2)
    answer[4] = TRUTH[4]
    assert where(answer, TRUTH, PLAIN).startswith("Right only at index 4 of axis 0")
    answer = TRUTH.copy()
    answer[0, 0], answer[1, 1] = 9, 9
    assert where(answer, TRUTH, PLAIN) == "58 of 60 numbers are right."


def test_what_cannot_be_said_is_not_said():
    assert first(TRUTH + drawn(5, 12, seed=3), TRUTH) == ""
    assert where(None, TRUTH, PLAIN) is None
    assert combined(TRUTH.T, TRUTH, PLAIN) is None


@given(
    shape=st.lists(st.integers(1, 4), max_size=3),
    seed=st.integers(0, 99),
    exponent=st.integers(-9, 9),
)
def test_the_truth_is_close_to_itself_at_any_scale(shape, seed, exponent):
    truth = np.asarray(drawn(*shape, seed=seed) * 10.0**exponent)
    assert close(truth, truth) and close(truth * (1 + 2**-50), truth)
    assert not close(truth * (1 + 2**-20), truth)
    assert "sign" in first(-truth, truth, Context("dx"))
