"""What a person should know to read a trace, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import tree
from minikeras.teach.trace_calls import Call
from minikeras.trainers.trainer import Trainer

if TYPE_CHECKING:
    from minikeras.teach.trace_result import Trace


def write_notes(trace: Trace, has_own_loss: bool) -> None:
    """Fills `notes` of the trace and of its calls."""
    trace.notes = list(_of_trace(trace, has_own_loss))
    for call in trace.calls:
        call.notes = list(_of_call(call, trace))


def _of_trace(trace: Trace, has_own_loss: bool) -> Any:
    model = trace.model
    if any(term.from_logits for term in trace.terms):
        yield (
            "The loss was computed from logits: the last activation (softmax or "
            "sigmoid) and the crossentropy are one function of what went into the "
            "activation, which is more exact than the logarithm of a probability. So "
            "the backward pass begins at the logits, as in Keras."
        )
    if trace.sample_weight is not None:
        yield "Each example's loss was multiplied by its sample_weight."
    if has_own_loss:
        yield "The model has a compute_loss of its own; the loss is what it returned."
    if type(model).train_step is not Trainer.train_step:
        yield (
            "The model has a train_step of its own. This trace shows the ordinary "
            "step: forward, loss, backward, update."
        )
    if not model._call_takes_training:
        yield (
            "The `call` of the model takes no `training`, so its layers ran as in "
            "inference, as they do in fit."
        )
    if np.any(trace.activity_penalty):
        yield f"Activity penalties of {trace.activity_penalty:.6g} are in the loss."
    penalized = [v.path for v in model.trainable_variables if v.regularizer is not None]
    if penalized and not has_own_loss:
        yield (
            f"The penalties of {', '.join(penalized)} are in the loss, and in these "
            "weights' gradients, but in no call's part of them."
        )
    every = getattr(model.optimizer, "gradient_accumulation_steps", None)
    if every:
        yield (
            f"The optimizer averages the gradients of {every} batches before it "
            "changes a weight."
        )


def _of_call(call: Call, trace: Trace) -> Any:
    if call.calls > 1 and call.weights:
        yield (
            f"Call {call.call + 1} of {call.calls} of this layer: its gradients are "
            "this call's part; the weights get the sum of all parts."
        )
    if call.dlogits is not None and call.logits is not None:
        yield (
            "The loss was computed from the logits z, what went into the final "
            "activation. The gradient comes in there, as dlogits"
            + ("." if call.doutputs is not None else "; the output has none.")
        )
    if any(m is not None for m in tree.flatten([call.mask])):
        yield "A mask came with the input: what it excludes does not count."
    if getattr(call.layer, "activity_regularizer", None) is not None:
        yield "doutputs has the gradient of the activity penalty in it."
    frozen = [key for key, update in call.updates.items() if not update.trainable]
    if frozen:
        yield f"Not trainable, so without a gradient: {', '.join(frozen)}."
    if not call.ran_backward:
        yield (
            "The backward pass did not come through here: nothing before has a weight "
            "to train or an input with a gradient, or the loss does not depend on it."
        )
