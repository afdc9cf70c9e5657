"""The library's own source with a mistake in it that learners make."""

from __future__ import annotations

import functools
from typing import Any

from minikeras.teach.exercises.exercise import Exercise, Slip
from minikeras.teach.exercises.loading import Names, load_text
from minikeras.teach.exercises.source import render


def slipped(exercise: Exercise, slip: Slip) -> Any:
    """The library's own source with a slip in it, as a module.

    Raises:
        LookupError: if the source has no such place.
    """
    known = _SOLVED.get(exercise.name)
    text = known or _SOLVED.setdefault(exercise.name, render(exercise, solved=True))
    for old, new in slip.edits:
        if old not in text:
            raise LookupError(f"{exercise.name} has no {old!r}")
        text = text.replace(old, new)
    return Names(_loaded(text), "it")


_SOLVED: dict[str, str] = {}  # name -> the whole file, solved


@functools.cache
def _loaded(text: str) -> Any:
    return load_text(text, "slip")
