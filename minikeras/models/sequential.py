"""Sequential: layers one after another."""

from __future__ import annotations

from typing import Any

from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.layers.core.input_layer import InputLayer
from minikeras.layers.layer import Layer
from minikeras.models.functional import Functional
from minikeras.models.model import Model
from minikeras.registry import public
from minikeras.symbolic import KerasTensor
from minikeras.variables import standardize_shape


@public("keras")
class Sequential(Model):
    """A model that is a plain stack: each layer's output is the next one's input.

    Args:
        layers: the layers; may begin with an `Input`. More follow with `add`.
        trainable: whether the weights are trained.
        name: defaults to `sequential`, `sequential_1`, ...

    With an `Input` first the weights exist at once. Without, they are made when the
    input shape is known: by `build(input_shape)`, a call on data, or `fit`.

    >>> from minikeras import Input, Sequential, layers
    >>> model = Sequential([Input((784,)), layers.Dense(10), layers.Dense(1)])
    >>> [w.shape for w in model.get_weights()]
    [(784, 10), (10,), (10, 1), (1,)]
    """

    _never_locked = True  # as in Keras

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None
    ):
        super().__init__(trainable=trainable, name=name)
        self._functional: Functional | None = None
        self._stack: list[Layer] = []
        if layers:
            for layer in layers:
                self.add(layer, rebuild=False)
            self._maybe_rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer, or an `Input`, on top of the stack.

        Raises:
            ValueError: if it is not a layer, or its name is taken.
        """
        if not self._stack and getattr(layer, "_input_shape_arg", None) is not None:
            self.add(InputLayer(shape=layer._input_shape_arg))
        if isinstance(layer, KerasTensor):
            origin = layer._keras_history[0]
            layer = origin if isinstance(origin, InputLayer) else layer
        if not isinstance(layer, Layer):
            raise ValueError(
                "Only instances of `keras.Layer` can be added to a Sequential model. "
                f"Received: {layer} (of type {type(layer)})"
            )
        if any(x.name == layer.name and x is not layer for x in self._stack):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model. Update "
                "the `name` argument to pass a unique name."
            )
        starts = bool(self._stack) and isinstance(self._stack[0], InputLayer)
        if isinstance(layer, InputLayer) and starts:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use "
                f"input shape {self._stack[0].batch_shape}. You cannot add a different "
                "Input layer to it."
            )
        self._stack.append(layer)
        if rebuild:
            self._maybe_rebuild()
        else:
            self._forget()

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the top layer off the stack and returns it."""
        layer = self._stack.pop()
        self._forget()
        if rebuild and self._stack:
            self._maybe_rebuild()
        return layer

    def _forget(self) -> None:
        self.built = False
        self._functional = None

    def _maybe_rebuild(self) -> None:
        self._forget()
        if len(self._stack) > 1:
            first = self._stack[0]
            if isinstance(first, InputLayer):
                self.build(first.batch_shape)
            elif isinstance(first, Functional | Sequential) and first.built:
                self.build(first.input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights.

        Args:
            input_shape: shape of the input, the batch axis included (None).
        """
        try:
            shape = standardize_shape(input_shape)
        except ValueError:
            return  # NB: Keras leaves a model with several inputs unbuilt
        if not self._stack:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no "
                "layers. Call `model.add(layer)`."
            )
        first = self._stack[0]
        if not isinstance(first, InputLayer):
            self._stack.insert(
                0, InputLayer(batch_shape=shape, dtype=first.compute_dtype)
            )
        elif first.batch_shape != shape:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use "
                f"input shape {first.batch_shape}. You cannot build it with "
                f"input_shape {shape}"
            )
        inputs = self._stack[0].output
        x = inputs
        for layer in self._stack[1:]:
            x = layer(x)
        self._functional = Functional(inputs, x)
        self._functional._sequential_name = self.name

    def _sublayers(self) -> list[Any]:
        return list(self.__dict__.get("_stack", ()))

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `InputLayer`."""
        stack = self._stack
        return stack[1:] if stack and isinstance(stack[0], InputLayer) else stack[:]

    layers = layers.setter(Model.layers.fset)  # which refuses

    # --- Running: as the functional model of the stack --------------------------------

    def _require(self, what: str = "input") -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {what} yet: its input "
                "shape is not known. Build it, call it on data, or begin it with an "
                "`Input`."
            )
        return self._functional

    def forward(
        self, inputs: Any, *, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Runs the layers in order."""
        self._ensure_built(inputs)
        return self._require().forward(inputs, training=training, mask=mask)

    def backward(
        self, dy: Any, residuals: Any, grads: Gradients, need_dx: bool = True
    ) -> Any:
        """Runs them in reverse."""
        return self._require().backward(dy, residuals, grads, need_dx)

    def _trace(self, inputs: Any, training: bool) -> tuple[Graph, list[Any]]:
        self._ensure_built(inputs)
        return self._require()._trace(inputs, training)

    def _pack_outputs(self, flat: list[Any]) -> Any:
        return flat[0] if len(flat) == 1 else self._require()._pack_outputs(flat)

    def _ensure_built(self, inputs: Any) -> None:
        if self._functional is None:
            shape = getattr(inputs, "shape", None)
            # The batch size of the first data says nothing of the next.
            self.build(None if shape is None else (None, *shape[1:]))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """The outputs for symbolic inputs."""
        return self._require().compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output shape for an input shape."""
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask that reaches the output."""
        return self._require().compute_mask(inputs, mask)

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._require("input shape").input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._require("output shape").output_shape

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return self._require("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list."""
        return self._require("outputs").outputs

    @property
    def input_dtype(self) -> str:
        """The dtype of the `Input`, if there is one."""
        stack = self.__dict__.get("_stack", ())
        if stack and isinstance(stack[0], InputLayer):
            return stack[0].dtype
        return super().input_dtype

    # --- Configuration ----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The layers' configs in order, in Keras's form."""
        from minikeras.serialization import serialize_keras_object

        config = Model.get_config(self)
        config["layers"] = [serialize_keras_object(layer) for layer in self._stack]
        if self._functional is not None:
            config["build_input_shape"] = self._stack[0].batch_shape
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Sequential:
        """The inverse of `get_config`."""
        from minikeras.serialization import deserialize_keras_object

        if (
            not isinstance(config, dict)
            or "name" not in config
            or "layers" not in config
        ):
            raise ValueError(
                "A Sequential model configuration must be a dictionary containing the "
                f"'name' and 'layers' keys. Received: config={config}"
            )
        model = cls(name=config["name"])
        for layer_config in config["layers"]:
            layer = deserialize_keras_object(
                layer_config, custom_objects=custom_objects
            )
            model.add(layer, rebuild=False)
        model._maybe_rebuild()
        shape = config.get("build_input_shape")
        if model._functional is None and isinstance(shape, list | tuple):
            model.build(tuple(shape))
        return model
