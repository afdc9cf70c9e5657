"""In which order the nodes of a graph run, and in which a model lists its layers."""

from __future__ import annotations

from collections import defaultdict

from minikeras.symbolic import KerasTensor, Node, Operation


def sort_graph(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], list[Operation]]:
    """Nodes in running order and operations in Keras's order.

    The depth of a node is its longest distance from an output; of an operation, that of
    its deepest node. Both are listed from deep to shallow; operations of equal depth in
    the order in which a depth-first walk from the outputs meets them.
    """
    finished, first_seen = _walk_back(inputs, outputs)
    in_graph = set(map(id, finished))
    depths: dict[int, int] = {}
    operation_depths: dict[int, int] = {}
    operations: dict[int, Operation] = {}
    order: dict[int, Node] = {}
    for node in reversed(finished):
        key = id(node.operation)
        depth = max(depths.get(id(node), 0), operation_depths.get(key, 0))
        operation_depths[key] = depths[id(node)] = depth
        operations[key] = node.operation
        order.setdefault(id(node), node)
        for parent in node.parent_nodes:
            if id(parent) in in_graph:
                depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
                order.setdefault(id(parent), parent)
    for tensor in inputs:  # inputs that lead nowhere still belong to the model
        node, operation = tensor._node, tensor._keras_history.operation
        if node is not None and id(operation) not in operations:
            if node.is_input:
                operations[id(operation)] = operation
                operation_depths[id(operation)] = 0
                first_seen[id(operation)] = -1
                depths[id(node)] = 0
                order[id(node)] = node
    by_depth = defaultdict(list)
    for key, node in order.items():
        by_depth[depths[key]].append(node)
    nodes = [
        node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]
    ]
    _check_connected(inputs, nodes)
    ranked = sorted(
        operations, key=lambda key: (-operation_depths[key], first_seen[key])
    )
    return nodes, [operations[key] for key in ranked]


def _walk_back(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], dict[int, int]]:
    """Depth-first from the outputs: nodes in order of completion, and for each
    operation the order in which it was first met."""
    given = {id(t) for t in inputs}
    finished: list[Node] = []
    done: set[int] = set()
    first_seen: dict[int, int] = {}
    for output in outputs:
        # An explicit stack: deep models would exceed Python's recursion limit.
        stack: list[tuple[KerasTensor | None, Node | None]] = [(output, None)]
        while stack:
            tensor, leaving = stack.pop()
            if leaving is not None:
                if id(leaving) not in done:
                    done.add(id(leaving))
                    finished.append(leaving)
                continue
            assert tensor is not None
            node, operation = tensor._node, tensor._keras_history.operation
            if node is None:
                continue
            if id(node) in done:
                continue
            if not node.is_input and id(tensor) in given:
                continue  # a model input made by a layer: what is before it is outside
            first_seen.setdefault(id(operation), len(first_seen))
            stack.append((None, node))
            stack.extend((t, None) for t in reversed(node.input_tensors))
    return finished, first_seen


def _check_connected(inputs: list[KerasTensor], nodes: list[Node]) -> None:
    computable = {id(t) for t in inputs}
    seen: list[str] = []
    for node in nodes:
        for tensor in node.input_tensors:
            if id(tensor) not in computable:
                raise ValueError(
                    f"Graph disconnected: cannot find parent for tensor {tensor} at "
                    f"operation '{node.operation.name}'. The following previous "
                    f"operations were accessed without issue: {seen}"
                )
        if node.is_input and not computable.issuperset(id(t) for t in node.outputs):
            raise ValueError(
                f"Graph disconnected: the output depends on the input "
                f"'{node.operation.name}', which is not among the model's inputs: "
                f"{[t.name for t in inputs]}"
            )
        seen.append(node.operation.name)
        computable.update(id(t) for t in node.outputs)
