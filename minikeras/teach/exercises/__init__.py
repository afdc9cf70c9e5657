"""Exercises: parts of the library taken out, to be written again and checked.

python -m minikeras exercises list
"""

from __future__ import annotations

import functools
import importlib

from minikeras.registry import suggest
from minikeras.teach.exercises.exercise import Exercise

# In the order in which to do them: the module here, and the exercises in it.
ORDER = (
    ("dense", ("FORWARD", "BACKWARD")),
    ("elementwise", ("SIGMOID", "TANH", "RELU")),
    ("losses", ("SQUARED_ERROR", "BINARY")),
    ("elementwise", ("SOFTMAX",)),
    ("losses", ("CLASSES",)),
    ("optimizer", ("SGD", "ADAM")),
    ("reshaping", ("FLATTEN", "DROPOUT")),
    ("windows", ("AVERAGE", "MAX", "CONV_FORWARD", "CONV_BACKWARD")),
    ("normalization", ("BATCH_FORWARD", "BATCH_BACKWARD", "LAYER_BACKWARD")),
    ("embedding", ("BACKWARD",)),
    ("recurrent", ("SIMPLE_STEP", "LSTM_FORWARD", "LSTM_BACKWARD")),
    ("through_time", ("LSTM",)),
    ("gru", ("FORWARD", "BACKWARD")),
    ("attention", ("BACKWARD",)),
)


@functools.cache
def exercises() -> dict[str, Exercise]:
    """All exercises by name, in the order in which to do them."""
    found = {}
    for module, names in ORDER:
        loaded = importlib.import_module(f"minikeras.teach.exercises.{module}")
        for name in names:
            exercise = getattr(loaded, name)
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise:
    """An exercise by its name.

    Raises:
        ValueError: if there is none, naming the nearest.

    >>> find("dense_forward").title
    'a weighted sum of all inputs'
    """
    name = name.removesuffix(".py")
    if name not in exercises():
        near = [other for other in exercises() if name and name in other]
        hint = f" There is: {', '.join(near)}." if near else suggest(name, exercises())
        raise ValueError(
            f"There is no exercise {name!r}.{hint} See: python -m minikeras exercises "
            "list"
        )
    return exercises()[name]
