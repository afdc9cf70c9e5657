"""One loss of the sum that `compile` asks for: computed, and differentiated."""

from __future__ import annotations

from typing import Any, NamedTuple

from minikeras.gradients import Gradients
from minikeras.losses import Loss
from minikeras.losses.traced import WithLogits


class Term(NamedTuple):
    """One loss of the sum, as it was computed."""

    output: int  # which output it saw
    loss: Loss
    residuals: Any
    weight: float | None
    from_logits: bool


def compute(
    loss: Loss,
    twin: Loss | None,
    y_true: Any,
    y_pred: Any,
    pair: Any,
    sample_weight: Any,
    traces: dict[Any, Any],
    **options: Any,
) -> tuple[Any, Any, Loss]:
    """(value, residuals, the loss that was computed).

    Args:
        loss: as `compile` was given it.
        twin: the same on logits, or None.
        y_true, y_pred, sample_weight: of one output.
        pair: its `Logits`, or None.
        traces: where traced losses keep their graphs.
        options: for `Loss.forward`.
    """
    seen = y_pred
    if twin is not None:
        loss = twin
        seen = WithLogits(y_pred, pair[1]) if loss.is_traced else pair[1]
    if loss.is_traced:
        options["traces"] = traces
    return *loss.forward(y_true, seen, sample_weight, **options), loss


def add_gradients(
    term: Term,
    dloss: Any,
    dtype: Any,
    of_outputs: list[Any],
    of_logits: list[Any],
    grads: Gradients | None,
) -> None:
    """Adds the gradients of a term's output and of its logits to the two lists.

    Args:
        term: the loss.
        dloss: the gradient of its value.
        dtype: of the output.
        of_outputs, of_logits: one gradient, or None, for each output.
        grads: receives the gradients of weights, if a traced loss uses any.
    """
    options = {"grads": grads} if term.loss.is_traced else {}
    dy = term.loss.backward(dloss, term.residuals, **options)
    if isinstance(dy, WithLogits):
        parts = [(of_outputs, dy.y_pred), (of_logits, dy.z)]
    else:
        parts = [(of_logits if term.from_logits else of_outputs, dy)]
    for found, gradient in parts:
        if gradient is not None:
            gradient = gradient.astype(dtype, copy=False)
            known = found[term.output]
            found[term.output] = gradient if known is None else known + gradient
