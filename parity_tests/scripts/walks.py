"""The lessons on setting weights and on training, as a reader would run them."""

from __future__ import annotations

import ast
import contextlib
import io
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

LESSONS = Path(__file__).parents[2] / "docs" / "lessons"
IMPORTS = ("import minikeras as keras", "from minikeras import plot")
WALKS = ["02_*.py", "03_*.py"]  # lesson 1 reads data that only minikeras has


def main(keras: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"initial": {}, "values": {}, "after fit": {}}
    for walk in WALKS:
        (lesson,) = LESSONS.glob(walk)
        keras.utils.set_random_seed(3)  # until the lesson sets its own
        keras.utils.clear_session()
        _walk(keras, lesson, found)
    return found


def _walk(keras: Any, lesson: Path, found: dict[str, Any]) -> None:
    """Runs a lesson and keeps every array it gives a name to."""
    text = lesson.read_text(encoding="utf-8")
    # A run under Keras imports Keras alone: without the pictures of `minikeras.plot`.
    names: dict[str, Any] = {"keras": keras, "plot": mock.MagicMock()}
    is_fitted = False
    for statement in ast.parse(text).body:
        source = ast.unparse(statement)
        # What a lesson asserts and prints is tested in test_lessons.py, in float32.
        if source in IMPORTS or isinstance(statement, ast.Assert):
            continue
        before = dict(names)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, lesson.stem, "exec"), names)
        is_fitted = is_fitted or ".fit(" in source
        for name, value in names.items():
            if not name.startswith("_") and before.get(name) is not value:
                arrays = _arrays(value)
                if arrays is not None:
                    weights = isinstance(arrays, list)
                    part = "after fit" if is_fitted else "values"
                    part = "initial" if weights and not is_fitted else part
                    key = f"{lesson.stem}, line {statement.lineno}, {name}"
                    found[part][key] = arrays
    plt.close("all")


def _arrays(value: Any) -> Any:
    if hasattr(value, "get_weights"):
        return value.get_weights()
    if hasattr(value, "history"):
        return value.history
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.copy()
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return value
    return None
