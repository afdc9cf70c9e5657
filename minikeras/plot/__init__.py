"""Pictures of models and of what they do, drawn with matplotlib.

    keras.plot.history(model.fit(x, y, epochs=10))
    ax = keras.plot.gradient_flow(model, x, y)
    ax.figure.savefig("flow.png")

Every function draws on the Axes it is given, or on new ones, and returns them. Nothing
is shown and no setting of matplotlib is changed. Colours can be told apart by readers
who do not see red and green alike. Needs matplotlib: pip install
"minikeras-numpy[plot]".
"""

from __future__ import annotations

import importlib
from typing import Any

# name -> the module that defines it; loaded when first used
_NAMES = {
    "confusion_matrix": "classes",
    "feature_maps": "convolutions",
    "filters": "convolutions",
    "gates": "recurrent",
    "gradient_flow": "flow",
    "heatmap": "images",
    "history": "curves",
    "loss_landscape": "landscape",
    "model_graph": "boxes",
    "weight_histograms": "curves",
}

__all__ = [
    "confusion_matrix",
    "feature_maps",
    "filters",
    "gates",
    "gradient_flow",
    "heatmap",
    "history",
    "loss_landscape",
    "model_graph",
    "weight_histograms",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        from minikeras.registry import suggest

        raise AttributeError(
            f"module 'minikeras.plot' has no attribute {name!r}."
            f"{suggest(name, __all__)}"
        )
    return getattr(importlib.import_module(f"minikeras.plot.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
