"""Symbolic tensors and the graph they record.

`Dense(4)(Input((3,)))` computes nothing. It makes a `Node`, the record of one *call*:
which operation, with which arguments, giving which symbolic tensors. A model is a set
of such nodes; a layer called twice has two of them and shares its weights.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import budget, naming, tree
from minikeras.variables import standardize_dtype, standardize_shape

if TYPE_CHECKING:
    from minikeras.functions import differentiable
    from minikeras.gradients import Gradients


_serials = itertools.count()


class History(NamedTuple):
    """Where a symbolic tensor comes from."""

    operation: Any
    node_index: int
    tensor_index: int


_REFLECTED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "divide": "__rtruediv__",
    "power": "__rpow__",
    "matmul": "__rmatmul__",
}


class KerasTensor:
    """A tensor that has a shape and a dtype, and no values yet.

    Args:
        shape: tuple of ints and Nones, the batch axis included.
        dtype: string.
        sparse, ragged: False only; NumPy has no such arrays.
        record_history: accepted as in Keras.
        name: defaults to `keras_tensor`, `keras_tensor_1`, ...

    >>> x = KerasTensor((None, 3), "float32")
    >>> (2.0 * x[:, :2] + 1.0).shape
    (None, 2)
    """

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse or ragged:
            raise ValueError(
                "Sparse and ragged tensors are not implemented in minikeras. "
                f"Received: sparse={sparse}, ragged={ragged}"
            )
        self.shape = standardize_shape(shape)
        self.dtype = standardize_dtype(dtype)
        self.sparse = False
        self.ragged = False
        self.name = name or naming.auto_name("keras_tensor")
        self.record_history = record_history
        self._keras_history = History(None, 0, 0)
        self._node: Node | None = None  # the call that gave it
        # What a symbolic size of an axis is in the two trials of `shape_trials`.
        self._probes: tuple[int, int] | None = None
        limit = budget.current()
        if limit is not None:
            limit.count_tensor()

    @property
    def ndim(self) -> int:
        """Its rank."""
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise ValueError(
            "A KerasTensor is symbolic: it has a shape and a dtype but no values, so "
            "it cannot be used where NumPy expects an array. Use it with layers, "
            "activations and operators; write a `Layer` for anything else. "
            f"Received: {self!r}"
        )

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """`array + tensor` is `tensor.__radd__(array)`; no more is known to NumPy."""
        name = _REFLECTED.get(ufunc.__name__)
        if name and method == "__call__" and not is_keras_tensor(inputs[0]):
            return getattr(self, name)(inputs[0])
        return self.__array__()

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def __iter__(self) -> Any:
        raise NotImplementedError(
            "Iterating over a symbolic KerasTensor is not supported. Slice it instead."
        )

    def __len__(self) -> int:
        raise TypeError("A symbolic KerasTensor has no length. Use `.shape[0]`.")

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, "
            f"ragged=False, name={self.name}>"
        )


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is symbolic."""
    return isinstance(x, KerasTensor)


def any_symbolic(structure: Any) -> bool:
    """Whether a KerasTensor is among the leaves of a nested structure."""
    if isinstance(structure, dict):
        return any(any_symbolic(item) for item in structure.values())
    if isinstance(structure, list | tuple):
        return any(any_symbolic(item) for item in structure)
    return isinstance(structure, KerasTensor)


class _Recording(threading.local):
    def __init__(self) -> None:
        self.nodes: list[list[Node]] = []


_recording = _Recording()


@contextmanager
def passing_calls() -> Iterator[None]:
    """Calls made within it are not kept in the lists of operations called before, so
    that these do not grow. The tensors still know the calls they came from."""
    nodes: list[Node] = []
    _recording.nodes.append(nodes)
    try:
        yield
    finally:
        _recording.nodes.pop()
        _forget(nodes)


def _forget(nodes: list[Node]) -> None:
    new = {id(node) for node in nodes}
    forgotten = set()
    for node in reversed(nodes):
        calls = node.operation._inbound_nodes
        if calls[-1] is node and id(calls[0]) not in new:
            calls.pop()
            forgotten.add(id(node))
    for node in reversed(nodes):
        for parent in node.parent_nodes:
            following = parent.operation._outbound_nodes
            if id(parent) in forgotten and following and following[-1] is node:
                following.pop()


def _any_array(structure: Any) -> bool:
    return any(isinstance(leaf, np.ndarray) for leaf in tree.flatten(structure))


class Node:
    """One call of an operation in a graph.

    Attributes:
        operation: the layer or operation called (None for no operation).
        args, kwargs: the arguments, symbolic tensors among them.
        outputs: flat list of the symbolic tensors the call gave.
        input_tensors: flat list of the symbolic tensors among the arguments.
        serial: nodes are numbered as they are made.
        tensor_arguments: the arguments that carry symbolic tensors, in order, each with
            its nesting: what `backward` returns gradients for. A layer does not know
            constant arrays from others, so its arguments with arrays are among them.
            A mask is not: nothing is differentiated by it.
    """

    def __init__(
        self, operation: Operation, args: tuple, kwargs: dict[str, Any], outputs: Any
    ):
        self.serial = next(_serials)
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.output_structure = outputs
        self.outputs = tree.flatten(outputs)
        is_layer = hasattr(operation, "compute_mask")
        masks = ("mask", *getattr(operation, "mask_arguments", ()))
        named = [*((None, a) for a in args), *kwargs.items()]
        self.tensor_arguments = [
            a
            for name, a in named
            if name not in masks and (any_symbolic(a) or (is_layer and _any_array(a)))
        ]
        self.input_tensors = [
            t
            for a in [*self.tensor_arguments, *map(kwargs.get, masks)]
            for t in tree.flatten(a)
            if is_keras_tensor(t)
        ]
        self.parent_nodes = []
        for tensor in self.input_tensors:
            if tensor._node is not None:
                self.parent_nodes.append(tensor._node)
                tensor._node.operation._outbound_nodes.append(self)
        operation._inbound_nodes.append(self)
        index = len(operation._inbound_nodes) - 1
        for i, tensor in enumerate(self.outputs):
            tensor._keras_history = History(operation, index, i)
            tensor._node = self
        for recorded in _recording.nodes:
            recorded.append(self)

    @property
    def is_input(self) -> bool:
        """Whether it stands for a model input: nothing goes in."""
        return not self.args and not self.kwargs

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """Keras's name for `outputs`."""
        return self.outputs

    def fill(self, values: dict[int, Any]) -> tuple[tuple, dict[str, Any]]:
        """(args, kwargs) with `values[id(tensor)]` in the place of each tensor."""

        def replace(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        args = tuple(
            values[id(a)]
            if isinstance(a, KerasTensor)
            else tree.map_structure(replace, a)
            for a in self.args
        )
        kwargs = {k: tree.map_structure(replace, v) for k, v in self.kwargs.items()}
        return args, kwargs

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}>"


class Operation:
    """Anything a node can call: has a name, `forward` and `backward`.

    Layers are operations with weights; `FunctionOperation` wraps a plain pair.
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = naming.auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name} (of type {type(name)})"
            )
        self.name = name
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """(outputs, residuals): residuals are all that `backward` needs."""
        raise NotImplementedError

    def backward(self, dy: Any, residuals: Any, grads: Gradients) -> Any:
        """Adds the gradients of the weights to `grads`, returns those of the inputs."""
        raise NotImplementedError

    def run_forward(
        self, args: tuple, kwargs: dict[str, Any], training: bool | None, mask: Any
    ) -> tuple[Any, Any]:
        """Calls `forward` as a graph does."""
        return self.forward(*args, **kwargs)

    def run_backward(
        self, dy: Any, residuals: Any, grads: Gradients, need_dx: bool
    ) -> Any:
        """Calls `backward` as a graph does."""
        return self.backward(dy, residuals, grads)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic outputs for symbolic inputs."""
        from minikeras.shape_trials import infer_output_spec

        return infer_output_spec(
            lambda *a, **k: self.forward(*a, **k)[0], args, kwargs, self.name
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Values for arrays, a node for symbolic tensors."""
        if any_symbolic((args, kwargs)):
            outputs = self.compute_output_spec(*args, **kwargs)
            Node(self, args, kwargs, outputs)
            return outputs
        return self.forward(*args, **kwargs)[0]

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"

    @property
    def input(self) -> Any:
        """The symbolic input(s) of the first call."""
        return self._first_call("input_tensors", "input")

    @property
    def output(self) -> Any:
        """The symbolic output(s) of the first call."""
        return self._first_call("outputs", "output")

    def _first_call(self, attribute: str, name: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined "
                f"{name}."
            )
        tensors = getattr(self._inbound_nodes[0], attribute)
        return tensors[0] if len(tensors) == 1 else tensors


class FunctionOperation(Operation):
    """A `@differentiable` function with its parameters, as a node of a graph."""

    def __init__(
        self,
        function: differentiable,
        parameters: dict[str, Any] | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name or naming.auto_name(function.__name__))
        self.function = function
        self.parameters = dict(parameters or {})

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """The function's own forward."""
        return self.function.forward(x, **self.parameters)

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> np.ndarray:
        """The function's own gradient."""
        return self.function.backward(dy, residuals)
