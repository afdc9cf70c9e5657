"""The graph of a functional model as plain data, and back.

Each layer is listed with its calls ("inbound nodes"); a tensor is named by the layer it
comes from, the number of that layer's call, and its place among the outputs.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minikeras import tree
from minikeras.serialization import (
    custom_object_scope,
    deserialize_keras_object,
    serialize_keras_object,
)
from minikeras.symbolic import KerasTensor, Node, Operation

if TYPE_CHECKING:
    from minikeras.models.functional import Functional


def config_of_graph(model: Functional) -> dict[str, Any]:
    """`layers`, `input_layers` and `output_layers` of a functional model."""
    in_model = {id(node) for node in model._graph.nodes}
    layers = []
    for operation in model._graph.operations:
        layer_config = serialize_keras_object(operation)
        layer_config["name"] = operation.name
        layer_config["inbound_nodes"] = [
            _serialize_call(node, in_model)
            for node in operation._inbound_nodes
            if id(node) in in_model and not node.is_input
        ]
        layers.append(layer_config)

    def address(tensor: KerasTensor) -> list[Any]:
        operation, index, tensor_index = tensor._keras_history
        return [
            operation.name,
            _call_number(operation, index, in_model),
            tensor_index,
        ]

    return copy.deepcopy(
        {
            "layers": layers,
            "input_layers": tree.map_structure(address, model._input_structure),
            "output_layers": tree.map_structure(address, model._output_structure),
        }
    )


def _call_number(operation: Operation, index: int, in_model: set[int]) -> int:
    """Counts only the calls that belong to this model."""
    before = operation._inbound_nodes[:index]
    # NB: in Keras a functional model has a call of its own before any other.
    offset = 1 if hasattr(operation, "_graph") else 0
    return offset + sum(id(node) in in_model for node in before)


def _serialize_call(node: Node, in_model: set[int]) -> dict[str, Any]:
    def serialize(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return serialize_keras_object(leaf)
        operation, index, tensor_index = leaf._keras_history
        number = sum(id(n) in in_model for n in operation._inbound_nodes[:index])
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(leaf.shape),
                "dtype": leaf.dtype,
                "keras_history": [operation.name, number, tensor_index],
            },
        }

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [walk(v) for v in value]
        return serialize(value)

    return {"args": [walk(a) for a in node.args], "kwargs": walk(dict(node.kwargs))}


def graph_from_config(
    cls: type[Functional], config: dict[str, Any], custom_objects: Any
) -> Functional:
    """Makes the layers, then repeats their calls as soon as their inputs exist."""
    config = dict(config)
    for key in ("layers", "input_layers", "output_layers"):
        if key not in config:
            raise ValueError(
                f"The config of a functional model needs the key '{key}'. Received "
                f"keys: {sorted(config)}"
            )
    with custom_object_scope(custom_objects or {}):
        layers: dict[str, Operation] = {}
        pending: list[tuple[str, Any]] = []
        for data in config["layers"]:
            name = data["name"] if "name" in data else data["config"]["name"]
            if name in layers:
                raise ValueError(f'The name "{name}" is used twice in the config.')
            layers[name] = deserialize_keras_object(
                {k: v for k, v in data.items() if k not in ("name", "inbound_nodes")}
            )
            pending.extend((name, call) for call in data["inbound_nodes"])
        _repeat_calls(pending, layers)
    inputs = _find_tensors(config.pop("input_layers"), layers)
    outputs = _find_tensors(config.pop("output_layers"), layers)
    del config["layers"]
    return cls(inputs=inputs, outputs=outputs, **config)


def _repeat_calls(pending: list[tuple[str, Any]], layers: dict[str, Operation]) -> None:
    """Makes all calls, each as soon as the calls it needs have been made.

    The calls of one layer keep their order: their number is their name. A call that is
    not ready waits for the first one it lacks, so that the work grows with the size of
    the graph, in whatever order the config lists it.
    """
    queues: dict[str, deque[Any]] = {}
    for name, call in pending:
        queues.setdefault(name, deque()).append((call, deque(_needs(call))))
    waiting: dict[tuple[str, int], list[str]] = {}
    ready = deque(queues)
    while ready:
        name = ready.popleft()
        while queues[name]:
            call, needs = queues[name][0]
            while needs and _exists(needs[0], layers):
                needs.popleft()
            if needs:
                waiting.setdefault(needs[0], []).append(name)
                break
            args, kwargs = _arguments(call, layers)
            layers[name](*args, **kwargs)
            queues[name].popleft()
            ready.extend(waiting.pop((name, len(layers[name]._inbound_nodes) - 1), ()))
    stuck = sorted(name for name, queue in queues.items() if queue)
    if stuck:
        raise ValueError(
            "Invalid Functional model configuration. The graph of the Functional "
            "model either has loops or disconnected nodes. The following layers "
            f"failed to be resolved: {stuck}"
        )


def _needs(call: Any) -> Iterator[tuple[str, int]]:
    """(layer, number) of all calls whose outputs this one takes."""
    if isinstance(call, list):  # the form of Keras 2
        for entry in call:
            yield entry[0], entry[1]
            for value in (entry[3] if len(entry) > 3 else {}).values():
                yield from ((a[0], a[1]) for a in _addresses(value))
        return
    stack = [call.get("args", []), call.get("kwargs", {})]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                name, number, _ = value["config"]["keras_history"]
                yield name, number
            else:
                stack.extend(value.values())


def _addresses(value: Any) -> list[Any]:
    """`[layer, node, tensor]` entries in a keyword argument as Keras 2 wrote it."""
    if not isinstance(value, list):
        return []
    if len(value) in (3, 4) and isinstance(value[0], str):
        return [value]
    return [address for item in value for address in _addresses(item)]


def _exists(need: tuple[str, int], layers: dict[str, Operation]) -> bool:
    name, number = need
    if name not in layers:
        raise ValueError(
            f"Invalid Functional model configuration. Missing layer: '{name}'. "
            f"Layers in the config: {sorted(layers)}"
        )
    if not isinstance(number, int):
        raise TypeError(f"The number of a call must be an integer. Received: {number}")
    return 0 <= number < len(layers[name]._inbound_nodes)


class _NotYet(Exception):
    """A call that has not been made."""


def _arguments(call: Any, layers: dict[str, Operation]) -> Any:
    """(args, kwargs) of a call whose inputs exist."""
    if isinstance(call, list):  # the form of Keras 2
        tensors = [_tensor(entry[:3], layers) for entry in call]
        kwargs = call[0][3] if call and len(call[0]) > 3 else {}
        kwargs = {k: _old_argument(v, layers) for k, v in kwargs.items()}
        return [tensors[0] if len(tensors) == 1 else tensors], kwargs
    args = [_revive(a, layers) for a in call.get("args", [])]
    kwargs = {k: _revive(v, layers) for k, v in call.get("kwargs", {}).items()}
    return args, kwargs


def _old_argument(value: Any, layers: dict[str, Operation]) -> Any:
    """A keyword argument of Keras 2: tensors are `[layer, node, tensor]`."""
    if not isinstance(value, list):
        return value
    if len(value) in (3, 4) and isinstance(value[0], str):
        return _tensor(value[:3], layers)
    return [_old_argument(item, layers) for item in value]


def _revive(value: Any, layers: dict[str, Operation]) -> Any:
    if isinstance(value, list):
        return [_revive(v, layers) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        history = value["config"].get("keras_history")
        return _tensor(history, layers)
    if "class_name" in value:
        return deserialize_keras_object(value)
    return {k: _revive(v, layers) for k, v in value.items()}


def _tensor(history: Any, layers: dict[str, Operation], offset: int = 0) -> KerasTensor:
    name, number, index = history
    if name not in layers:
        raise ValueError(
            f"Invalid Functional model configuration. Missing layer: '{name}'. "
            f"Layers in the config: {sorted(layers)}"
        )
    calls = layers[name]._inbound_nodes
    number -= offset
    if not 0 <= number < len(calls):
        raise _NotYet
    if not 0 <= index < len(calls[number].outputs):
        raise ValueError(
            f"Invalid Functional model configuration. Layer '{name}' has no output "
            f"number {index}."
        )
    return calls[number].outputs[index]


def _find_tensors(addresses: Any, layers: dict[str, Operation]) -> Any:
    """The tensors of `input_layers` or `output_layers`, in their structure."""
    if isinstance(addresses, dict):
        return {k: _find_tensors(v, layers) for k, v in addresses.items()}
    if len(addresses) == 3 and isinstance(addresses[0], str):
        name = addresses[0]
        offset = 1 if hasattr(layers.get(name), "_graph") else 0
        try:
            return _tensor(addresses, layers, offset)
        except _NotYet:
            raise ValueError(
                "Invalid Functional model configuration. There is no call number "
                f"{addresses[1]} of layer '{name}'."
            ) from None
    found = [_find_tensors(a, layers) for a in addresses]
    return tuple(found) if isinstance(addresses, tuple) else found
