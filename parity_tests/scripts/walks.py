"""The three walks of the documents, as a reader would type them."""

from __future__ import annotations

import contextlib
import doctest
import io
from pathlib import Path
from typing import Any

import numpy as np

DOCS = Path(__file__).parents[2] / "docs"
WALKS = ["weights", "set_weights", "training"]


def main(keras: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"initial": {}, "after fit": {}}
    for walk in WALKS:
        # The seed that the second walk, which makes no data, does without.
        keras.utils.set_random_seed(3)
        keras.utils.clear_session()
        _walk(keras, walk, found)
    return found


def _walk(keras: Any, walk: str, found: dict[str, Any]) -> None:
    """Runs the examples of a page and keeps every array they give a name to."""
    text = (DOCS / f"{walk}.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    part = "initial"
    for example in doctest.DocTestParser().get_examples(text):
        source = example.source.replace("import minikeras as keras", "")
        names["keras"] = keras
        before = dict(names)
        # The page itself prints; what it prints is compared in test_docs.py.
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, walk, "exec"), names)
        if ".fit(" in source:
            part = "after fit"
        for name, value in names.items():
            if not name.startswith("_") and before.get(name) is not value:
                arrays = _arrays(value)
                if arrays is not None:
                    found[part][f"{walk}, line {example.lineno + 1}, {name}"] = arrays


def _arrays(value: Any) -> Any:
    if hasattr(value, "get_weights"):
        return value.get_weights()
    if hasattr(value, "history"):
        return value.history
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return value
    return None
