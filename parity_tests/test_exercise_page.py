"""The page about the exercises: its session, played again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from minikeras.__main__ import main
from minikeras.teach.exercises import exercises, find
from minikeras.teach.exercises.source import YOUR_TURN, render

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "exercises.md"
PREFIX = "$ python -m minikeras "


def blocks(text):
    return re.findall(r"```(console|python)\n(.*?)```", text, flags=re.DOTALL)


def write(code, directory):
    """The learner's file with this code in the gap; the first line names it."""
    first, _, code = code.partition("\n")
    name = first.removeprefix("# ").removesuffix(".py")
    text = render(find(name))
    before, _, _ = text.partition(YOUR_TURN)
    indent = before[before.rindex("\n") + 1 :]
    code = code.rstrip().replace("\n", f"\n{indent}")
    (directory / f"{name}.py").write_text(text.replace(YOUR_TURN, code))


def told(text):
    """What must be the same on every machine: not the last digits of a rounding."""
    found = []
    for line in text.splitlines():
        row = re.match(r"(d\w+) +(exact|close|WRONG)\b", line)
        verdict = "wrong" if row and row[2] == "WRONG" else "right"
        line = f"{row[1]} {verdict}" if row else line
        if not line.startswith(("Right, on", "rounding", "distance", "differences")):
            found.append(" ".join(line.split()))
    return "\n".join(line for line in found if line)


def test_the_session_goes_as_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for kind, text in blocks(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            write(text, tmp_path)
            continue
        command, _, expected = text.partition("\n")
        main(shlex.split(command.removeprefix(PREFIX)))
        found = capsys.readouterr()
        assert not found.err
        assert told(found.out) == told(expected), found.out


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.py")) + sorted(DOCS.glob("*.md")))
def test_the_exercises_that_are_named_are_there(page):
    if "learn" in page.parts or "_site" in page.parts:
        return
    pattern = r"exercises (?:start|check|hint|solution) ([a-z]\w+)"
    for name in re.findall(pattern, page.read_text(encoding="utf-8")):
        assert name in exercises(), f"{page.name}: {name}"
