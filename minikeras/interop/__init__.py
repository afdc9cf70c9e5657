"""Models and weights handed to other frameworks and back, with no file between.

    theirs = minikeras.interop.to_keras(model)      # a live Keras model
    ours = minikeras.interop.from_keras(theirs)
    minikeras.interop.from_torch(model, module.state_dict())

Nothing is imported from another framework until one of these functions needs it.
"""

from __future__ import annotations

import importlib
from typing import Any

# name -> the module that defines it; loaded when first used
_NAMES = {
    "from_keras": "keras_bridge",
    "from_torch": "torch_bridge",
    "to_keras": "keras_bridge",
    "to_torch": "torch_bridge",
}

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        from minikeras.registry import suggest

        raise AttributeError(
            f"module 'minikeras.interop' has no attribute {name!r}."
            f"{suggest(name, __all__)}"
        )
    return getattr(importlib.import_module(f"minikeras.interop.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
