"""The arguments of one call, by name, with their shapes: what `build` needs to know."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import tree

if TYPE_CHECKING:
    from minikeras.layers.layer import Layer

_NOT_TENSORS = ("training", "mask")


class CallRecord:
    """Arguments of a call bound to the names in the layer's `forward` or `call`."""

    def __init__(self, arguments: dict[str, Any]):
        self.arguments = arguments

    @classmethod
    def bind(cls, layer: Layer, args: tuple, kwargs: dict[str, Any]) -> CallRecord:
        """Names positional arguments by the signature."""
        from minikeras.layers.layer import Layer

        method = layer.forward
        if type(layer).forward is Layer.forward:
            method = layer.call
        bound = inspect.signature(method).bind(*args, **kwargs).arguments
        arguments: dict[str, Any] = {}
        for name, value in bound.items():
            if name == "kwargs" and isinstance(value, dict):
                arguments.update(value)
            elif name == "args" and isinstance(value, tuple):
                arguments.update({f"arg{i}": v for i, v in enumerate(value)})
            else:
                arguments[name] = value
        return cls(arguments)

    @property
    def tensors(self) -> dict[str, Any]:
        """The arguments that are tensors, or structures of them."""
        return {
            name: value
            for name, value in self.arguments.items()
            if name not in _NOT_TENSORS and _has_tensors(value)
        }

    @property
    def first_shape(self) -> Any:
        """The shape of the first argument, in its structure."""
        return _shape(next(iter(self.tensors.values())))

    def shapes_for(self, parameters: list[str]) -> dict[str, Any]:
        """Shapes for parameters named `<argument>_shape`."""
        shapes = {f"{name}_shape": _shape(x) for name, x in self.tensors.items()}
        if len(shapes) == 1:
            return {parameters[0]: next(iter(shapes.values()))}
        return {name: shapes[name] for name in parameters if name in shapes}


def pair_of(layer: Layer, result: Any) -> tuple[Any, Any]:
    """What `forward` returned, if it is `(y, residuals)`."""
    if isinstance(result, tuple) and len(result) == 2:
        return result
    what = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result)
    raise TypeError(
        f"`forward` of {type(layer).__name__} '{layer.name}' must return two things, "
        "the output and the residuals (what `backward` needs; None if nothing): "
        f"`return y, residuals`. Received: {what}"
    )


def fresh(outputs: Any, inputs: Any) -> Any:
    """`outputs`, copied where they are views of `inputs`: as in Keras, changing what a
    call returned in place does not change what went in."""
    given = [x for x in tree.flatten(inputs) if isinstance(x, np.ndarray)]

    def own(y: Any) -> Any:
        if not isinstance(y, np.ndarray):
            return y
        return y.copy() if any(np.may_share_memory(y, x) for x in given) else y

    if isinstance(outputs, np.ndarray):
        return own(outputs)
    return tree.map_structure(own, outputs)


def _has_tensors(value: Any) -> bool:
    return any(hasattr(leaf, "shape") for leaf in tree.flatten(value))


def _shape(structure: Any) -> Any:
    def shape(leaf: Any) -> Any:
        return tuple(leaf.shape) if hasattr(leaf, "shape") else None

    if tree.is_nested(structure):
        return tree.map_structure(shape, structure)
    return shape(structure)
