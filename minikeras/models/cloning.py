"""clone_model: the same architecture with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikeras import tree
from minikeras.layers.core.input_layer import Input, InputLayer
from minikeras.layers.layer import Layer
from minikeras.models.functional import Functional
from minikeras.models.model import Model
from minikeras.models.sequential import Sequential


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model with the same layers and new weights.

    Args:
        model: `Sequential` or functional; a subclassed one is made from its config.
        input_tensors: symbolic tensors to begin with, in the place of new inputs.
        clone_function: makes the copy of a layer; `from_config` by default.
        call_function: calls the copy: `call_function(layer, *args, **kwargs)`.
        recursive: whether nested models are cloned layer by layer too.

    NB: a clone of a compiled model is compiled, with a new optimizer. A subclassed
    model, which is made from its config, is not.
    """
    if kwargs:
        raise ValueError(f"Arguments not recognized: {kwargs}")
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(
                "`call_function` argument is not supported with Sequential models. "
                "In a Sequential model, layers aren't called at model-construction "
                f"time (they're merely listed). Received: call_function={call_function}"
            )
        copy = _clone_sequential(model, clone_function, input_tensors, recursive)
        return _compiled_like(model, copy)
    if isinstance(model, Functional):
        copy = _clone_functional(
            model, clone_function, call_function, input_tensors, recursive
        )
        return _compiled_like(model, copy)
    if clone_function is not None or input_tensors is not None:
        raise ValueError(
            "Arguments `clone_function` and `input_tensors` are only supported for "
            f"Sequential models or Functional models. Received: {type(model).__name__}"
        )
    return type(model).from_config(model.get_config())


def _compiled_like(model: Any, copy: Any) -> Any:
    if model.compiled:
        copy.compile_from_config(model.get_compile_config())
    return copy


def _copy_layer(layer: Any, clone_function: Any, recursive: bool) -> Any:
    if recursive and isinstance(layer, Sequential | Functional):
        return clone_model(layer, clone_function=clone_function, recursive=True)
    if clone_function is None or isinstance(layer, InputLayer):
        return type(layer).from_config(layer.get_config())
    if not isinstance(layer, Layer) or (isinstance(layer, Model) and not recursive):
        return type(layer).from_config(layer.get_config())
    return clone_function(layer)


def _clone_sequential(
    model: Sequential, clone_function: Any, input_tensors: Any, recursive: bool
) -> Sequential:
    layers = [_copy_layer(x, clone_function, recursive) for x in model.layers]
    if input_tensors is not None:
        flat = tree.flatten(input_tensors)
        if len(flat) != 1:
            raise ValueError(
                "Argument `input_tensors` must contain a single tensor. Received: "
                f"{input_tensors}"
            )
        layers.insert(0, flat[0])
    elif isinstance(model._stack[0] if model._stack else None, InputLayer):
        first = model._stack[0]
        layers.insert(0, Input(batch_shape=first.batch_shape, dtype=first.dtype))
    copy = Sequential(layers, trainable=model.trainable, name=model.name)
    if model.built and not copy.built and len(layers):
        copy.build(model.input_shape)
    return copy


def _clone_functional(
    model: Functional,
    clone_function: Any,
    call_function: Any,
    input_tensors: Any,
    recursive: bool,
) -> Functional:
    if input_tensors is None:
        tensors = [
            Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs
        ]
    else:
        tensors = tree.flatten(input_tensors)
        if len(tensors) != len(model.inputs):
            raise ValueError(
                f"Argument `input_tensors` must have {len(model.inputs)} tensors. "
                f"Received: {input_tensors}"
            )
    values = {id(t): new for t, new in zip(model.inputs, tensors, strict=True)}
    copies: dict[int, Any] = {}
    for step in model._graph.steps:
        operation = step.operation
        if id(operation) not in copies:
            if isinstance(operation, Layer):
                copies[id(operation)] = _copy_layer(
                    operation, clone_function, recursive
                )
            else:
                copies[id(operation)] = operation
        args, kwargs = step.node.fill(values)
        copy = copies[id(operation)]
        if call_function is None:
            outputs = copy(*args, **kwargs)
        else:
            outputs = call_function(copy, *args, **kwargs)
        values.update(zip(step.output_ids, tree.flatten(outputs), strict=True))
    inputs = tree.pack_sequence_as(model._input_structure, tensors)
    outputs = tree.map_structure(lambda t: values[id(t)], model._output_structure)
    return type(model)(inputs, outputs, name=model.name)
