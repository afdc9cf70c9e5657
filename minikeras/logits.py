"""Training a final softmax or sigmoid from its logits.

NB: Keras on TensorFlow remembers, on the output of `softmax` and `sigmoid`, what went
in; a crossentropy that is given such probabilities uses the logits instead, also with
`from_logits=False`. It is more exact: the log of a probability that rounds to 0 or 1 is
lost, the logit is not. Here the last operation of the graph is cut in two: everything
before its activation, which gives the logits, and the activation.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from minikeras import activations, tree
from minikeras.graph import Graph, Step
from minikeras.symbolic import (
    FunctionOperation,
    History,
    KerasTensor,
    Node,
    Operation,
)


class LogitsGraph(NamedTuple):
    """A graph with the logits of its outputs as further outputs."""

    graph: Graph
    kinds: list[str | None]  # per output: "softmax", "sigmoid" or None
    positions: list[int | None]  # where among graph.outputs the logits are


def with_logits(graph: Graph) -> LogitsGraph:
    """Cuts every final softmax and sigmoid of `graph` in two."""
    steps = list(graph.steps)
    outputs = list(graph.outputs)
    kinds: list[str | None] = []
    positions: list[int | None] = []
    done: dict[int, tuple[str, int]] = {}
    for tensor in graph.outputs:
        if id(tensor) not in done:
            index = _step_index(steps, tensor)
            parts = None if index is None else _split(steps[index].operation)
            if index is None or parts is None:
                kinds.append(None)
                positions.append(None)
                continue
            before, activation = parts
            z = KerasTensor(tensor.shape, tensor.dtype)
            steps[index : index + 1] = _two_steps(steps[index], before, activation, z)
            outputs.append(z)
            done[id(tensor)] = (activation.__name__, len(outputs) - 1)
        kind, position = done[id(tensor)]
        kinds.append(kind)
        positions.append(position)
    if not done:
        return LogitsGraph(graph, kinds, positions)
    result = copy.copy(graph)
    result.steps = steps
    result.outputs = outputs
    for step in steps:
        step.last_uses = []
    result._find_last_uses()
    return LogitsGraph(result, kinds, positions)


def _step_index(steps: list[Step], tensor: KerasTensor) -> int | None:
    for index, step in enumerate(steps):
        if step.output_ids == [id(tensor)]:
            return index
    return None


def _split(operation: Any) -> tuple[Operation, Any] | None:
    """(the operation without its final activation, that activation), or None."""
    trained_from_logits = (activations.softmax, activations.sigmoid)
    if isinstance(operation, FunctionOperation):
        if operation.function not in trained_from_logits:
            return None
        bare = copy.copy(operation)
        bare.function, bare.parameters = activations.linear, {}
        return bare, operation.function
    inner = getattr(operation, "_functional", None) or operation
    if hasattr(inner, "_graph") and len(inner.outputs) == 1:
        nested = with_logits(inner._graph)
        if nested.positions[0] is None:
            return None
        activation = getattr(activations, str(nested.kinds[0]))
        return NestedLogits(operation, nested), activation
    if getattr(operation, "ends_in_activation", False):
        if operation.activation not in trained_from_logits:
            return None
        bare = copy.copy(operation)  # shares the variables
        bare.__dict__["activation"] = activations.linear
        bare.__dict__["activity_regularizer"] = None
        return bare, operation.activation
    return None


class NestedLogits(Operation):
    """A nested model, run up to the logits of its only output."""

    def __init__(self, model: Any, nested: LogitsGraph):
        super().__init__(name=model.name)
        self.model = model
        self.graph = copy.copy(nested.graph)
        self.graph.outputs = [nested.graph.outputs[nested.positions[0] or 0]]
        self.weights = model.weights

    def run_forward(self, args: tuple, kwargs: dict, training: bool, mask: Any) -> Any:
        """The inner graph's forward, which gives the logits."""
        inner = getattr(self.model, "_functional", None) or self.model
        mask = kwargs.get("mask", mask)
        masks = None if mask is None else tree.flatten(mask)
        flat = inner._flat_inputs(args[0])
        outputs, residuals = self.graph.forward(flat, training=training, masks=masks)
        return outputs[0], residuals

    def run_backward(self, dy: Any, residuals: Any, grads: Any, need_dx: bool) -> Any:
        """The inner graph's backward, from the gradient of the logits."""
        flat = self.graph.backward([dy], residuals, grads, need_dx)
        return flat[0] if len(flat) == 1 else flat

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Not asked: the residuals have the mask."""
        return previous_mask


class FinalActivation(FunctionOperation):
    """The activation that was cut off: it has the layer's mask and penalty."""

    supports_masking = True
    activity_regularizer: Any = None

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the logits."""
        return previous_mask


def _two_steps(
    step: Step, before: Operation, activation: Any, z: KerasTensor
) -> list[Step]:
    node, tensor = step.node, step.node.outputs[0]
    if not isinstance(before, NestedLogits):
        before._inbound_nodes = []
        before._outbound_nodes = []
    first = Node(before, node.args, node.kwargs, z)
    history: History = tensor._keras_history
    parameters = getattr(step.operation, "parameters", {})
    function = FinalActivation(activation, parameters, name=f"{before.name}_output")
    function.activity_regularizer = getattr(
        step.operation, "activity_regularizer", None
    )
    second = Node(function, (z,), {}, tensor)
    tensor._keras_history = history  # the tensor still comes from its layer
    for parent in node.parent_nodes:
        operation = parent.operation
        operation._outbound_nodes[:] = [
            n for n in operation._outbound_nodes if n is not first
        ]
    return [Step(first), Step(second)]
