"""Operators in the legacy `.h5` files of Keras 3.

`a + b` is written there as `{"class_name": "Add"}`, without the module that would tell
it from the layer `Add`: Keras cannot read its own files of such models. The calls tell:
a layer is called with one list of tensors, an operator with two arguments.
"""

from __future__ import annotations

from typing import Any

from minikeras import registry
from minikeras.operations import MODULE


def name_operators(config: Any) -> Any:
    """The configuration with the module of each operator, nested models included."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return config
    layers = config["config"].get("layers")
    if not isinstance(layers, list):
        return config
    operators = registry.names(MODULE)
    found = []
    for layer in layers:
        new = name_operators(layer)
        if isinstance(new, dict) and new.get("class_name") in operators:
            if "module" not in new and not _is_called_with_a_list(new):
                new = {**new, "module": MODULE}
        found.append(new)
    return {**config, "config": {**config["config"], "layers": found}}


def _is_called_with_a_list(layer: dict[str, Any]) -> bool:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or not nodes or not isinstance(nodes[0], dict):
        return True  # of a Sequential, or as Keras 2 wrote it: a layer
    arguments = nodes[0].get("args")
    return isinstance(arguments, list) and isinstance((arguments or [0])[0], list)
