"""What the scripts return of a model."""

from __future__ import annotations

from typing import Any

import numpy as np


def values(model: Any) -> dict[str, np.ndarray]:
    """Path -> value of every variable, the states of the seed generators among them."""
    return {variable.path: np.array(variable.numpy()) for variable in model.variables}


def run(model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Trains a model: its variables before and after, and the history."""
    initial = values(model)
    history = model.fit(*args, verbose=0, **kwargs).history
    return {"initial": initial, "history": history, "final": values(model)}
