"""Runs a learner's file, and says in their terms what went wrong in it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import linecache
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import WrongStructure


class LearnerError(Exception):
    """What is wrong with a file, as lines to print.

    Attributes:
        unwritten: whether it only is not written yet.
    """

    def __init__(self, text: str, unwritten: bool = False):
        super().__init__(text)
        self.unwritten = unwritten


class Names:
    """The functions of a file; the error for a missing one tells which.

    Args:
        module: with these functions.
        label: what to call it.
    """

    def __init__(self, module: Any, label: str):
        self._module, self._label = module, label

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._module, name)
        except AttributeError:
            raise LearnerError(
                f"{self._label} has no `{name}` any more. The check calls it: give it "
                "back its name."
            ) from None


class _Text(importlib.abc.InspectLoader):
    """Loads a module from a text; no byte code is kept."""

    def __init__(self, text: str, path: str):
        self.text, self.path = text, path

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(self.text, self.path)


def load_text(text: str, name: str, path: str = "<exercise>") -> types.ModuleType:
    """A module made of a text.

    Args:
        text: a learner's file, or a solution of this package, with or without a slip.
        name: of the module.
        path: what tracebacks call it.
    """
    loader = _Text(text, path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader)
    )
    loader.exec_module(module)
    return module


def load_file(path: Path) -> Names:
    """Runs the learner's file.

    Raises:
        LearnerError: if it raises.
        FileNotFoundError: if there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path.name} in this directory. Write one with: python -m "
            f"minikeras exercises start {path.stem}"
        )
    linecache.checkcache(str(path))
    try:
        text = importlib.util.decode_source(path.read_bytes())
        module = load_text(text, f"exercise_{path.stem}", str(path))
    except OSError:
        raise
    except Exception as error:
        raise explained(error, path) from error
    return Names(module, path.name)


def explained(error: Exception, path: Path) -> LearnerError:
    """An exception in the learner's code, with their lines of the traceback alone."""
    if isinstance(error, LearnerError):
        return error
    if isinstance(error, WrongStructure):
        return LearnerError(str(error))
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = (error.text or "").rstrip()
        return LearnerError(f"{path.name}, line {error.lineno}\n{line}\n{_said(error)}")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, NotImplementedError) and "your turn" in str(error):
        line = f"line {frames[-1].lineno} of {path.name}" if frames else path.name
        return LearnerError(f"Not written yet: {line}.", unwritten=True)
    lines = []
    for frame in frames:
        lines.append(f"{path.name}, line {frame.lineno}, in {frame.name}")
        lines.append(f"    {frame.line}")
    lines.append(_said(error))
    for said in (_shapes(error, path), _advice(error)):
        lines += ["", said] if said else []
    return LearnerError("\n".join(lines))


def _shapes(error: Exception, path: Path) -> str:
    """The shapes of the arrays that the learner's line could see."""
    if not isinstance(error, ValueError | IndexError) or "read-only" in str(error):
        return ""
    frames = [
        frame
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == str(path)
    ]
    seen: dict[str, Any] = {}
    for name, value in frames[-1].f_locals.items() if frames else ():
        seen[name] = value
        for inner in getattr(value, "_fields", ()):
            seen[f"{name}.{inner}"] = getattr(value, inner)
    found = [f"{n} {v.shape}" for n, v in seen.items() if isinstance(v, np.ndarray)]
    return f"Shapes there: {', '.join(found)}" if found else ""


def _said(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}".rstrip(": ")


def _advice(error: Exception) -> str:
    """What usually is behind an error."""
    text = str(error)
    if isinstance(error, ValueError) and "read-only" in text:
        return (
            "This writes into an array that was given to you: an input, dy or what "
            "forward kept. Others still need it as it is. Make a new array, `a = a * "
            "b` instead of `a *= b`, or work on a copy."
        )
    if isinstance(error, ValueError) and "matmul" in text:
        return (
            "A matrix product (n, k) @ (k, m) sums over k, which both must have. Write "
            "the two shapes down, and the shape that must come out: mostly one factor "
            "is to be transposed, or the two to change places."
        )
    if isinstance(error, ValueError) and "broadcast" in text:
        return (
            "Two shapes do not fit: they are compared from the last axis on, and an "
            "axis of 1 is repeated. keepdims=True or [:, None] keeps such an axis."
        )
    return ""
