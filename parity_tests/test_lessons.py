"""Each lesson runs, as a reader would run it; the first ones under Keras as well."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot
import pytest

from minikeras.teach import exercises
from parity_tests import oracle

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "lessons"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
UNDER_KERAS = ["01", "02", "03"]  # they use nothing that Keras has not


def run(lesson: Path, folder: Path) -> str:
    """What a lesson prints, in a process of its own where warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(lesson)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def text_cells(lesson: Path) -> str:
    """The text of a lesson: its docstring and its comment cells."""
    text = lesson.read_text(encoding="utf-8")
    comments = re.findall(r"^# ?(.*)$", text, re.MULTILINE)
    return "\n".join([ast.get_docstring(ast.parse(text)) or "", *comments])


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lessons_run(lesson, tmp_path):
    assert run(lesson, tmp_path)
    assert not list(tmp_path.iterdir()), "A lesson leaves files behind"


@pytest.mark.parametrize("number", UNDER_KERAS)
def test_lessons_print_the_same_under_keras(number, tmp_path, monkeypatch):
    (lesson,) = FOLDER.glob(f"{number}_*.py")
    text = lesson.read_text(encoding="utf-8")
    theirs = text.replace("import minikeras as keras", "keras = the_real_keras")
    assert theirs != text
    oracle.keras.backend.clear_session()
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(theirs, str(lesson), "exec"), {"the_real_keras": oracle.keras})
    matplotlib.pyplot.close("all")
    assert printed.getvalue() == run(lesson, tmp_path)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_lessons_have_their_parts(lesson):
    text = lesson.read_text(encoding="utf-8")
    words = text_cells(lesson)
    assert words.startswith(f"{int(lesson.stem[:2])}. ")  # its number, then its name
    assert "import minikeras as keras" in text
    assert re.search(r"^assert ", text, re.MULTILINE), "A lesson checks its claims"
    assert "\nTry it\n------" in words
    for name in re.findall(r"exercises start (\w+)", words):
        assert exercises.find(name).name == name
    if lesson != LESSONS[-1]:
        following = LESSONS[LESSONS.index(lesson) + 1].stem
        assert f":doc:`{following}`" in words.replace("<", "`").replace(">", ""), (
            "A lesson ends with a link to the next"
        )
