"""Wrapper: the base of layers that run another layer."""

from __future__ import annotations

from typing import Any

from minikeras.layers.layer import Layer
from minikeras.registry import public
from minikeras.serialization import deserialize_keras_object, serialize_keras_object


@public("keras.layers")
class Wrapper(Layer):
    """The base of layers that take another layer and do more with it.

    A subclass defines `forward` and `backward` (or a `call` made of layers). This class
    keeps the wrapped layer, builds it and has it in its configuration.

    Args:
        layer: the layer to wrap.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    >>> from minikeras.layers.core.dense import Dense
    >>> Wrapper(Dense(2, name="inner")).layer.name
    'inner'
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Layer {layer} supplied to Wrapper isn't a supported layer type. "
                "Please ensure wrapped layer is a valid Keras layer."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Builds the wrapped layer, if that is still to do."""
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        """The wrapped layer's configuration inside this one's."""
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """The inverse of `get_config`."""
        config = dict(config)
        if isinstance(config.get("layer"), dict):
            config["layer"] = deserialize_keras_object(
                config["layer"], custom_objects=custom_objects
            )
        return super().from_config(config)
