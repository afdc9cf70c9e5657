"""The names that activations have in Keras's files, as nodes of functional models."""

from __future__ import annotations

from typing import Any

from minikeras.functions import differentiable
from minikeras.registry import public
from minikeras.symbolic import FunctionOperation


class ActivationNode(FunctionOperation):
    """An activation as an operation that a config can name."""

    activation: differentiable

    def __init__(
        self,
        function: differentiable | None = None,
        parameters: dict[str, Any] | None = None,
        name: str | None = None,
        **config: Any,
    ):
        super().__init__(function or self.activation, {**(parameters or {}), **config})
        if name is not None:
            self.name = name

    def get_config(self) -> dict[str, Any]:
        """The parameters and the name."""
        return {**self.parameters, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ActivationNode:
        """The inverse of `get_config`."""
        return cls(**config)


def name_node(function: differentiable, cls_name: str, module: str) -> None:
    """Gives calls of `function` on symbolic tensors a class with Keras's name."""
    members = {
        "activation": function,
        "__doc__": f"`{function.__name__}` in a functional model.",
        "__module__": __name__,
    }
    cls = type(cls_name, (ActivationNode,), members)
    function.node = public(module)(cls)
