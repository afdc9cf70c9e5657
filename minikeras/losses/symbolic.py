"""Losses of symbolic tensors: nodes of the graph of a traced `compute_loss` or `call`.

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return losses.MeanSquaredError()(y, y_pred) + 0.1 * sum(self.losses)

A loss knows its gradient with respect to the predictions, not to the targets. There it
is known which tensors are targets, and others are refused; in the `call` of a layer, as
in `self.add_loss(losses.mean_squared_error(x, y))`, they are refused when somebody
wants their gradient.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras.naming import auto_name
from minikeras.symbolic import KerasTensor, Operation, any_symbolic, is_keras_tensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.losses.loss import Loss

_local = threading.local()


@contextmanager
def recording(data: list[KerasTensor]) -> Iterator[None]:
    """Within it losses of symbolic tensors are recorded.

    Args:
        data: tensors that no weight has a part in: inputs, targets, sample weights.
    """
    before = getattr(_local, "data", None)
    _local.data = {id(tensor) for tensor in data}
    try:
        yield
    finally:
        _local.data = before


def is_recording(*arguments: Any) -> bool:
    """Whether a loss of these arguments is to be recorded."""
    return any_symbolic(arguments)


def record(loss: Loss, y_true: Any, y_pred: Any, weight: Any, mask: Any) -> Any:
    """The symbolic value of a loss.

    NB: as in Keras the logits come with `y_pred`; a crossentropy takes these instead.
    """
    refuse_gradient(y_true, weight, name=loss.name)
    from minikeras.losses.traced import WithLogits

    logits = getattr(y_pred, "_keras_logits", None)
    if logits is not None:
        twin = on_logits(loss, logits.activation, y_true, y_pred)
        if twin is not None:
            both = WithLogits(y_pred, logits.z)
            loss, y_pred = twin, both if loss.is_traced else logits.z
    return LossOperation(loss)(y_true, y_pred, weight, mask)


def on_logits(loss: Loss, activation: str, y_true: Any, y_pred: Any) -> Loss | None:
    """The same loss for logits, if Keras would take these."""
    # NB: any crossentropy takes the logits of softmax and sigmoid alike, in Keras: a
    # binary crossentropy after a softmax is that of its logits.
    wanted = getattr(getattr(loss, "fn", None), "logits_of", None) or activation
    shape = getattr(y_true, "shape", None)
    shape = np.shape(y_true) if shape is None else shape
    return loss.on_logits(wanted, shape, y_pred.shape, str(y_pred.dtype))


def refuse_gradient(*arguments: Any, name: str) -> None:
    """Refuses targets and weights that depend on the model.

    Raises:
        NotImplementedError: if an argument does, since its gradient is not known.
    """
    if getattr(_local, "data", None) is None:
        return  # in a `call`: see `UnknownGradient`
    for argument in arguments:
        if is_keras_tensor(argument) and _depends_on_model(argument):
            raise _no_gradient(name)


def _no_gradient(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"The loss '{name}' is given a target or a sample weight that depends on the "
        "model's predictions or weights. Its gradient is known with respect to "
        "`y_pred`, the second argument, alone. Use operators and `keras.ops`, write a "
        "`@minikeras.differentiable` function, or `keras.ops.stop_gradient` if no "
        "gradient is meant."
    )


class UnknownGradient:
    """In the place of the gradient of a target: refuses to be used."""

    def __init__(self, name: str):
        self.name = name

    @property
    def dtype(self) -> Any:
        """Asked for when it is added to others."""
        raise _no_gradient(self.name)


def _depends_on_model(tensor: KerasTensor) -> bool:
    from minikeras.tensors.base import Constant

    waiting, seen = [tensor], set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or id(tensor) in _local.data:
            continue
        seen.add(id(tensor))
        operation, node = tensor._keras_history.operation, tensor._node
        if isinstance(operation, Constant):
            continue  # `stop_gradient` and the like
        if node is None or any(v.trainable for v in getattr(operation, "weights", ())):
            return True
        waiting += node.input_tensors
    return False


class LossOperation(Operation):
    """A loss of (y_true, y_pred, sample_weight, mask), as a node; y_pred is a pair
    with its logits where a loss made of operations gets these."""

    def __init__(self, loss: Loss):
        super().__init__(name=auto_name(type(loss).__name__))
        self.loss = loss
        self.symbolic: list[bool] = []
        self.traces: dict[Any, Any] = {}
        in_call = getattr(_local, "data", None) is None
        self.of_targets = UnknownGradient(loss.name) if in_call else None

    def __call__(self, *args: Any) -> Any:
        """Records which arguments are tensors of the graph."""
        self.symbolic = [any_symbolic(a) for a in args]
        return super().__call__(*args)

    def forward(
        self, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any
    ) -> tuple[np.ndarray, Any]:
        """The loss's own forward."""
        from minikeras.losses.traced import WithLogits

        if isinstance(y_pred, tuple):
            y_pred = WithLogits(*y_pred)
        options = {"traces": self.traces} if self.loss.is_traced else {}
        value, residuals = self.loss.forward(
            y_true, y_pred, sample_weight, mask, **options
        )
        return np.asarray(value), residuals

    def backward(self, dvalue: np.ndarray, residuals: Any, grads: Gradients) -> Any:
        """The loss's own gradient, for `y_pred`; there is none for the others."""
        options = {"grads": grads} if self.loss.is_traced else {}
        dy_pred = self.loss.backward(dvalue, residuals, **options)
        found = [
            dy_pred if i == 1 else self.of_targets
            for i, given in enumerate(self.symbolic)
            if given
        ]
        return found[0] if len(found) == 1 else tuple(found)
