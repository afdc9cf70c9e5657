"""Functional models: a graph of calls from given inputs to given outputs."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph, GraphResiduals
from minikeras.layers.core.input_layer import Input, InputLayer
from minikeras.layers.input_spec import InputSpec
from minikeras.layers.layer import Layer
from minikeras.messages import shape_hint, warn
from minikeras.models.model import Model
from minikeras.registry import public
from minikeras.symbolic import KerasTensor, Node
from minikeras.variables import dtype_name


@public("keras.src.models.functional")
class Functional(Model):
    """What `Model(inputs, outputs)` gives.

    Args:
        inputs: symbolic tensor(s), made by `Input` or by layers; lists and dicts too.
        outputs: symbolic tensor(s) that depend on them; lists and dicts too.
        name: defaults to `functional`, `functional_1`, ...
        trainable: whether the weights are trained.
    """

    _never_locked = True  # as in Keras

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ):
        trainable = kwargs.pop("trainable", None)
        _check_tensors("inputs", inputs)
        _check_tensors("outputs", outputs)
        _warn_about_names(inputs)
        Model.__init__(self, name=name, **kwargs)
        if not all(_made_by_input(t) for t in tree.flatten(inputs)):
            inputs, outputs = _copy_subgraph(inputs, outputs)
        self._input_structure = inputs
        self._output_structure = outputs
        self._graph = Graph(tree.flatten(inputs), tree.flatten(outputs))
        self._check_unique_names()
        if trainable is not None:
            self._trainable = bool(trainable)  # the layers keep their own
        self._built = True
        self.output_names = [t._keras_history[0].name for t in self.outputs]
        # One array for one input, the case of nearly every call, needs no flattening.
        self._plain = isinstance(inputs, KerasTensor) or (
            isinstance(inputs, list) and len(inputs) == 1
        )

    def _check_unique_names(self) -> None:
        names = [operation.name for operation in self._graph.operations]
        for name in names:
            if names.count(name) != 1:
                raise ValueError(
                    f'The name "{name}" is used {names.count(name)} times in the '
                    "model. All operation names should be unique."
                )

    def _sublayers(self) -> list[Any]:
        """The layers of the graph, then any set as attributes later."""
        graph = self.__dict__.get("_graph")
        found = list(self.layers) if graph is not None else []
        known = set(map(id, found))
        found.extend(x for x in super()._sublayers() if id(x) not in known)
        return found

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first, in Keras's order: by depth."""
        return [op for op in self._graph.operations if isinstance(op, Layer)]

    layers = layers.setter(Model.layers.fset)  # which refuses

    @property
    def operations(self) -> list[Any]:
        """The layers and operators."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return self._graph.outputs

    @property
    def input(self) -> Any:
        """The symbolic inputs as given."""
        return self._input_structure

    @property
    def output(self) -> Any:
        """The symbolic outputs as given."""
        return self._output_structure

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or the list of shapes."""
        shapes = [t.shape for t in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or the list of shapes."""
        shapes = [t.shape for t in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers."""
        return [t._keras_history[0].name for t in self.inputs]

    @property
    def _owner(self) -> str:
        """The name errors use: of the Sequential model it works for, or its own."""
        return self.__dict__.get("_sequential_name", self.name)

    def build(self, input_shape: Any = None) -> None:
        """A functional model is built as it is made."""
        self._built = True

    # --- Running ----------------------------------------------------------------------

    def forward(
        self, inputs: Any, *, training: bool | None = None, mask: Any = None
    ) -> tuple[Any, GraphResiduals]:
        """Runs the graph."""
        flat = self._flat_inputs(inputs)
        masks = None if mask is None else tree.flatten(mask)
        outputs, residuals = self._graph.forward(flat, training=training, masks=masks)
        return self._pack_outputs(outputs), residuals

    def backward(
        self,
        dy: Any,
        residuals: GraphResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> Any:
        """Runs it in reverse; the gradients come in the structure of the inputs."""
        douts = tree.flatten(dy) if tree.is_nested(dy) else [dy]
        flat = self._graph.backward(douts, residuals, grads, need_dx)
        if self._plain:
            return flat[0]
        return tree.pack_sequence_as(self._input_structure, flat)

    def _cast(self, x: Any) -> Any:
        return x if isinstance(x, np.ndarray) else super()._cast(x)

    def _trace(self, inputs: Any, training: bool) -> tuple[Graph, list[Any]]:
        return self._graph, self._flat_inputs(inputs)

    def _pack_outputs(self, flat: list[Any]) -> Any:
        if isinstance(self._output_structure, KerasTensor):
            return flat[0]
        if isinstance(self._output_structure, list | tuple) and len(flat) == 1:
            return flat[0]  # NB: Keras unpacks an output list of one
        return tree.pack_sequence_as(self._output_structure, flat)

    def _flat_inputs(self, inputs: Any) -> list[Any]:
        """Arrays in the order, rank and dtype of the graph's inputs."""
        if self._plain and isinstance(inputs, np.ndarray):
            return [self._fit_input(inputs, self._graph.inputs[0])]
        structure = self._input_structure
        if isinstance(inputs, dict) and not isinstance(structure, dict):
            names = [t.name for t in self._graph.inputs]
            if not set(names) <= set(inputs):
                raise ValueError(self._structure_message(inputs))
            inputs = [inputs[name] for name in names]
        elif not tree.same_structure(inputs, structure):
            inputs = self._without_spare_keys(inputs)
        flat = tree.flatten(inputs)
        if len(flat) != len(self._graph.inputs):
            raise ValueError(self._structure_message(inputs))
        pairs = zip(flat, self._graph.inputs, strict=True)
        return [self._fit_input(x, t) for x, t in pairs]

    def _without_spare_keys(self, inputs: Any) -> Any:
        """Inputs of another structure: refused, or used with a warning as in Keras."""
        structure, message = self._input_structure, self._structure_message(inputs)
        if isinstance(structure, dict):
            in_order = list(structure) == sorted(structure)
            if not isinstance(inputs, dict) and not in_order:
                raise ValueError(message)
            if isinstance(inputs, dict):
                if not set(structure) <= set(inputs):
                    raise ValueError(message)
                inputs = {key: inputs[key] for key in structure}
        if not (self._plain and not tree.is_nested(inputs)):
            warn(message)
        return inputs

    def _structure_message(self, inputs: Any) -> str:
        expected = tree.map_structure(lambda t: t.name, self._input_structure)
        received = tree.map_structure(
            lambda x: f"Tensor(shape={getattr(x, 'shape', None)})", inputs
        )
        return (
            f"The structure of `inputs` of model '{self._owner}' doesn't match the "
            f"expected structure.\nExpected: {expected}\nReceived: inputs={received}"
        )

    def _fit_input(self, x: Any, tensor: KerasTensor) -> Any:
        if x is None:
            if tensor._keras_history[0].optional:
                return None
            raise ValueError(
                f"The input '{tensor.name}' is not optional, but None was passed. "
                "Please provide a valid tensor."
            )
        if isinstance(x, KerasTensor):
            return x
        x, name = np.asarray(x), tensor._keras_history[0].name
        if x.dtype.kind not in "biuf":
            raise ValueError(
                f"Input '{name}' of model '{self._owner}' expects numbers. Received: "
                f" an array of dtype {x.dtype}"
            )
        if dtype_name(x.dtype) != tensor.dtype:
            x = x.astype(tensor.dtype)
        rank, given = len(tensor.shape), x.shape
        if x.ndim == rank + 1 and x.shape[-1] == 1:
            x = x[..., 0]
        elif x.ndim == rank - 1 and tensor.shape[-1] == 1:
            x = x[..., None]
        fits = x.ndim == rank and all(
            want is None or want == got
            for want, got in zip(tensor.shape[1:], x.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Input '{name}' of model '{self._owner}' expected shape "
                f"{tensor.shape}. Received: an array of shape {given}."
                f"{shape_hint(given, tensor.shape)}"
            )
        return x

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """The outputs for symbolic inputs, by following the graph."""
        flat = tree.flatten(inputs)
        if [t.shape for t in flat] == [t.shape for t in self.inputs]:
            specs = [KerasTensor(t.shape, t.dtype) for t in self.outputs]
            return self._pack_outputs(specs)
        values = {id(t): x for t, x in zip(self.inputs, flat, strict=True)}
        for step in self._graph.steps:
            args, kw = step.node.fill(values)
            spec = tree.flatten(step.operation.compute_output_spec(*args, **kw))
            values.update(zip(step.output_ids, spec, strict=True))
        return self._pack_outputs([values[id(t)] for t in self.outputs])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output shapes for input shapes, in their structures."""
        shapes = [input_shape] if self._plain else tree_of_shapes(input_shape)
        specs = [
            KerasTensor(shape, t.dtype)
            for shape, t in zip(shapes, self.inputs, strict=True)
        ]
        spec = self.compute_output_spec(specs)
        return tree.map_structure(lambda t: t.shape, spec)

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The masks that reach the outputs."""
        _, residuals = self.forward(inputs, mask=mask)
        return self._pack_outputs(residuals.output_masks)

    @property
    def input_spec(self) -> Any:
        """The shapes of the inputs; their batch axis is free."""
        if self.__dict__.get("_manual_input_spec") is not None:
            return self._manual_input_spec
        if "_graph" not in self.__dict__:
            return None
        return [
            InputSpec(
                shape=(None, *t.shape[1:]) if t.shape else (),
                allow_last_axis_squeeze=True,
                name=t._keras_history[0].name,
                optional=getattr(t._keras_history[0], "optional", False),
            )
            for t in self.inputs
        ]

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self._manual_input_spec = value

    # --- Configuration ----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The graph as plain data, in Keras's form."""
        if not has_functional_constructor(type(self)):
            return Model.get_config(self)
        from minikeras.models.functional_config import config_of_graph

        return {
            "name": self.name,
            "trainable": self.trainable,
            **config_of_graph(self),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Functional:
        """The inverse of `get_config`."""
        from minikeras.models.functional_config import graph_from_config

        return graph_from_config(cls, config, custom_objects)


def has_functional_constructor(cls: type) -> bool:
    """Whether `cls(inputs, outputs, name=...)` makes an instance."""
    spec = inspect.getfullargspec(cls.__init__)
    expected = inspect.getfullargspec(Functional.__init__).args[1:]
    both_starred = spec.varargs is not None and spec.varkw is not None
    return spec.args[1:] == expected or both_starred


def tree_of_shapes(shapes: Any) -> list[tuple]:
    """The shapes in a structure, flat: a tuple of sizes is one shape."""
    if isinstance(shapes, dict):
        return [s for key in sorted(shapes) for s in tree_of_shapes(shapes[key])]
    if all(n is None or isinstance(n, int) for n in shapes):
        return [tuple(shapes)]
    return [s for item in shapes for s in tree_of_shapes(item)]


def _check_tensors(what: str, structure: Any) -> None:
    for x in tree.flatten(structure):
        if not isinstance(x, KerasTensor):
            raise ValueError(
                f"All `{what}` values must be KerasTensors. Received: "
                f"{what}={structure} including invalid value {x} of type {type(x)}"
            )


def _warn_about_names(inputs: Any) -> None:
    if not isinstance(inputs, dict):
        return
    for key, tensor in inputs.items():
        if isinstance(tensor, KerasTensor) and key != tensor.name:
            warn(
                "When providing `inputs` as a dict, all keys in the dict must "
                f"match the names of the corresponding tensors. Received key '{key}' "
                f"mapping to value {tensor} which has name '{tensor.name}'. Change the "
                f"tensor name to '{key}' (via `Input(..., name='{key}')`)",
            )


def _made_by_input(tensor: KerasTensor) -> bool:
    return tensor._node is not None and tensor._node.is_input


def _copy_subgraph(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """A model that begins at an inner tensor: fresh inputs, the same layers called
    again, so that the original graph keeps its nodes."""
    flat_inputs = tree.flatten(inputs)
    graph = Graph(flat_inputs, tree.flatten(outputs))
    copies: dict[int, KerasTensor] = {}
    for tensor in flat_inputs:
        if _made_by_input(tensor):
            copies[id(tensor)] = tensor
        else:
            copies[id(tensor)] = Input(
                batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE"
            )
    for step in graph.steps:
        args, kwargs = step.node.fill(copies)
        fresh = [KerasTensor(t.shape, t.dtype) for t in step.node.outputs]
        structure = step.node.output_structure
        packed = tree.pack_sequence_as(structure, fresh)
        Node(step.operation, args, kwargs, packed)
        copies.update(zip(step.output_ids, fresh, strict=True))
    return (
        tree.map_structure(lambda t: copies[id(t)], inputs),
        tree.map_structure(lambda t: copies[id(t)], outputs),
    )


__all__ = ["Functional", "InputLayer"]
