"""What users are told: warnings that point at their own line, suggestions for argument
names."""

from __future__ import annotations

import functools
import inspect
import reprlib
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minikeras.registry import suggest

_HERE = str(Path(__file__).parent)
# Decorators and context managers of others that stand between us and the user.
_BETWEEN = ("contextlib.py", "functools.py", "_ufunc_config.py")

# Names of Keras 1 and 2, and what they are called now.
_OLDER = {"lr": "learning_rate", "nb_epoch": "epochs", "output_dim": "units"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """`warnings.warn` for the first line outside minikeras that led here."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_HERE) and not file.endswith(_BETWEEN):
            break
        level, frame = level + 1, frame.f_back
    # The frame of this function is the first.
    warnings.warn(message, category, stacklevel=level + 1)


def check_call(
    function: Callable[..., Any], args: tuple, kwargs: dict[str, Any], name: str
) -> None:
    """Raises the TypeError that Python would raise for this call, with a suggestion.

    Args:
        function: a method or `__init__`; the first parameter stands for `self`.
        args, kwargs: what it is called with, without `self`.
        name: how the user knows it: "fit", "Dense".
    """
    signature = _signature(function)
    if not args and signature.free and signature.required <= kwargs.keys():
        return
    given = signature.order[: len(args)]
    if (
        len(given) == len(args)
        and kwargs.keys() <= signature.names.difference(given)
        and signature.required.difference(given) <= kwargs.keys()
    ):
        return
    try:
        signature.whole.bind(None, *args, **kwargs)
    except TypeError as error:
        unknown = sorted(kwargs.keys() - signature.names)
        given = (f"{k}={reprlib.repr(kwargs[k])}" for k in unknown)
        received = f" Received: {', '.join(given)}."
        hint = did_you_mean(unknown, signature.names - kwargs.keys())
        rest = received + hint if unknown else ""
        raise TypeError(f"{name}() {error}.{rest}") from None


def did_you_mean(unknown: Iterable[str], known: Iterable[str]) -> str:
    """One suggestion for each unknown argument that resembles a known one."""
    known = [*known]
    older = {old: new for old, new in _OLDER.items() if new in known}
    hints = []
    for name in unknown:
        hint = suggest(name, known)
        if name in older:
            hint = f" Did you mean {older[name]!r}?"
        hints.append(hint)
    return "".join(hints)


class _Signature(NamedTuple):
    whole: inspect.Signature
    names: frozenset[str]
    order: tuple[str, ...]  # of those that may be given by position
    required: frozenset[str]
    free: bool  # takes any keyword


@functools.lru_cache(maxsize=1000)
def _signature(function: Callable[..., Any]) -> _Signature:
    whole = inspect.signature(function)
    parameters = list(whole.parameters.values())[1:]
    starred = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [p for p in parameters if p.kind not in starred]
    required = {p.name for p in named if p.default is p.empty}
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    by_position = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    order = tuple(p.name for p in named if p.kind in by_position)
    names = frozenset(p.name for p in named)
    return _Signature(whole, names, order, frozenset(required), free)


def entry_point(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that users call: suggests argument names, and lets infinities and NaN
    pass without NumPy's warnings, as in Keras."""
    quiet = np.errstate(all="ignore")(method)

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_call(method, args, kwargs, method.__name__)
        return quiet(self, *args, **kwargs)

    return wrapper


def suggests_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that users call: suggests names for misspelt arguments."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        unknown = [key for key in kwargs if key not in known]
        if unknown:
            name = unknown[0]
            raise TypeError(
                f"{function.__name__}() got an unexpected keyword argument {name!r}. "
                f"Received: {name}={kwargs[name]!r}.{did_you_mean([name], known)}"
            )
        return function(*args, **kwargs)

    return wrapper


def shape_hint(received: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    """What to do about an input of another shape, where that is known; or "".

    >>> shape_hint((3,), (None, 3))
    ' For a single example add a batch axis: x[None].'
    >>> shape_hint((1, 200, 1), (None, 20, 1))
    ' The model reads 20 steps: with `Input((None, 1))` it would read any number.'
    """
    if (None, *received) == expected:
        return " For a single example add a batch axis: x[None]."
    if len(expected) != 3:
        return ""
    _, steps, features = expected  # those of sequences
    if received[1:] in ((1,), (1, 1)) and features == 1:
        return (
            f" These are {received[0]} sequences of one step each; a single sequence "
            "of numbers is x[None, :, None]."
        )
    if len(received) == 3 and received[2] == features and steps is not None:
        return (
            f" The model reads {steps} steps: with `Input((None, {features}))` it "
            "would read any number."
        )
    if len(received) == 1 and features == 1:
        return " A single sequence of numbers is x[None, :, None]."
    return ""


class Checked:
    """A base whose subclasses suggest names for misspelt constructor arguments."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            check_call(cls.__init__, args, kwargs, cls.__name__)
        return super().__new__(cls)
