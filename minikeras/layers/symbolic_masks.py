"""Masks of symbolic tensors, recorded in the graph where Keras records them.

When a model runs, masks travel beside the values (graph.py). A graph that is only being
drawn has symbolic masks: `ids != 0` is a node, and a layer that takes a mask has it as
an argument of its call. So a model's configuration and summary are those of Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minikeras import tree
from minikeras.symbolic import any_symbolic, is_keras_tensor

if TYPE_CHECKING:
    from minikeras.layers.layer import Layer


def symbolic_mask(structure: Any) -> Any:
    """The masks of symbolic tensors, in their structure; None if there are none."""
    masks = tree.map_structure(lambda t: getattr(t, "_keras_mask", None), structure)
    return masks if any_symbolic(masks) else None


def add_mask(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`kwargs`, with the mask of the only tensor argument if the layer takes one."""
    if kwargs.get("mask") is not None or "mask" not in layer._forward_takes:
        return kwargs
    if not getattr(layer, "records_mask", True):  # Keras's has no such argument
        return kwargs
    carrying = [a for a in [*args, *kwargs.values()] if any_symbolic(a)]
    mask = symbolic_mask(carrying[0]) if len(carrying) == 1 else None
    return kwargs if mask is None else {**kwargs, "mask": mask}


def mark_outputs(
    layer: Layer, args: tuple, kwargs: dict[str, Any], outputs: Any
) -> None:
    """Hangs masks on the symbolic outputs, if the layer passes them on."""
    first = args[0] if args else next(iter(kwargs.values()))
    mask = kwargs.get("mask")
    mask = symbolic_mask(first) if mask is None else mask
    if not layer.supports_masking or (mask is None and not layer.makes_mask):
        return
    if hasattr(layer, "_graph") or hasattr(layer, "_stack"):
        return  # NB: a nested model hands its masks on only when it runs, in Keras too
    try:
        found = layer.compute_mask(first, mask)
    except ValueError as error:
        if "symbolic" not in str(error):
            raise
        return  # a mask computed with NumPy is known only when the model runs
    if found is None:
        return
    for tensor, mask in zip(tree.flatten(outputs), tree.flatten(found), strict=False):
        if is_keras_tensor(mask):
            tensor._keras_mask = mask
