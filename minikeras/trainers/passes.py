"""The passes of a training step: forward, loss, backward."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minikeras import config, tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.graph_steps import GraphResiduals, Logits


class Prediction(NamedTuple):
    """A forward pass with all that the loss and the backward need."""

    y_pred: Any  # in the structure of the model's outputs
    logits: list[Logits | None]  # of each output that a softmax or sigmoid made
    masks: list[Any]
    activity_loss: Any
    residuals: Any
    graph: Graph | None  # None: a model with a backward written by hand


def prediction(
    model: Any, graph: Graph, outputs: list[Any], residuals: GraphResiduals
) -> Prediction:
    """What `graph.forward` returned, as a `Prediction`."""
    return Prediction(
        model._pack_outputs(outputs),
        list(residuals.output_logits),
        residuals.output_masks,
        residuals.activity_loss,
        residuals,
        graph,
    )


def prediction_by_hand(model: Any, x: Any, training: bool) -> Prediction:
    """The forward of a model that has its own, and no graph."""
    y_pred, residuals = model.forward(x, training=training)
    count = len(tree.flatten(y_pred))
    return Prediction(y_pred, [None] * count, [None] * count, 0, residuals, None)


def compiled_loss(
    model: Any, y: Any, predicted: Prediction, sample_weight: Any, **options: Any
) -> tuple[Any, Any]:
    """The compiled loss and its residuals; Nones without one.

    Args:
        model: a compiled model.
        y, sample_weight: the batch's; the latter may be None.
        predicted: the forward pass.
        options: for `CompileLoss.forward`.
    """
    if model._compile_loss is None:
        return None, None
    if y is None:
        raise ValueError(
            "None values not supported: the model was compiled with a loss, which "
            "needs targets, and there are none. Pass them as `y`: fit(x, y). For "
            "validation_data pass (x, y)."
        )
    return model._compile_loss.forward(
        y,
        predicted.y_pred,
        sample_weight=sample_weight,
        masks=predicted.masks,
        logits=predicted.logits,
        **options,
    )


def loss_gradients(
    model: Any, predicted: Prediction, residuals: Any, grads: Gradients | None = None
) -> tuple[list[Any], list[Any]]:
    """The gradients of the outputs and of their logits, Nones where there are none;
    `grads` receives those of weights that a loss of the user's uses itself."""
    if model._compile_loss is None:
        return [None] * len(predicted.masks), [None] * len(predicted.masks)
    one = np.asarray(1.0, config.floatx())
    return model._compile_loss.backward(one, residuals, grads)


def backward(
    model: Any,
    predicted: Prediction,
    gradients: tuple[list[Any], list[Any]],
    grads: Gradients,
) -> None:
    """The backward pass from what `loss_gradients` returned; fills `grads`."""
    flat, dlogits = gradients
    if predicted.graph is not None:
        residuals = predicted.residuals._replace(dlogits=tuple(dlogits))
        predicted.graph.backward(flat, residuals, grads, need_dx=False)
        return
    pairs = zip(flat, tree.flatten(predicted.y_pred), strict=True)
    flat = [np.zeros_like(y) if dy is None else dy for dy, y in pairs]
    dy = tree.pack_sequence_as(predicted.y_pred, flat)
    model.backward(dy, predicted.residuals, grads)
