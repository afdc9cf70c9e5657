"""Losses made of `keras.ops`: traced into a graph, so that they have a gradient.

    def rms(y_true, y_pred):
        return ops.sqrt(ops.mean(ops.square(y_true - y_pred), axis=-1))

    model.compile(loss=rms)

A plain function, or the `call` of a `Loss`, says nothing of its gradient. It is called
once with symbolic tensors; operators, `keras.ops`, other losses and layers record what
they do, and each knows its gradient. NB: as in Keras's compiled steps the Python in it
runs only when it is traced: for new shapes, and after `compile`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np

from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.graph_steps import GraphResiduals, Logits
from minikeras.losses import symbolic
from minikeras.symbolic import KerasTensor, is_keras_tensor, passing_calls
from minikeras.tracing import refuse_values, trace_variables


class WithLogits(NamedTuple):
    """An output beside the logits that its softmax or sigmoid was made of."""

    y_pred: Any
    z: Any


class TracedLoss:
    """The graph of `loss.call`, for arrays of given shapes.

    Args:
        loss: the loss.
        y_true, y_pred: arrays.
        z: the logits of `y_pred`, or None.

    Attributes:
        graph: from targets, predictions and logits to the values.
    """

    def __init__(self, loss: Any, y_true: Any, y_pred: Any, z: Any):
        given = [y_true, y_pred] if z is None else [y_true, y_pred, z]
        tensors = [KerasTensor(a.shape, a.dtype.name) for a in given]
        if z is not None:
            tensors[1]._keras_logits = Logits(loss.logits_of, tensors[2])
        with (
            passing_calls(),
            trace_variables(),
            refuse_values(f"{type(loss).__name__}.call"),
            symbolic.recording(tensors[:1]),
        ):
            values = loss.call(*tensors[:2])
        if not is_keras_tensor(values):
            raise TypeError(
                f"it returned {values!r} (of type {type(values).__name__}), which does "
                "not depend on `y_true` and `y_pred`"
            )
        self.graph = Graph(tensors, [values], as_recorded=True)

    def forward(self, *arrays: Any) -> tuple[np.ndarray, TracedLossResiduals]:
        """The values."""
        (values,), residuals = self.graph.forward(list(arrays))
        values = np.asarray(values)
        kept = TracedLossResiduals(self, residuals, arrays[1], values.dtype)
        return values, kept


class TracedLossResiduals(NamedTuple):
    """What a traced loss keeps: the residuals of its graph."""

    trace: TracedLoss
    graph: GraphResiduals
    y_pred: np.ndarray
    dtype: np.dtype  # of the values

    def gradient(self, dvalues: np.ndarray, grads: Gradients | None) -> Any:
        """The gradient with respect to `y_pred`; for `WithLogits` that of both.

        Args:
            dvalues: of the values.
            grads: receives the gradients of weights, if the loss uses any.
        """
        grads = Gradients(()) if grads is None else grads
        dvalues = dvalues.astype(self.dtype, copy=False)
        _, *found = self.trace.graph.backward([dvalues], self.graph, grads)
        if found[0] is None:  # it does not depend on them
            found[0] = np.zeros_like(self.y_pred)
        return WithLogits(*found) if len(found) == 2 else found[0]


class NotTraced:
    """In the place of residuals: a loss that ran on arrays, for want of a graph."""

    def __init__(self, name: str, cause: Exception):
        self.name = name
        self.cause = cause

    def gradient(self, dvalues: np.ndarray, grads: Gradients | None) -> NoReturn:
        """Refused: nobody knows it."""
        raise NotImplementedError(
            f"The gradient of the loss '{self.name}' is not known, so it can evaluate "
            "but not train. To find it the loss is traced with symbolic tensors: make "
            "it of operators, `keras.ops`, other losses and layers; not of NumPy, "
            "which leaves numbers without a gradient, and with no `if` on values. Or "
            "write the two side by side:\n"
            f"    @minikeras.differentiable\n    def {self.name}(y_true, y_pred):\n"
            "        return values, residuals\n"
            f"    @{self.name}.gradient\n    def _(dvalues, residuals):\n"
            "        return dy_pred\n"
            f"Cause: {self.cause}"
        ) from self.cause


def traced_values(
    loss: Any, y_true: Any, y_pred: Any, z: Any, traces: dict[Any, Any]
) -> tuple[np.ndarray, Any]:
    """The values of a loss per example, and what their gradient needs.

    Args:
        loss: with a `call` made of operations.
        y_true, y_pred: arrays.
        z: the logits of `y_pred`, if known.
        traces: those made before are taken from here, and new ones kept.
    """
    arrays = [a for a in (y_true, y_pred, z) if a is not None]
    key = (id(loss), *((a.shape, a.dtype) for a in arrays))
    if key not in traces:
        try:
            traces[key] = TracedLoss(loss, y_true, y_pred, z)
        except Exception as error:  # its own mistakes show when it runs on arrays
            traces[key] = NotTraced(_name(loss), error)
    found = traces[key]
    if isinstance(found, NotTraced):
        return np.asarray(_called(loss, y_true, y_pred)), found
    return found.forward(*arrays)


def _called(loss: Any, y_true: Any, y_pred: Any) -> Any:
    """`loss.call`; its errors tell the shapes it was given."""
    try:
        return loss.call(y_true, y_pred)
    except (ValueError, IndexError) as error:
        raise type(error)(
            f"{error} (In the loss '{_name(loss)}', for y_true of shape "
            f"{y_true.shape} and y_pred of shape {y_pred.shape}.)"
        ) from error


def _name(loss: Any) -> str:
    name = getattr(getattr(loss, "fn", None), "__name__", None) or loss.name
    return name if name.isidentifier() else "my_loss"  # a lambda has none
