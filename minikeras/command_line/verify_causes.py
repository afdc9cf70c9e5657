"""Where two arrays differ: what the pattern of the difference says of its cause."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from minikeras.command_line.verify_compare import Found
from minikeras.version import KERAS_VERSION

_WHERE = {
    "weights": "the two libraries read the file differently",
    "forward": "the forward computation of {class_name}",
    "training": "what {class_name} does in training only: random draws, the statistics "
    "of a batch",
    "loss": "the loss, or a penalty: all layers agree",
    "gradients": "the backward of {class_name}: all layers agree in the forward pass",
    "updates": "the optimizer: all gradients agree",
    "state": "what {class_name} keeps from step to step: all gradients agree",
}


def likely_cause(kind: str, class_name: str, found: Found, keras_version: str) -> str:
    """One or two sentences.

    Args:
        kind: a key of `_WHERE`: which comparison failed first.
        class_name: of the layer.
        found: the difference.
        keras_version: that of the installed Keras.
    """
    text = _WHERE[kind].format(class_name=class_name)
    pattern = describe(found.ours, found.theirs)
    if pattern:
        text = f"{text}; {pattern}"
    if keras_version.split(".")[:2] != KERAS_VERSION.split(".")[:2]:
        text += (
            f". minikeras follows Keras {KERAS_VERSION} and this is Keras "
            f"{keras_version}: it may have changed in between"
        )
    return text + "."


def describe(ours: Any, theirs: Any) -> str:
    """A pattern that common slips make, or an empty string.

    >>> describe(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
    'all values are 2 times those of Keras: a mean where a sum is meant, or a scale'
    """
    if ours is None or theirs is None or not np.size(ours):
        return ""
    a, b = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return "one of them overflows, or divides by zero, where the other does not"
    if not a.any():
        return "the values are all zero here: something is never added, or masked out"
    for check in (_factor, _transposed, _blocks, _few, _small):
        found = check(a, b)
        if found:
            return found
    return "no pattern: the values differ throughout"


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= 1e-3 * np.abs(b).max(initial=1e-300))


def _factor(a: np.ndarray, b: np.ndarray) -> str:
    square = float((b * b).sum())
    ratio = float((a * b).sum()) / square if square else 1.0
    if b.size < 2 or abs(ratio - 1) < 1e-3 or not _near(a, ratio * b):
        return ""
    if abs(ratio + 1) < 1e-3:
        return "all values have the other sign"
    return (
        f"all values are {ratio:.4g} times those of Keras: a mean where a sum is meant,"
        " or a scale"
    )


def _transposed(a: np.ndarray, b: np.ndarray) -> str:
    if b.ndim < 2 or b.size > 1_000_000:
        return ""
    for order in permutations(range(b.ndim)) if b.ndim <= 4 else ():
        turned = b.transpose(order)
        if order != tuple(range(b.ndim)) and turned.shape == a.shape:
            if _near(a, turned):
                return f"its axes are in another order: {list(order)}"
    return ""


def _blocks(a: np.ndarray, b: np.ndarray) -> str:
    """Gates of a recurrent layer in another order."""
    for count in (3, 4):
        if not b.ndim or b.shape[-1] % count or b.size > 1_000_000:
            continue
        parts = np.split(b, count, axis=-1)
        for order in permutations(range(count)):
            swapped = np.concatenate([parts[i] for i in order], axis=-1)
            if order != tuple(range(count)) and _near(a, swapped):
                return f"{count} blocks (gates) are in another order: {list(order)}"
    return ""


def _few(a: np.ndarray, b: np.ndarray) -> str:
    wrong = np.abs(a - b) > 1e-3 * np.abs(b).max()
    if 0 < wrong.sum() <= 0.2 * wrong.size:
        return (
            f"only {int(wrong.sum())} of {wrong.size} values: look at borders, ties, "
            "and values at which a function has a kink or a limit"
        )
    return ""


def _small(a: np.ndarray, b: np.ndarray) -> str:
    if not _near(a, b):
        return ""
    return (
        "the difference is small: a constant that is not the same (such as epsilon), "
        "or rounding that the layers magnify (is it smaller in float64?)"
    )
