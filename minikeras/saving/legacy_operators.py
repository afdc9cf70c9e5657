"""Operators in the legacy `.h5` files of Keras 3.

`a + b` is written there as `{"class_name": "Add"}`, without the module that would tell
it from the layer `Add`: Keras cannot read its own files of such models. The arguments
tell: every layer has `trainable` among them, no operator has.
"""

from __future__ import annotations

from typing import Any

from minikeras import registry

_MODULES = tuple(
    f"keras.src.ops.{m}" for m in ("numpy", "nn", "core", "math", "linalg")
)


def name_operators(config: Any) -> Any:
    """The configuration with the module of each operator, nested models included."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return config
    inner = config["config"]
    layers = inner.get("layers")
    if isinstance(layers, list):
        layers = [name_operators(layer) for layer in layers]
        return {**config, "config": {**inner, "layers": layers}}
    if "module" in config or "trainable" in inner:
        return config
    for module in _MODULES:
        if config.get("class_name") in registry.names(module):
            return {**config, "module": module}
    return config
