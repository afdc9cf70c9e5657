"""What readers do with the lessons: another series, no Keras, the exercises named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikeras.teach.exercises import exercises

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "docs" / "lessons").glob("[0-9][0-9]_*.py"))


def text(number: int) -> str:
    (lesson,) = (p for p in LESSONS if p.name.startswith(f"{number:02d}_"))
    return lesson.read_text(encoding="utf-8")


def run(program: str, folder: Path) -> str:
    """What a program prints, in a process of its own where warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def series(steps: int) -> np.ndarray:
    week = np.sin(2 * np.pi * np.arange(steps) / 7)
    return 1000 + 300 * week + np.random.default_rng(0).normal(size=steps)


def with_dates(steps: int) -> str:
    days = np.datetime64("2024-01-01") + np.arange(steps)
    rows = [f"{d},{v:.1f}" for d, v in zip(days, series(steps), strict=True)]
    return "\n".join(["day,visitors", *rows])


def one_column(steps: int) -> str:
    return "\n".join(["visitors", *(f"{v:.1f}" for v in series(steps))])


FILES = {
    "dates": (with_dates(120), 1),
    "one column": (one_column(300), 0),
    "short": (with_dates(40), 1),
}


@pytest.mark.parametrize(("content", "column"), FILES.values(), ids=FILES)
def test_the_gates_of_ones_own_series(content, column, tmp_path):
    (tmp_path / "my.csv").write_text(content)
    lines = text(9).splitlines()
    (where,) = (k for k, line in enumerate(lines) if line.startswith("path = "))
    lines[where] = 'path = "my.csv"'
    (which,) = (k for k, line in enumerate(lines) if line.startswith("column = "))
    lines[which] = f"column = {column}"
    assert "f by hand" in run("\n".join(lines), tmp_path)


def test_rows_without_a_number_are_named(tmp_path):
    (tmp_path / "my.csv").write_text(with_dates(40) + "\n2024-03-01,\n")
    lines = [
        'path = "my.csv"' if line.startswith("path = ") else line
        for line in text(9).splitlines()
    ]
    with pytest.raises(AssertionError, match=r"rows without a number: \[40\]"):
        run("\n".join(lines), tmp_path)


def test_the_comparison_with_keras_without_keras(tmp_path):
    hidden = 'import sys\nsys.modules["keras"] = None\n'
    printed = run(hidden + text(12), tmp_path)
    assert "from the list above" in printed
    assert printed.count(" equal\n") == 4


def test_the_exercises_exist():
    named = {
        name
        for lesson in LESSONS
        for name in re.findall(
            r"exercises (?:start|check|hint) (\w+)", lesson.read_text(encoding="utf-8")
        )
    }
    assert named
    assert named - {"NAME"} <= set(exercises())
