"""Same seed, same run: whole scripts under both libraries, in separate processes.

Nothing is copied between the two processes but the result of each. What the scripts do,
and what must be equal bit for bit, is said in `scripts/__init__.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.scripts import compare
from parity_tests.scripts.run_under import SCRIPTS
from parity_tests.tolerance import assert_equal

# The same scripts with another seed in one place: their runs must not be equal.
OTHER_DROPOUT = "convnet:dropout_seed=8"
OTHER_ORDER = "data_order:shuffle_seed=6"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_seed_same_run(dtype):
    ours, theirs = compare.results(dtype, ours=[OTHER_DROPOUT, OTHER_ORDER])
    wrong = []
    for script in SCRIPTS:
        actual = compare.of_script(ours, script)
        expected = compare.of_script(theirs, script)
        assert actual, f"{script} gave nothing"
        for problem in compare.problems(actual, expected, dtype):
            wrong.append(f"{script}: {problem}")
    assert not wrong, "\n".join(wrong)
    _check_values(ours, dtype)
    for control in (OTHER_DROPOUT, OTHER_ORDER):
        script = control.split(":")[0]
        other = compare.of_script(ours, control)
        _check_control(other, compare.of_script(theirs, script), dtype)


def _check_values(arrays: dict[str, np.ndarray], dtype: str) -> None:
    """The scripts ran in `dtype`, and trained."""
    weights = compare.of_script(arrays, "lstm")
    assert {weights[k].dtype.name for k in weights if k.startswith("final")} == {
        dtype,
        "int64",  # the states of the seed generators
    }
    for script in ("mlp", "convnet"):
        loss = compare.of_script(arrays, script)["history/loss"]
        assert loss[-1] < loss[0]
    drawn = arrays["lstm/generators/exact/seeds drawn from Python's random"]
    # An embedding; kernel, recurrent kernel and SeedGenerator of three LSTMs; a Dense.
    assert drawn.size == 1 + 3 * 3 + 1


def _check_control(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], dtype: str
) -> None:
    """It begins as the original does, and then goes another way."""
    runs = {name.split("history")[0] for name in expected if "history" in name}
    for run in runs:
        for name, array in expected.items():
            if name.startswith(f"{run}initial") and array.dtype.kind == "f":
                assert_equal(actual[name], array, name=name)
        names = [n for n in expected if n.startswith(f"{run}history")]
        far = compare.problems(
            {n: actual[n] for n in names}, {n: expected[n] for n in names}, dtype
        )
        # Without shuffling, or where a PyDataset says so, the seed does not matter.
        kept = run.removesuffix("/") in ("kept", "dataset, kept")
        assert bool(far) is not kept, run


def test_a_difference_is_noticed():
    """The comparison itself: one wrong bit of a weight, a seed, a name, a loss."""
    expected = {
        "initial/kernel": np.ones((2, 2), "float32"),
        "generators/exact/seeds": np.arange(3),
        "history/loss": np.array([0.5, 0.25]),
    }
    assert not compare.problems(expected, expected, "float32")
    for name, place in (("initial/kernel", (0, 1)), ("generators/exact/seeds", 2)):
        changed = {name: array.copy() for name, array in expected.items()}
        changed[name][place] = np.nextafter(np.float32(1), 2) if place != 2 else 7
        assert len(compare.problems(changed, expected, "float32")) == 1
    for factor, dtype in ((1 + 1e-4, "float32"), (1 + 1e-11, "float64")):
        changed = {**expected, "history/loss": expected["history/loss"] * factor}
        assert len(compare.problems(changed, expected, dtype)) == 1
    fewer = dict(list(expected.items())[1:])
    assert compare.problems(fewer, expected, "float32")
