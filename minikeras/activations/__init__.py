"""Activation functions, each with its gradient right under it.

`activations.relu(x)` gives values. Layers use the two halves:
`y, residuals = relu.forward(x)` and `dx = relu.backward(dy, residuals)`.
"""

from __future__ import annotations

from typing import Any

from minikeras.activations.adapters import LayerActivation, PlainFunction, as_activation
from minikeras.activations.exponential_units import (
    celu,
    elu,
    exponential,
    log_sigmoid,
    selu,
    softplus,
    squareplus,
)
from minikeras.activations.gated import gelu, glu, hard_silu, mish, silu
from minikeras.activations.identity import linear
from minikeras.activations.nodes import name_node
from minikeras.activations.normalizing import log_softmax, softmax, sparsemax
from minikeras.activations.rectified import (
    leaky_relu,
    relu,
    relu6,
    sparse_plus,
    threshold,
)
from minikeras.activations.shrinking import hard_shrink, soft_shrink, tanh_shrink
from minikeras.activations.squashing import (
    hard_sigmoid,
    hard_tanh,
    sigmoid,
    softsign,
    sparse_sigmoid,
    tanh,
)
from minikeras.registry import public, suggest

swish = silu
hard_swish = hard_silu
public("keras.activations", "swish")(silu)
public("keras.activations", "hard_swish")(hard_silu)

_FUNCTIONS = (
    relu, leaky_relu, relu6, softmax, celu, elu, selu, softplus, softsign, squareplus,
    soft_shrink, sparse_plus, silu, gelu, glu, tanh, tanh_shrink, threshold, sigmoid,
    sparse_sigmoid, exponential, hard_sigmoid, hard_silu, hard_tanh, hard_shrink,
    linear, mish, log_softmax, log_sigmoid, sparsemax,
)  # fmt: skip
# Their classes in `keras.src.ops.nn`, as files name them; tanh is elsewhere.
for _function, _cls_name in {
    leaky_relu: "LeakyRelu", relu6: "Relu6", softmax: "Softmax", celu: "Celu",
    elu: "Elu", selu: "Selu", softplus: "Softplus", softsign: "Softsign",
    squareplus: "Squareplus", soft_shrink: "SoftShrink", sparse_plus: "SparsePlus",
    silu: "Silu", gelu: "Gelu", glu: "Glu", tanh_shrink: "TanhShrink",
    threshold: "Threshold", sigmoid: "Sigmoid", sparse_sigmoid: "SparseSigmoid",
    hard_sigmoid: "HardSigmoid", hard_silu: "HardSilu", hard_tanh: "HardTanh",
    hard_shrink: "HardShrink", log_softmax: "LogSoftmax", log_sigmoid: "LogSigmoid",
    sparsemax: "Sparsemax",
}.items():  # fmt: skip
    name_node(_function, _cls_name, "keras.src.ops.nn")
name_node(relu, "ReLU", "keras.src.activations.activations")
public("keras.src.ops.nn", "Relu")(relu.node)  # what `ops.relu` is called
name_node(tanh, "Tanh", "keras.src.ops.numpy")

_BY_NAME = {function.__name__: function for function in _FUNCTIONS}
_BY_NAME.update(swish=silu, hard_swish=hard_silu)


def get(identifier: Any) -> Any:
    """The activation that an `activation=` argument means.

    Args:
        identifier: None (linear), a name, a `@differentiable` function, a layer
            instance without weights, a plain function (usable until a gradient is
            wanted), or the config dict of one of these.

    Returns:
        An object with `forward`, `backward` and `__call__`.

    Raises:
        ValueError: if it is none of these.

    >>> get("relu") is relu, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    found = identifier
    if isinstance(identifier, dict):
        from minikeras.serialization import deserialize_keras_object

        found = deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        found = _BY_NAME.get(identifier)
    if not callable(found):
        raise ValueError(
            f"Could not interpret activation function identifier: {identifier}."
            + suggest(identifier, _BY_NAME)
        )
    return as_activation(found)


def serialize(activation: Any) -> Any:
    """The name of one of our activations; a config dict for anything else.

    >>> serialize(swish)
    'silu'
    """
    for function in _FUNCTIONS:
        if function is activation:
            return function.__name__
    from minikeras.serialization import serialize_keras_object

    if isinstance(activation, LayerActivation):
        return serialize_keras_object(activation.layer)
    if isinstance(activation, PlainFunction):
        activation = activation.function
    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The inverse of `serialize`.

    >>> deserialize("relu") is relu
    True
    """
    if config is None or (isinstance(config, str) and config in _BY_NAME):
        return get(config)
    from minikeras.serialization import deserialize_keras_object

    found = deserialize_keras_object(config, custom_objects=custom_objects)
    return get(found)


__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "serialize",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold",
]  # fmt: skip
