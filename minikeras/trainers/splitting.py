"""Whether a batch may be cut into micro-batches, and where it is worth it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from minikeras import comparisons, operations, registry, regularizers, tree
from minikeras.graph import Graph
from minikeras.layers.layer import Layer
from minikeras.symbolic import FunctionOperation, is_keras_tensor

# Regularizers that are sums over the elements, so over the examples.
_SUMS = (regularizers.L1, regularizers.L2, regularizers.L1L2)


class Cut(NamedTuple):
    """How a batch is cut.

    Attributes:
        parts: the rows of each micro-batch.
        makes_masks: whether a layer makes masks, which the loss may look at.
    """

    parts: list[slice]
    makes_masks: bool


def micro_batches(graph: Graph, inputs: list[Any], training: bool) -> Cut | None:
    """How to cut a batch; None if it cannot be cut, or it is not worth it.

    Args:
        graph: the model's.
        inputs: the batch, as the graph takes it.
        training: whether layers run in training mode.
    """
    examples = len(inputs[0])
    count = count_micro_batches(cost_of(graph, inputs, training), examples, training)
    if count < 2 or not keeps_examples_apart(graph, training):
        return None
    layers = [op for op in graph.operations if isinstance(op, Layer)]
    parts = [part for layer in layers for part in (layer, *layer._all_sublayers())]
    return Cut(cut(examples, count), any(part.makes_mask for part in parts))


# --- How many ------------------------------------------------------------------------

# Measured on 2 cores of a Xeon with 2 MB of L2 cache each; nothing depends on it but
# time. The values of a micro-batch need not all stay in the cache: a layer's should,
# until the next one reads them. Smaller parts make for less efficient matrix products.
VALUE_BYTES = 8 << 20
# Handing a micro-batch to a thread and adding up gradients costs some 50 microseconds,
# and its Python takes turns with that of the others. Below this it is not worth it:
MINIMUM_SECONDS = 400e-6
# What one core does: operations of matrix products, and bytes of elementwise work.
OPERATIONS_PER_SECOND = 80e9
BYTES_PER_SECOND = 5e9
# Adding a micro-batch's gradients to the sum may take this part of its time.
ADDING_SHARE = 0.12
# A time step of a recurrent layer is some 20 NumPy calls, each of which gives up
# Python's lock and has to get it back from another thread. They must have something to
# do: so many numbers of each state.
STEP_NUMBERS = 8192


class Cost(NamedTuple):
    """What one example costs.

    Attributes:
        values: bytes of all values on the way from inputs to outputs.
        operations: multiplications and additions of matrix products, forward.
        weights: bytes of the weights, whatever the number of examples.
        state: the smallest number of units of a recurrent layer; None without one.
    """

    values: int
    operations: int
    weights: int
    state: int | None = None


def count_micro_batches(cost: Cost, examples: int, training: bool) -> int:
    """Into how many micro-batches to cut a batch: a power of two.

    It depends on shapes alone, not on the machine or on the number of threads, for the
    gradients of the micro-batches are rounded one by one: another cut, other bits.

    - As many as it takes for the values of each to be near. With whole batches every
      array leaves the cache, and is fetched again by the next layer and the backward.
    - At least two where there is work for two threads.
    - But not so many that one has less work than handing it out costs, or that adding
      up their gradients becomes a part of the time worth mentioning: a perceptron has
      few values and many weights.
    - Nor so many that the time steps of a recurrent layer become too short.
    """
    passes = 3 if training else 1  # forward, gradient of the inputs, of the weights
    bytes_moved = passes * 2 * cost.values * examples
    operations = passes * cost.operations * examples
    seconds = operations / OPERATIONS_PER_SECOND + bytes_moved / BYTES_PER_SECOND
    wanted = max(2, cost.values * examples / VALUE_BYTES)
    limit = min(seconds / MINIMUM_SECONDS, examples / 2)
    if training:
        adding = 3 * cost.weights / BYTES_PER_SECOND
        limit = min(limit, ADDING_SHARE * seconds / adding if adding else limit)
    if cost.state is not None:
        limit = min(limit, examples * cost.state / STEP_NUMBERS)
    if limit < 2:
        return 1
    return 2 ** min(round(math.log2(wanted)), math.floor(math.log2(limit)))


def cut(examples: int, count: int) -> list[slice]:
    """`count` slices of nearly equal sizes.

    >>> cut(7, 3)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    ends = [examples * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def cost_of(graph: Graph, inputs: list[Any], training: bool) -> Cost:
    """The cost of an example, from shapes.

    Args:
        graph: the calls.
        inputs: arrays, or anything with shapes; they tell the sizes of unknown axes.
        training: whether layers run in training mode.
    """
    pairs = [
        (known, size)
        for tensor, x in zip(graph.inputs, inputs, strict=True)
        if x is not None
        for known, size in zip(tensor.shape[1:], x.shape[1:], strict=True)
    ]
    unknown = max((size for known, size in pairs if known is None), default=1)
    return _cost(graph, unknown, training)


def _cost(graph: Graph, unknown: int, training: bool) -> Cost:
    def size(shape: tuple) -> int:
        return math.prod(unknown if n is None else n for n in shape)

    values = products = weights = 0
    states: list[int] = []
    for step in graph.steps:
        inner = _inner_graph(step.operation, step.node, training)
        if inner is not None:
            cost = _cost(inner, unknown, training)
            values, products = values + cost.values, products + cost.operations
            weights += cost.weights
            states += [] if cost.state is None else [cost.state]
            continue
        states += _state_sizes(step.operation)
        for tensor in step.node.outputs:
            values += size(tensor.shape[1:]) * (8 if "64" in tensor.dtype else 4)
        first = next(iter(step.node.input_tensors), None)
        if first is not None and "float" in first.dtype:  # integers are looked up
            kernels = [v.value for v in step.variables if v.ndim > 1]
            positions = size(first.shape[1:-1])
            products += 2 * positions * sum(kernel.size for kernel in kernels)
            weights += sum(kernel.nbytes for kernel in kernels)
    return Cost(values, products, weights, min(states, default=None))


def _state_sizes(operation: Any) -> list[int]:
    """The units of the recurrent layers here, also of those in a `Bidirectional`."""
    if not isinstance(operation, Layer):
        return []
    parts = (operation, *operation._all_sublayers())
    cells = [part.cell for part in parts if hasattr(part, "cell")]
    sizes = [tree.flatten(getattr(cell, "state_size", None)) for cell in cells]
    return [size for found in sizes for size in found if isinstance(size, int)]


# --- Whether --------------------------------------------------------------------------

_ELEMENTWISE = (
    operations.Binary,
    operations.Negative,
    operations.Absolute,
    comparisons.LogicalNot,
)


def keeps_examples_apart(graph: Graph, training: bool) -> bool:
    """Whether each example's outputs depend on that example alone, as far as is known.

    A layer of ours says so (`couples_examples`); a user's layer is not asked unless its
    class says `couples_examples = False` itself. A layer or model made of others is
    looked at inside. Operators count if they work element by element.
    """
    sizes = {t.shape[:1] for t in graph.inputs}
    if len(sizes) != 1 or () in sizes:
        return False
    batch = sizes.pop()
    for step in graph.steps:
        node, operation = step.node, step.operation
        if isinstance(operation, operations.ReadVariable):
            continue  # a weight in a `call`: its uses are looked at
        if any(t.shape[:1] != batch for t in node.outputs):
            return False
        penalty = getattr(operation, "activity_regularizer", None)
        if penalty is not None and type(penalty) not in _SUMS:
            return False
        inner = _inner_graph(operation, node, training)
        if inner is not None:
            apart = keeps_examples_apart(inner, training)
        elif isinstance(operation, Layer):
            apart = not _has_arrays(node) and _layer_keeps_apart(
                operation, len(node.outputs[0].shape), training
            )
        else:
            apart = _operator_keeps_apart(operation, node)
        if not apart:
            return False
    return True


def _inner_graph(operation: Any, node: Any, training: bool) -> Graph | None:
    """The graph of a nested model, or of a layer made of layers; None for others."""
    if not isinstance(operation, Layer):
        return None
    model = getattr(operation, "_functional", None) or operation
    if isinstance(getattr(model, "_graph", None), Graph):
        return model._graph
    if type(operation).forward is Layer.forward:
        from minikeras.layers.composite import trace

        return trace(operation, node.args, node.kwargs, training).graph
    return None


def _layer_keeps_apart(layer: Layer, rank: int, training: bool) -> bool:
    for part in (layer, *layer._all_sublayers()):
        if not (_is_ours(type(part)) or _says_so_itself(type(part))):
            return False
        only_in_training = not getattr(part, "couples_in_inference", True)
        if part.couples_examples and (training or not only_in_training):
            return False
        if _meets_batch_axis(getattr(part, "axis", None), rank):
            return False
    return True


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith("minikeras.")


def _says_so_itself(cls: type) -> bool:
    own = [base for base in cls.__mro__ if not _is_ours(base)]
    return any("couples_examples" in base.__dict__ for base in own)


def _meets_batch_axis(axes: Any, rank: int) -> bool:
    return any(axis in (0, -rank) for axis in tree.flatten(axes) if axis is not None)


def _has_arrays(node: Any) -> bool:
    """Whether constant arrays are among the arguments: they belong to whole batches."""
    leaves = tree.flatten([list(node.args), list(node.kwargs.values())])
    return any(hasattr(leaf, "shape") and not is_keras_tensor(leaf) for leaf in leaves)


def _operator_keeps_apart(operation: Any, node: Any) -> bool:
    if isinstance(operation, FunctionOperation):
        known = registry.public_name(operation.function)
        rank = len(node.outputs[0].shape)
        axis = operation.parameters.get("axis")
        ours = known is not None and known[0] == "keras.activations"
        return ours and not _meets_batch_axis(axis, rank)
    if isinstance(operation, operations.GetItem):
        return _key_spares_batch_axis(node.args[1:])
    arguments = list(node.args)
    tensors = [a for a in arguments if is_keras_tensor(a) and not _is_weight(a)]
    others = [a for a in arguments if not any(a is t for t in tensors)]
    ranks = {len(t.shape) for t in tensors}
    if node.kwargs or len(ranks) != 1:
        return False
    rank = ranks.pop()
    if isinstance(operation, operations.Matmul):
        both = len(tensors) == 2 and rank > 2
        return both or (len(tensors) == 1 and arguments[0] is tensors[0] and rank > 1)
    if not isinstance(operation, _ELEMENTWISE):
        return False
    return all(_broadcasts_over_examples(other, rank) for other in others)


def _is_weight(tensor: Any) -> bool:
    return isinstance(tensor._keras_history[0], operations.ReadVariable)


def _broadcasts_over_examples(constant: Any, rank: int) -> bool:
    shape = getattr(constant, "shape", ())
    return len(shape) < rank or (len(shape) == rank and shape[0] == 1)


def _key_spares_batch_axis(arguments: Iterable[Any]) -> bool:
    for key in arguments:
        first = key[0] if isinstance(key, tuple | list) and len(key) else key
        return first is Ellipsis or (
            isinstance(first, slice) and first == slice(None, None, None)
        )
    return False
