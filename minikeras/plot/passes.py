"""Passes through a model that leave it as it was: what the pictures are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minikeras import losses, tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.regularizers import gradient_of
from minikeras.teach.explain_weights import check_built
from minikeras.trainers import passes
from minikeras.trainers.compile_loss import CompileLoss
from minikeras.utils.gradient_problems import stored_variables


def check_model(model: Any, function: str) -> None:
    """Refuses what is no built model."""
    check_built(model, function)
    if not hasattr(model, "_trace"):
        raise TypeError(
            f"`{function}` expects a model. Received: the layer '{model.name}'. Put it "
            "into one: Sequential([Input(shape), layer])"
        )


@contextlib.contextmanager
def as_before(model: Any) -> Iterator[None]:
    """Weights, moving statistics, seeds and states are afterwards what they were."""
    variables = stored_variables(model)
    values = [v.numpy().copy() for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def layer_outputs(model: Any, x: Any) -> list[tuple[Any, Any]]:
    """(layer, its output) of every call in the model, as `predict` makes them; those
    inside of a nested model come before it."""
    with as_before(model), np.errstate(all="ignore"):
        graph, inputs = _traced(model, x, training=False)
        return list(_outputs(graph, inputs, None))


def _outputs(graph: Graph, inputs: list[Any], masks: Any) -> Iterator[tuple[Any, Any]]:
    tensors = [t for step in graph.steps for t in step.node.outputs]
    values, residuals = Graph(graph.inputs, tensors).forward(
        inputs, training=False, masks=masks
    )
    value = dict(zip(map(id, graph.inputs), inputs, strict=True))
    value |= dict(zip(map(id, tensors), values, strict=True))
    mask = dict(zip(map(id, graph.inputs), masks or [], strict=False))
    mask |= dict(zip(map(id, tensors), residuals.output_masks, strict=True))
    for step in graph.steps:
        inner = _graph_of(step.operation)
        if inner is not None:
            given = [value[key] for key in step.input_ids]
            yield from _outputs(inner, given, [mask.get(key) for key in step.input_ids])
        found = [value[key] for key in step.output_ids]
        yield step.operation, found[0] if step.one_output else found


def _graph_of(operation: Any) -> Graph | None:
    """The graph of a nested model."""
    functional = getattr(operation, "_functional", None) or operation
    graph = getattr(functional, "_graph", None)
    return graph if isinstance(graph, Graph) else None


def _traced(model: Any, x: Any, training: bool) -> tuple[Graph, list[Any]]:
    traced = model._trace(tree.map_structure(np.asarray, x), training)
    if traced is None:
        raise ValueError(
            f"Model '{model.name}' has a `forward` of its own: its layers cannot be "
            "looked at one by one. A `call` made of layers can."
        )
    return traced


def _loss_of(model: Any, loss: Any) -> Any:
    if loss is not None:
        return CompileLoss(losses.get(loss))
    found = getattr(model, "_compile_loss", None)
    if found is None:
        raise ValueError(
            f"Model '{model.name}' has no loss. Compile it, or pass one: loss='mse'"
        )
    return found


def loss_and_gradients(
    model: Any, x: Any, y: Any, loss: Any = None, gradients: bool = True
) -> tuple[float, Gradients]:
    """The loss on (x, y) in one piece, as in training, and the weights' gradients.

    Dropout draws what the next step would, BatchNormalization uses the batch; neither
    moves on. Penalties of weights are part of the loss. Without `gradients`, as in
    `evaluate`: no dropout, moving statistics.
    """
    compiled = _loss_of(model, loss)
    y = tree.map_structure(np.asarray, y)
    grads = Gradients(model.trainable_variables)
    with as_before(model), np.errstate(all="ignore"):
        graph, inputs = _traced(model, x, training=gradients)
        outputs, residuals = graph.forward(inputs, training=gradients)
        predicted = passes.prediction(model, graph, outputs, residuals)
        value, kept = compiled.forward(
            y,
            predicted.y_pred,
            masks=predicted.masks,
            logits=predicted.logits,
            track=False,
        )
        total = float(value) + float(predicted.activity_loss)
        if gradients:
            flat, dlogits = compiled.backward(np.asarray(1.0, "float32"), kept)
            entered = residuals._replace(dlogits=tuple(dlogits))
            graph.backward(flat, entered, grads, need_dx=False)
        for variable in model.trainable_variables:
            if variable.regularizer is not None:
                total += float(variable.regularizer(variable.value))
                if gradients:
                    slope = gradient_of(variable.regularizer, variable.value)
                    grads.add(variable, slope)
    return total, grads
