"""One training step: forward, loss, backward. And the same without the backward.

This is the loop one would write by hand, for models with any number of outputs:

    y_pred, residuals = model.forward(x, training=True)
    value, loss_residuals = loss.forward(y, y_pred)
    model.backward(loss.backward(1.0, loss_residuals), residuals, grads)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minikeras import config, tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.graph_steps import Logits
from minikeras.layers.layer import Layer
from minikeras.regularizers import gradient_of


class StepResult(NamedTuple):
    """What a step found."""

    loss: Any  # the total: loss, activity and weight penalties
    y_pred: Any  # in the structure of the model's outputs
    grads: Gradients | None  # None if not asked for


class Prediction(NamedTuple):
    """A forward pass with all that the loss and the backward need."""

    y_pred: Any
    logits: list[Logits | None]  # of each output that a softmax or sigmoid made
    masks: list[Any]
    activity_loss: Any
    residuals: Any
    graph: Graph | None  # None: a model with a backward written by hand


def run_step(
    model: Any, x: Any, y: Any, sample_weight: Any, training: bool, gradients: bool
) -> StepResult:
    """Runs the model on a batch.

    Args:
        model: a compiled model.
        x, y, sample_weight: the batch; the last two may be None.
        training: whether layers run in training mode.
        gradients: whether the gradients are wanted.
    """
    numbers_added = Layer._numbers_added
    # NB: a model whose `call` takes no `training` runs as in inference, in Keras too.
    training = training and model._call_takes_training
    predicted = _predict(model, x, training)
    if Layer._numbers_added != numbers_added:
        raise NotImplementedError(
            f"A layer of model '{model.name}' calls `add_loss` in its `forward`: a "
            "number without a gradient, which cannot be trained. Call it in a `call` "
            "made of layers and operators, or use `activity_regularizer`."
        )
    total, residuals = _total_loss(model, y, predicted, sample_weight)
    if model._compile_metrics is not None:
        model._compile_metrics.remember(
            predicted.y_pred, predicted.masks, predicted.logits
        )
    if not gradients:
        return StepResult(total, predicted.y_pred, None)
    plan = model._plan()
    grads = Gradients(plan.trainable)
    _backward(model, predicted, residuals, grads)
    for variable in plan.penalized:
        # in forward: total = ... + regularizer(variable)
        grads.add(variable, gradient_of(variable.regularizer, variable.value))
    return StepResult(total, predicted.y_pred, grads)


def _predict(model: Any, x: Any, training: bool) -> Prediction:
    traced = model._trace(x, training)
    if traced is None:  # a model with a forward and backward written by hand
        y_pred, residuals = model.forward(x, training=training)
        count = len(tree.flatten(y_pred))
        masks = [None] * count
        return Prediction(y_pred, [None] * count, masks, 0, residuals, None)
    graph, inputs = traced
    outputs, residuals = graph.forward(inputs, training=training)
    y_pred = model._pack_outputs(outputs)
    logits = list(residuals.output_logits)
    masks = residuals.output_masks
    return Prediction(y_pred, logits, masks, residuals.activity_loss, residuals, graph)


def _total_loss(
    model: Any, y: Any, predicted: Prediction, sample_weight: Any
) -> tuple[Any, Any]:
    """The sum of the compiled loss and all penalties, and the loss's residuals."""
    parts: list[Any] = []
    residuals = None
    if model._compile_loss is not None:
        if y is None:
            raise ValueError(
                "None values not supported: the model was compiled with a loss, which "
                "needs targets, and there are none. Pass them: fit(x, y). For "
                "validation_data pass (x, y)."
            )
        value, residuals = model._compile_loss.forward(
            y,
            predicted.y_pred,
            sample_weight=sample_weight,
            masks=predicted.masks,
            logits=predicted.logits,
        )
        parts.append(value)
    if np.any(predicted.activity_loss):
        parts.append(predicted.activity_loss)
    for variable in model._plan().penalized:
        parts.append(variable.regularizer(variable.value))
    if not parts:
        raise ValueError(
            "No loss to compute. Provide a `loss` argument in `compile()`."
        )
    total = parts[0]
    for part in parts[1:]:
        total = total + np.asarray(part, np.asarray(total).dtype)
    return total, residuals


def _backward(
    model: Any, predicted: Prediction, loss_residuals: Any, grads: Gradients
) -> None:
    flat: list[Any] = [None] * len(predicted.masks)
    dlogits = flat
    if model._compile_loss is not None:
        one = np.asarray(1.0, config.floatx())
        flat, dlogits = model._compile_loss.backward(one, loss_residuals)
    if predicted.graph is None:
        leaves = tree.flatten(predicted.y_pred)
        pairs = zip(flat, leaves, strict=True)
        flat = [np.zeros_like(y) if dy is None else dy for dy, y in pairs]
        dy = tree.pack_sequence_as(predicted.y_pred, flat)
        model.backward(dy, predicted.residuals, grads)
        return
    residuals = predicted.residuals._replace(dlogits=tuple(dlogits))
    predicted.graph.backward(flat, residuals, grads, need_dx=False)
