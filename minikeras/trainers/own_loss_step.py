"""One step of a model with a `compute_loss` of its own; see `own_loss.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.gradients import Gradients
from minikeras.layers.layer import Layer
from minikeras.trainers import passes
from minikeras.trainers.own_loss import LossGradients, own_loss, takes_training
from minikeras.trainers.passes import Prediction
from minikeras.trainers.running import run_of
from minikeras.trainers.step import StepResult, refuse_numbers


def run_step(
    model: Any, x: Any, y: Any, sample_weight: Any, training: bool, gradients: bool
) -> StepResult:
    """As `step.run_step`. The batch stays in one piece: how the loss joins its examples
    only its author knows."""
    run_training = training and model._call_takes_training
    numbers_added = Layer._numbers_added
    traced = model._trace(x, run_training)
    if traced is None:
        predicted = passes.prediction_by_hand(model, x, run_training)
    else:
        graph, inputs = traced
        found = graph.forward(inputs, training=run_training)
        predicted = passes.prediction(model, graph, *found)
    refuse_numbers(model, numbers_added)
    batch = (x, y, sample_weight)
    try:
        loss_graph = own_loss(model, batch, predicted, training)
    except NotImplementedError:
        if gradients:
            raise
        return _evaluated(model, batch)
    loss, residuals = loss_graph.forward(batch, predicted)
    if model._compile_metrics is not None:
        model._compile_metrics.remember(
            predicted.y_pred, predicted.masks, predicted.logits
        )
    grads = None
    if gradients:
        grads = Gradients(run_of(model).trainable)
        found = loss_graph.backward(residuals, grads)
        _backward(model, predicted, found, grads)
    return StepResult(loss, predicted.y_pred, grads)


def _evaluated(model: Any, batch: tuple) -> StepResult:
    """A `compute_loss` that cannot be traced, on arrays: enough without gradients."""
    x, y, sample_weight = batch
    y_pred = model(x, training=False)
    options = {"training": False} if takes_training(model) else {}
    loss = model.compute_loss(x, y, y_pred, sample_weight, **options)
    return StepResult(loss, y_pred, None)


def _backward(
    model: Any, predicted: Prediction, found: LossGradients, grads: Gradients
) -> None:
    """The model's backward, with the activity penalties as often as they count."""
    passes.backward(model, predicted, (found.outputs, found.logits), grads)
    if not found.penalties:
        return
    factors = [0.0 if g is None else float(g) for g in found.penalties]
    if any(factor != factors[0] for factor in factors):
        raise NotImplementedError(
            f"The `compute_loss` of {type(model).__name__} weights the activity "
            "penalties in `self.losses` unequally, which is not implemented. Give the "
            "regularizers other factors instead."
        )
    if factors[0] == 1:
        return
    # The backward pass took each once, with a gradient of 1.
    nothing = [None] * len(found.outputs)
    once = grads.empty_copy()
    passes.backward(model, predicted, (nothing, nothing), once)
    for variable, gradient in once.items():
        grads.add(variable, gradient * np.asarray(factors[0] - 1, gradient.dtype))
