"""One training step: forward, loss, backward. And the same without the backward.

This is the loop one would write by hand, for models with any number of outputs:

    y_pred, residuals = model.forward(x, training=True)
    value, loss_residuals = loss.forward(y, y_pred)
    model.backward(loss.backward(1.0, loss_residuals), residuals, grads)

Where it is faster, the batch is cut: see `micro_batches.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.layers.layer import Layer
from minikeras.regularizers import gradient_of
from minikeras.trainers import micro_batches, passes
from minikeras.trainers.passes import Prediction
from minikeras.trainers.running import run_of


class StepResult(NamedTuple):
    """What a step found."""

    loss: Any  # the total: loss, activity and weight penalties
    y_pred: Any  # in the structure of the model's outputs
    grads: Gradients | None  # None if not asked for


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
    run = run_of(model)
    # NB: a model whose `call` takes no `training` runs as in inference, in Keras too.
    training = training and model._call_takes_training
    traced = model._trace(x, training)
    cut = run.cut(*traced, training) if traced else None
    grads = Gradients(run.trainable) if gradients else None
    if cut and micro_batches.can_be_cut(cut, traced[1], y, sample_weight):
        batch = micro_batches.CutBatch(model, *traced, y, sample_weight, cut, training)
        predicted, loss = micro_batches.run(batch, grads)
    else:
        predicted, loss = _run_whole(
            model, x, traced, y, sample_weight, training, grads
        )
    refuse_numbers(model, numbers_added)
    if model._compile_metrics is not None:
        model._compile_metrics.remember(
            predicted.y_pred, predicted.masks, predicted.logits
        )
    penalized = run.penalized
    if grads is not None:
        for variable in penalized:
            # in forward: total = ... + regularizer(variable)
            grads.add(variable, gradient_of(variable.regularizer, variable.value))
    total = total_loss(loss, predicted.activity_loss, penalized)
    return StepResult(total, predicted.y_pred, grads)


def refuse_numbers(model: Any, numbers_added: int) -> None:
    """Refuses what a forward pass gave to `add_loss`, if it is a number."""
    if Layer._numbers_added != numbers_added:
        raise NotImplementedError(
            f"A layer of model '{model.name}' calls `add_loss` in its `forward`: a "
            "number without a gradient, which cannot be trained. Call it in a `call` "
            "made of layers and operators, or use `activity_regularizer`."
        )


def _run_whole(
    model: Any,
    x: Any,
    traced: tuple[Graph, list[Any]] | None,
    y: Any,
    sample_weight: Any,
    training: bool,
    grads: Gradients | None,
) -> tuple[Prediction, Any]:
    """(predictions, loss) of the batch in one piece; fills `grads`."""
    if traced is None:
        predicted = passes.prediction_by_hand(model, x, training)
    else:
        graph, inputs = traced
        outputs, residuals = graph.forward(
            inputs, training=training, keep=grads is not None
        )
        predicted = passes.prediction(model, graph, outputs, residuals)
    loss, residuals = passes.compiled_loss(model, y, predicted, sample_weight)
    if grads is not None:
        gradients = passes.loss_gradients(model, predicted, residuals, grads)
        passes.backward(model, predicted, gradients, grads)
    return predicted, loss


def total_loss(loss: Any, activity_loss: Any, penalized: list[Any]) -> Any:
    """The sum of the compiled loss and all penalties, of `penalized` weights too."""
    parts = [] if loss is None else [loss]
    if type(activity_loss) is not int and np.any(activity_loss):  # 0: there is none
        parts.append(activity_loss)
    parts.extend(variable.regularizer(variable.value) for variable in penalized)
    if not parts:
        raise ValueError(
            "No loss to compute. Provide a `loss` argument in `compile()`."
        )
    total = parts[0]
    for part in parts[1:]:
        total = total + np.asarray(part, np.asarray(total).dtype)
    return total
