"""`layers.serialize` and `layers.deserialize`."""

from __future__ import annotations

from typing import Any

from minikeras.layers.layer import Layer
from minikeras.serialization import deserialize_keras_object, serialize_keras_object


def serialize(layer: Layer) -> dict[str, Any]:
    """The layer as plain data, in Keras's form.

    >>> from minikeras.layers import Flatten
    >>> serialize(Flatten(name="flat"))["class_name"]
    'Flatten'
    """
    return serialize_keras_object(layer)


def deserialize(config: dict[str, Any], custom_objects: Any = None) -> Layer:
    """A new layer from what `serialize` gave.

    Raises:
        ValueError: if the config describes something else.
    """
    layer = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(
            "`keras.layers.deserialize` was passed a `config` object that is not a "
            f"`keras.layers.Layer`. Received: {config}"
        )
    return layer
