"""What Keras 2 wrote into the configurations of layers without any effect."""

from __future__ import annotations

from typing import Any

# key -> the values with which it has no effect; None for any.
Keys = dict[str, tuple[Any, ...] | None]

# Keys that tf.keras wrote and that change nothing when they have these values.
_WITHOUT_EFFECT: Keys = {
    "time_major": (False,),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "fused": (None, True, False),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "ragged": (False,),
    "input_dtype": (None, "float32"),
    "input_length": None,  # of an Embedding
    "batch_input_shape": None,  # said by the InputLayer
    "_keras_api_names": None,
}
# The same for single layers: what they inherited from Conv and never looked at.
_ONE_GROUP = {"groups": (1,)}
_CONV_KERNEL: Keys = {
    **_ONE_GROUP,
    "kernel_initializer": None,
    "kernel_regularizer": None,
    "kernel_constraint": None,
}
_WITHOUT_EFFECT_IN: dict[str, Keys] = {
    "DepthwiseConv1D": _ONE_GROUP,
    "DepthwiseConv2D": _ONE_GROUP,
    "SeparableConv1D": _CONV_KERNEL,
    "SeparableConv2D": _CONV_KERNEL,
    "Conv1DTranspose": _ONE_GROUP,
    "Conv2DTranspose": _ONE_GROUP,
    "Conv3DTranspose": _ONE_GROUP,
    "CategoryEncoding": {"sparse": (False,)},
    "Discretization": {"trainable": (True, False)},
}


def keys_without_effect(class_name: str) -> Keys:
    """Those of one class of layers.

    >>> keys_without_effect("DepthwiseConv2D")["groups"]
    (1,)
    """
    return {**_WITHOUT_EFFECT, **_WITHOUT_EFFECT_IN.get(class_name, {})}
