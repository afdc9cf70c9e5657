"""Logits: what went into a final softmax or sigmoid, for losses that prefer it.

NB: Keras on TensorFlow remembers, on the very tensor that `softmax` and `sigmoid`
return, what went in; a crossentropy that is given this tensor uses the logits instead,
also with `from_logits=False`. It is more exact: the log of a probability that rounds to
0 or 1 is lost, the logit is not. A layer that returns its input untouched (`Identity`,
`Dropout` in inference) hands the same tensor on, and so the logits too.

Here logits travel beside the values of a graph, as masks do. An operation that ends in
an activation is run as two, so that what comes between them is known:

    z = everything before the activation
    y = activation(z)

and backward may be entered at either: `dz` of the logits is added to what comes through
the activation from `dy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from minikeras import activations
from minikeras.graph_steps import (
    GraphResiduals,
    Logits,
    Record,
    Step,
    accumulate,
    graph_residuals,
)
from minikeras.symbolic import FunctionOperation, KerasTensor, Operation

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

_REMEMBERED = (activations.softmax, activations.sigmoid)


class ActivatedResiduals(NamedTuple):
    """What an operation that was run as two leaves for its backward."""

    before: Any  # the layer without its activation; None: there is only the activation
    before_residuals: Any
    activation: Any
    activation_residuals: Any
    logits: Logits


def run_forward(
    operation: Any, args: tuple, kwargs: dict[str, Any], training: Any, mask: Any
) -> tuple[Any, Any]:
    """The forward of a call; run as two if it ends in a softmax or sigmoid."""
    activation = _final_activation(operation, kwargs, mask)
    if activation is None:
        return operation.run_forward(args, kwargs, training, mask)
    before, residuals, z = None, None, args[0]
    if not isinstance(operation, FunctionOperation):
        before = _without_activation(operation)
        z, residuals = before.run_forward(args, kwargs, training, None)
    y, kept = activation.forward(z, **getattr(operation, "parameters", {}))
    logits = Logits(activation.__name__, z)
    return y, ActivatedResiduals(before, residuals, activation, kept, logits)


def _final_activation(operation: Any, kwargs: dict[str, Any], mask: Any) -> Any:
    """The softmax or sigmoid that a call ends in, or None."""
    if isinstance(operation, FunctionOperation):
        found = operation.function
    elif getattr(operation, "ends_in_activation", False):
        mask = kwargs.get("mask", mask)
        if mask is not None and "mask" in operation._forward_takes:
            return None  # NB: Softmax puts zeros where masked: another tensor in Keras
        found = operation.activation
    else:
        return None
    return found if found in _REMEMBERED else None


def _without_activation(layer: Operation) -> Any:
    """The same layer, with the same variables, but linear at its end."""
    bare = object.__new__(type(layer))
    bare.__dict__.update(layer.__dict__, activation=activations.linear)
    return bare


def find_logits(
    step: Step,
    flat: list[Any],
    residuals: Any,
    values: dict[int, Any],
    logits: dict[int, Logits],
) -> tuple[tuple[int, KerasTensor], ...]:
    """Stores the logits of a step's outputs: its own, those that a graph inside found,
    and those of inputs that were returned untouched. Returns these, see `Record`."""
    if isinstance(residuals, ActivatedResiduals):
        logits[step.output_ids[0]] = residuals.logits
        return ()
    inner = graph_residuals(residuals)
    if inner is not None:
        for key, found in zip(step.output_ids, inner.output_logits, strict=True):
            if found is not None:
                logits[key] = found
    handed_on = []
    if logits:
        for key, y in zip(step.output_ids, flat, strict=True):
            for tensor in step.node.input_tensors:
                if id(tensor) in logits and values[id(tensor)] is y:
                    logits[key] = logits[id(tensor)]
                    handed_on.append((key, tensor))
                    break
    return tuple(handed_on)


def take_dlogits(
    step: Step, record: Record, of_logits: dict[int, Any]
) -> tuple[Any, ...]:
    """The gradients of the logits of a step's outputs; () if there are none here, or
    if they belong to its inputs, to which they are handed back."""
    for key, tensor in record.handed_on:
        accumulate(of_logits, tensor, of_logits.pop(key, None))
    found = tuple([of_logits.pop(key, None) for key in step.output_ids])
    return () if all(dz is None for dz in found) else found


def run_backward(
    operation: Operation,
    dy: Any,
    dlogits: tuple[Any, ...],
    residuals: Any,
    grads: Gradients,
    need_dx: bool,
) -> Any:
    """The backward of a call, entered by its outputs and by their logits."""
    if isinstance(residuals, ActivatedResiduals):
        dz = dlogits[0] if dlogits else None
        return _backward_in_two(dy, dz, residuals, grads, need_dx)
    if dlogits and isinstance(residuals, GraphResiduals):  # a nested model
        residuals = residuals._replace(dlogits=dlogits)
    elif dlogits:  # a layer's traced `call`
        graph = residuals.graph._replace(dlogits=dlogits)
        residuals = residuals._replace(graph=graph)
    return operation.run_backward(dy, residuals, grads, need_dx)


def _backward_in_two(
    dy: Any, dz: Any, residuals: ActivatedResiduals, grads: Gradients, need_dx: bool
) -> Any:
    """The gradient of the inputs; one of `dy` and `dz`, of the logits, may be None."""
    if dy is not None:  # in forward: y = activation(z)
        through = residuals.activation.backward(dy, residuals.activation_residuals)
        dz = through if dz is None else dz + through
    if residuals.before is None:
        return dz
    return residuals.before.run_backward(dz, residuals.before_residuals, grads, need_dx)
