"""A `compute_loss` of the user's own: traced once into a graph, so it has a gradient.

    class Own(Model):
        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight)
            return loss + 0.1 * MeanAbsoluteError()(x, y_pred)

It is called with symbolic tensors: `super().compute_loss`, losses, operators, layers,
variables and `self.losses` record what they do, and each knows its gradient. What they
cannot record is refused. NB: as in Keras's compiled steps the Python in it runs only
when it is traced: for new shapes, for training or not, and after `compile`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minikeras import tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.graph_steps import GraphResiduals, Logits
from minikeras.losses import symbolic
from minikeras.naming import auto_name
from minikeras.regularizers import gradient_of
from minikeras.symbolic import KerasTensor, Node, Operation, is_keras_tensor
from minikeras.tracing import refuse_values, trace_variables
from minikeras.trainers.metric_updates import MetricUpdates


class OwnLossResiduals(NamedTuple):
    """What `OwnLoss.backward` needs."""

    loss: np.ndarray
    graph: GraphResiduals


class LossGradients(NamedTuple):
    """The gradients of a loss that are not those of variables."""

    outputs: list[Any]
    logits: list[Any]
    penalties: list[Any]  # of the activity penalties


class OwnLoss:
    """The graph of `model.compute_loss`, for batches of given shapes.

    Args:
        model: a compiled model.
        batch: `(x, y, sample_weight)`.
        predicted: a forward pass, see `passes.Prediction`.
        training: what `compute_loss` is told.

    Attributes:
        graph: from the leaves of the batch, the outputs, their logits and masks and
            the activity penalties, to the loss and what metrics are updated with.
    """

    def __init__(self, model: Any, batch: tuple, predicted: Any, training: bool):
        self.model = model
        x, y, sample_weight = tree.map_structure(_symbolic, batch)
        y_pred = tree.map_structure(_symbolic, predicted.y_pred)
        self.outputs = tree.flatten(y_pred)
        self.logits = [pair and _symbolic(pair.z) for pair in predicted.logits]
        masks = [_symbolic(mask) for mask in predicted.masks]
        self.penalties = [_symbolic(np.asarray(p)) for p in _penalties(predicted)]
        for tensor, pair, z, mask in zip(
            self.outputs, predicted.logits, self.logits, masks, strict=True
        ):
            if z is not None:
                tensor._keras_logits = Logits(pair.activation, z)
            if mask is not None:
                tensor._keras_mask = mask
        data = [t for t in tree.flatten([x, y, sample_weight, masks]) if t is not None]
        self.updates = MetricUpdates(model)
        loss = self._trace(x, y, y_pred, sample_weight, training, data)
        sources = [x, y, sample_weight, self.outputs, self.logits, masks]
        sources.append(self.penalties)
        self.inputs = [t for t in tree.flatten(sources) if is_keras_tensor(t)]
        outputs = [loss, *self.updates.tensors]
        self.graph = Graph(self.inputs, outputs, as_recorded=True)

    def _trace(
        self, x: Any, y: Any, y_pred: Any, weight: Any, training: bool, data: list[Any]
    ) -> KerasTensor:
        model = self.model
        options = {"training": training} if takes_training(model) else {}
        model.__dict__["_loss_trace"] = self
        try:
            with (
                trace_variables(),
                refuse_values("compute_loss"),
                symbolic.recording(data),
                self.updates.recorded(),
            ):
                loss = model.compute_loss(x, y, y_pred, weight, **options)
        except (ValueError, TypeError, AttributeError) as error:
            if "symbolic" not in str(error) and "KerasTensor" not in str(error):
                raise
            raise _not_traced(model, str(error)) from error
        finally:
            del model.__dict__["_loss_trace"]
        if not is_keras_tensor(loss):
            raise _not_traced(model, f"it returned {loss!r} (of type {type(loss)})")
        return loss

    def losses(self) -> list[KerasTensor]:
        """What `model.losses` is meanwhile: activity penalties, then of weights."""
        weights = [
            _weight_penalty(v)
            for v in self.model.trainable_variables
            if v.regularizer is not None
        ]
        return [*self.penalties, *weights]

    def forward(
        self, batch: tuple, predicted: Any
    ) -> tuple[np.ndarray, OwnLossResiduals]:
        """The loss of a batch; updates the metrics that `compute_loss` updates."""
        penalties = [np.asarray(p) for p in _penalties(predicted)]
        zs = [pair and pair.z for pair in predicted.logits]
        values = [batch, predicted.y_pred, zs, predicted.masks, penalties]
        flat = [a for a in tree.flatten(values) if hasattr(a, "shape")]
        (loss, *updates), residuals = self.graph.forward(flat)
        self.updates.run(updates)
        return loss, OwnLossResiduals(np.asarray(loss), residuals)

    def backward(self, residuals: OwnLossResiduals, grads: Gradients) -> LossGradients:
        """Fills `grads`. NB: a loss that is an array counts with its sum."""
        douts = [None] * len(self.graph.outputs)
        douts[0] = np.ones_like(residuals.loss)
        flat = self.graph.backward(douts, residuals.graph, grads)
        found = {id(t): g for t, g in zip(self.inputs, flat, strict=True)}
        outputs, logits, penalties = (
            [found.get(id(t)) for t in tensors]
            for tensors in (self.outputs, self.logits, self.penalties)
        )
        return LossGradients(outputs, logits, penalties)


def own_loss(model: Any, batch: tuple, predicted: Any, training: bool) -> OwnLoss:
    """The traced loss for these shapes, made the first time they are seen."""
    traces = model.__dict__.setdefault("_traces", {})
    values = [batch, predicted.y_pred, predicted.logits, predicted.masks]
    kinds = tree.map_structure(
        lambda a: (a.shape[1:], a.dtype.name, a.ndim) if hasattr(a, "shape") else a,
        values,
    )
    key = ("compute_loss", training, len(_penalties(predicted)), repr(kinds))
    if key not in traces:
        try:
            traces[key] = OwnLoss(model, batch, predicted, training)
        except NotImplementedError as error:
            traces[key] = error
    if isinstance(traces[key], NotImplementedError):
        raise traces[key]
    return traces[key]


def takes_training(model: Any) -> bool:
    """Whether `compute_loss` has an argument `training`, as it has since Keras 3.3."""
    from minikeras.layers.layer import accepts

    return bool(accepts(type(model).compute_loss, ("training",)))


def compiled_loss(model: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """What `super().compute_loss` gives while it is traced."""
    parts = model.losses
    if model._compile_loss is not None:
        for leaf in tree.flatten([y, sample_weight]):
            symbolic.refuse_gradient(leaf, name="compile(loss=...)")
        leaves = tree.flatten(y_pred)
        pairs = [getattr(t, "_keras_logits", None) for t in leaves]
        masks = [getattr(t, "_keras_mask", None) for t in leaves]
        operation = CompiledLoss(model, y, y_pred, sample_weight, pairs, masks)
        parts = [operation(*operation.tensors), *parts]
    if not parts:
        raise ValueError(
            "No loss to compute. Provide a `loss` argument in `compile()`."
        )
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class CompiledLoss(Operation):
    """The loss given to `compile`, as a node.

    Args:
        model: the compiled model.
        y, y_pred, sample_weight: symbolic.
        pairs: a symbolic `Logits` or None for each output.
        masks: a symbolic mask or None for each output.
    """

    def __init__(
        self,
        model: Any,
        y: Any,
        y_pred: Any,
        sample_weight: Any,
        pairs: Any,
        masks: Any,
    ):
        super().__init__(name=auto_name("compiled_loss"))
        self.model = model
        self.activations = [pair and pair.activation for pair in pairs]
        zs = [pair and pair.z for pair in pairs]
        self.arguments = [y, y_pred, sample_weight, zs, masks]
        self.tensors = [t for t in tree.flatten(self.arguments) if is_keras_tensor(t)]

    def compute_output_spec(self, *tensors: KerasTensor) -> KerasTensor:
        """One number."""
        return KerasTensor((), self.model._compile_loss.dtype)

    def forward(self, *values: Any) -> tuple[np.ndarray, Any]:
        """`CompileLoss.forward`."""
        known = {id(t): v for t, v in zip(self.tensors, values, strict=True)}
        y, y_pred, weight, zs, masks = tree.map_structure(
            lambda leaf: known.get(id(leaf), leaf), self.arguments
        )
        pairs = [
            None if z is None else Logits(activation, z)
            for activation, z in zip(self.activations, zs, strict=True)
        ]
        value, residuals = self.model._compile_loss.forward(
            y, y_pred, weight, masks, pairs
        )
        return np.asarray(value), residuals

    def backward(self, dvalue: np.ndarray, residuals: Any, grads: Gradients) -> Any:
        """`CompileLoss.backward`: for outputs and logits; there is none for others."""
        of_outputs, of_logits = self.model._compile_loss.backward(
            dvalue, residuals, grads
        )
        _, y_pred, _, zs, _ = self.arguments
        found = dict(zip(map(id, tree.flatten(y_pred)), of_outputs, strict=True))
        found.update(zip(map(id, zs), of_logits, strict=True))
        parts = [found.get(id(t)) for t in self.tensors]
        return parts[0] if len(parts) == 1 else tuple(parts)


class WeightPenalty(Operation):
    """The penalty of a weight's regularizer, as a node."""

    def __init__(self, variable: Any):
        super().__init__(name=auto_name("weight_penalty"))
        self.weights = [variable]

    def forward(self, variable: Any) -> tuple[np.ndarray, None]:
        """`regularizer(variable)`."""
        return np.asarray(variable.regularizer(variable.value)), None

    def backward(self, dvalue: np.ndarray, residuals: None, grads: Gradients) -> tuple:
        """Adds the regularizer's gradient; no tensor came in."""
        (variable,) = self.weights
        grads.add(variable, dvalue * gradient_of(variable.regularizer, variable.value))
        return ()


def _weight_penalty(variable: Any) -> KerasTensor:
    tensor = KerasTensor((), variable.dtype)
    Node(WeightPenalty(variable), (variable,), {}, tensor)
    return tensor


def _penalties(predicted: Any) -> tuple[Any, ...]:
    return getattr(predicted.residuals, "penalties", ())


def _symbolic(leaf: Any) -> Any:
    if not hasattr(leaf, "shape"):
        return leaf
    shape = (None, *leaf.shape[1:]) if len(leaf.shape) else ()
    return KerasTensor(shape, leaf.dtype.name)


def _not_traced(model: Any, cause: str) -> NotImplementedError:
    return NotImplementedError(
        f"The gradient of the `compute_loss` of {type(model).__name__} is not known. "
        "It is traced: make it of `super().compute_loss(...)`, losses "
        "(`MeanSquaredError()(y, y_pred)`), operators, layers and `self.losses`; not "
        "of NumPy, which leaves a number without a gradient. Or pass a loss made with "
        "`@minikeras.differentiable` to `compile(loss=...)`, or override "
        "`train_step(data)`: forward, loss.forward, backward, optimizer.apply. "
        f"Cause: {cause}"
    )
