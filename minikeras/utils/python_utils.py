"""Logs as plain Python values."""

from __future__ import annotations

from typing import Any

import numpy as np


def pythonify_logs(logs: dict[str, Any] | None) -> dict[str, Any]:
    """A new dict, sorted by name, with scalars as floats and inner dicts merged in.

    >>> pythonify_logs({"loss": np.float32(0.5), "accuracy": 1, "all": {"a": "text"}})
    {'accuracy': 1.0, 'a': 'text', 'loss': 0.5}
    """
    result: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            result.update(pythonify_logs(value))
        else:
            result[name] = _as_float(value)
    return result


def _as_float(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
