"""Warnings that point at the user's own line, however deep they arise."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_HERE = str(Path(__file__).parent)
# Decorators and context managers of others that stand between us and the user.
_BETWEEN = ("contextlib.py", "functools.py", "_ufunc_config.py")


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
