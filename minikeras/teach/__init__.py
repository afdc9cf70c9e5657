"""See inside: what the weights are, and what a recurrent layer does at each step.

    print(minikeras.teach.explain(model))           # every array of get_weights()
    minikeras.teach.gates(model, "lstm", x).plot()  # the gates over time
    minikeras.teach.trace(model, x, y)              # one training step, call by call

It reads what the layers return; they have no teaching code in them.
"""

from __future__ import annotations

import importlib
from typing import Any

# name -> the module that defines it; loaded when first used
_NAMES = {
    "ArrayExplanation": "explain_weights",
    "Call": "trace_calls",
    "Explanation": "explain_weights",
    "GRUGates": "gate_values",
    "LSTMGates": "gate_values",
    "Trace": "trace_result",
    "Update": "trace_calls",
    "explain": "explain_weights",
    "gates": "recurrent_gates",
    "trace": "trace_run",
}

__all__ = [
    "ArrayExplanation",
    "Call",
    "Explanation",
    "GRUGates",
    "LSTMGates",
    "Trace",
    "Update",
    "explain",
    "gates",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        from minikeras.registry import suggest

        raise AttributeError(
            f"module 'minikeras.teach' has no attribute {name!r}."
            f"{suggest(name, __all__)}"
        )
    return getattr(importlib.import_module(f"minikeras.teach.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
