"""The programs of docs/examples run alike under both libraries, nothing copied."""

from __future__ import annotations

import re

import pytest

from parity_tests.scripts import compare
from parity_tests.scripts.examples import EXAMPLES, ROOT


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_runs(dtype):
    ours, theirs = compare.results(dtype, ["examples"])
    ours = compare.of_script(ours, "examples")
    theirs = compare.of_script(theirs, "examples")
    assert {name.split("/")[0] for name in theirs} == {*EXAMPLES, "generators"}
    wrong = compare.problems(ours, theirs, dtype)
    assert not wrong, "\n".join(wrong)


def test_the_page_lists_them_all():
    text = (ROOT / "docs" / "examples" / "README.md").read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"\((\w+)\.py\)", text))) == EXAMPLES
