"""The parts of a graph that runs: its steps, and what they leave for the backward."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.symbolic import KerasTensor, Node, is_keras_tensor
from minikeras.variables import dtype_name


class Logits(NamedTuple):
    """What belongs to the result of a softmax or sigmoid; see logits.py."""

    activation: str  # its name
    z: np.ndarray  # what went in


class Record(NamedTuple):
    """What one node's call leaves for its backward."""

    residuals: Any
    penalized: tuple[np.ndarray, ...]  # outputs with an activity regularizer
    shapes: tuple[Any, ...] = ()  # (shape, dtype) of each output, where asked for
    # (output, input): pairs of which the second was returned as the first, with logits
    handed_on: tuple[tuple[int, KerasTensor], ...] = ()


class GraphResiduals(NamedTuple):
    """What a forward pass through a graph leaves for its backward.

    The last field is for who enters the backward not only by the outputs but by their
    logits: `residuals._replace(dlogits=...)`.
    """

    records: tuple[Record, ...]  # one per node, in the order they ran
    output_masks: list[np.ndarray | None]  # masks that reached the outputs
    activity_loss: Any  # sum of all that is added to the loss on the way
    losses: tuple[np.ndarray, ...] = ()  # the values of `Graph.losses`
    penalties: tuple[Any, ...] = ()  # the numbers `activity_loss` is the sum of
    output_logits: tuple[Logits | None, ...] = ()  # what the outputs were made of
    dlogits: tuple[np.ndarray | None, ...] = ()  # the gradients of these


def graph_residuals(residuals: Any) -> GraphResiduals | None:
    """Those of the graph inside: of a nested model, or of a layer's traced `call`."""
    if isinstance(residuals, GraphResiduals):
        return residuals
    found = getattr(residuals, "graph", None)
    return found if isinstance(found, GraphResiduals) else None


class Step:
    """One node, with what can be known of its call before it runs."""

    def __init__(self, node: Node):
        self.node = node
        self.operation = node.operation
        self.input_ids = [id(t) for t in node.input_tensors]
        self.output_ids = [id(t) for t in node.outputs]
        self.one_output = len(self.output_ids) == 1
        # The first argument's mask is the one that travels.
        self.first = (
            node.args[0] if node.args else next(iter(node.kwargs.values()), None)
        )
        only = len(node.args) == 1 and not node.kwargs
        self.only_input = (
            id(self.first) if only and isinstance(self.first, KerasTensor) else None
        )
        self.one_tensor_argument = len(node.tensor_arguments) == 1
        self.masks = bool(getattr(self.operation, "supports_masking", False))
        self.makes_mask = bool(getattr(self.operation, "makes_mask", False))
        self.is_layer = hasattr(self.operation, "compute_mask")
        self.may_make_masks = self.makes_mask or _is_made_of_others(self.operation)
        self.named_masks = _named_masks(node)
        # A user's layer gets zeros for an output that nobody used, ours get None.
        zeros = getattr(self.operation, "_wants_zeros", False)
        self.wants_zeros = zeros and len(self.output_ids) > 1
        self.may_have_logits = False
        self.last_uses: list[int] = []
        self._variables: list[Any] | None = None

    @property
    def variables(self) -> list[Any]:
        """The weights of the operation, nested ones included."""
        if self._variables is None:
            self._variables = list(getattr(self.operation, "weights", ()))
        return self._variables

    def arguments(self, values: dict[int, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments of the call, with values in the place of tensors."""
        if self.only_input is not None:
            return (values[self.only_input],), {}
        return self.node.fill(values)

    def with_masks(
        self, kwargs: dict[str, Any], masks: dict[int, Any]
    ) -> dict[str, Any]:
        """`kwargs`, and the masks that the call takes beside its arguments."""
        found = {
            name: masks[id(tensor)]
            for name, tensor in self.named_masks.items()
            if id(tensor) in masks and kwargs.get(name) is None
        }
        return {**kwargs, **found} if found else kwargs


def _is_made_of_others(operation: Any) -> bool:
    """Whether there is a graph inside, which knows masks of its own."""
    if not hasattr(operation, "_sublayers"):  # an operator
        return False
    return operation._is_made_of_layers() or bool(operation._sublayers())


def _named_masks(node: Node) -> dict[str, KerasTensor]:
    """`{"value_mask": value, ...}` for the operations that take masks by name."""
    names = getattr(node.operation, "mask_arguments", ())
    if not names:
        return {}
    signature = inspect.signature(node.operation.forward)
    bound = signature.bind(*node.args, **node.kwargs).arguments
    named = {f"{name}_mask": value for name, value in bound.items()}
    return {k: v for k, v in named.items() if k in names and isinstance(v, KerasTensor)}


def mask_of(structure: Any, masks: dict[int, Any]) -> Any:
    """The masks of the first argument, in its structure; None if there are none."""
    if is_keras_tensor(structure):
        return masks.get(id(structure))
    if not tree.is_nested(structure):
        return None
    found = tree.map_structure(lambda leaf: masks.get(id(leaf)), structure)
    return None if all(m is None for m in tree.flatten(found)) else found


def accumulate(sums: dict[int, Any], tensor: KerasTensor, gradient: Any) -> None:
    """Adds out of place: a layer may return the same array for several inputs."""
    if gradient is None:
        return
    gradient = in_dtype_of(tensor, gradient)
    known = sums.get(id(tensor))
    sums[id(tensor)] = gradient if known is None else known + gradient


def in_dtype_of(tensor: KerasTensor, gradient: Any) -> Any:
    """The gradient in the dtype of what it belongs to, if that is a float's."""
    if gradient is None or dtype_name(gradient.dtype) == tensor.dtype:
        return gradient
    return gradient.astype(tensor.dtype) if "float" in tensor.dtype else gradient
