"""Layers and models made of other layers: their `call`, traced once into a graph.

`call` runs on symbolic tensors; the nodes it records are the layer's forward, and the
backward of each gives the backward of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from minikeras import tree
from minikeras.graph import Graph, GraphResiduals
from minikeras.symbolic import KerasTensor, passing_calls
from minikeras.tracing import trace_variables

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.layers.layer import Layer


# How many are kept per layer: with more shapes the oldest are made again when needed.
MOST_TRACES = 32


class TracedResiduals(NamedTuple):
    """What the forward of a traced layer leaves for its backward."""

    trace: Trace
    graph: GraphResiduals

    @property
    def activity_loss(self) -> Any:
        """Sum of the activity penalties inside."""
        return self.graph.activity_loss

    @property
    def penalties(self) -> tuple[Any, ...]:
        """The numbers it is the sum of."""
        return self.graph.penalties


class Trace:
    """The graph of one `call`, for inputs of given shapes and one `training` value."""

    def __init__(
        self, layer: Layer, args: tuple, kwargs: dict[str, Any], training: bool
    ):
        def symbolic(leaf: Any) -> Any:
            if not hasattr(leaf, "shape"):
                return leaf
            shape = (None, *leaf.shape[1:]) if len(leaf.shape) else ()
            return KerasTensor(shape, _dtype(leaf))

        args = tuple(tree.map_structure(symbolic, a) for a in args)
        kwargs = {k: tree.map_structure(symbolic, v) for k, v in kwargs.items()}
        self.inputs = [t for t in tree.flatten([args, kwargs]) if _is_symbolic(t)]
        others = [v for k, v in kwargs.items() if k != "mask"]
        self.arguments = [a for a in [*args, *others] if _nested_has(a)]
        from minikeras.layers.layer import accepts

        if "training" in accepts(type(layer).call, ("training",)):
            kwargs = {**kwargs, "training": training}
        self.outputs, losses = _record(layer, args, kwargs)
        flat = tree.flatten(self.outputs)
        if not all(_is_symbolic(t) for t in flat):
            raise ValueError(
                f"The `call` of {type(layer).__name__} (named '{layer.name}') must "
                "return tensors that depend on its inputs. Received: "
                f"{[type(t).__name__ for t in flat]}"
            )
        self.graph = Graph(self.inputs, flat, losses, as_recorded=True)

    def output_spec(self) -> Any:
        """Fresh symbolic tensors of the outputs' shapes."""
        return tree.map_structure(lambda t: KerasTensor(t.shape, t.dtype), self.outputs)

    def forward(
        self, args: tuple, kwargs: dict[str, Any], training: bool, mask: Any
    ) -> tuple[Any, TracedResiduals]:
        """Runs the graph."""
        arrays = [a for a in tree.flatten([args, kwargs]) if hasattr(a, "shape")]
        masks = None if mask is None else tree.flatten(mask)
        flat, residuals = self.graph.forward(arrays, training=training, masks=masks)
        y = tree.pack_sequence_as(self.outputs, flat)
        return y, TracedResiduals(self, residuals)

    def backward(
        self, dy: Any, residuals: TracedResiduals, grads: Gradients, need_dx: bool
    ) -> Any:
        """Runs it in reverse."""
        douts = tree.flatten(dy) if tree.is_nested(self.outputs) else [dy]
        flat = self.graph.backward(douts, residuals.graph, grads, need_dx)
        found = {id(t): dx for t, dx in zip(self.inputs, flat, strict=True)}
        parts = [
            tree.map_structure(lambda t: found.get(id(t)), a) for a in self.arguments
        ]
        return tuple(parts) if len(parts) > 1 else parts[0]


def _record(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> tuple[Any, list[Any]]:
    """(what `call` returns for symbolic tensors, what it gave to `add_loss`)."""
    layer._traced_losses = []
    try:
        with layer._open_name_scope(), trace_variables():
            outputs = layer.call(*args, **kwargs)
    except TypeError as error:
        if "NoneType" not in str(error) and "KerasTensor" not in str(error):
            raise
        cause = str(error).rstrip(".")
        raise TypeError(
            f"{cause}. This is in the `call` of {type(layer).__name__} (named "
            f"'{layer.name}'), which is traced once with symbolic tensors: sizes "
            "that are not known yet are None in `x.shape`. `keras.ops.shape(x)` "
            "gives symbolic numbers for them, to compute with and to use in "
            "shapes, but not in `if`, `range`, `int` or slices"
        ) from error
    except ValueError as error:
        if "symbolic" not in str(error):
            raise
        raise ValueError(
            f"The `call` of {type(layer).__name__} (named '{layer.name}') uses "
            "NumPy on its inputs, so its gradient cannot be found. Make it of "
            "layers, activations and operators only, or write `forward` and "
            f"`backward`. Cause: {error}"
        ) from error
    finally:
        losses, layer._traced_losses = layer._traced_losses, None
    return outputs, losses


def trace(layer: Layer, args: tuple, kwargs: dict[str, Any], training: bool) -> Trace:
    """The trace for these shapes, made the first time they are seen."""
    traces = layer.__dict__.setdefault("_traces", {})
    leaves = tree.flatten([args, kwargs])
    shapes = tuple(
        (tuple(x.shape[1:]), _dtype(x)) if hasattr(x, "shape") else repr(x)
        for x in leaves
    )
    key = (training, shapes)
    if key not in traces:
        while len(traces) >= MOST_TRACES:
            del traces[next(iter(traces))]  # the oldest
        with passing_calls():
            traces[key] = Trace(layer, args, kwargs, training)
    return traces[key]


def _dtype(x: Any) -> str:
    return x.dtype if isinstance(x.dtype, str) else x.dtype.name


def _is_symbolic(x: Any) -> bool:
    return isinstance(x, KerasTensor)


def _nested_has(structure: Any) -> bool:
    return any(_is_symbolic(t) for t in tree.flatten(structure))
