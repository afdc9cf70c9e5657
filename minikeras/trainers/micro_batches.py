"""A step in micro-batches: parts of the batch that fit the cache, on several threads.

Loss and gradients are sums over the examples of a batch. So a batch may be cut, each
micro-batch run forwards and backwards by itself, and the gradients added:

    for part in parts:                          # several at a time
        outputs, residuals = graph.forward(inputs[part])
        loss += compile_loss.forward(y[part], outputs)
        grads += graph.backward(compile_loss.backward(1.0), residuals)

What belongs to the whole batch stays with it: the number a loss is divided by, random
numbers and activity penalties (`micro_batch.py`), metrics.

The gradients are added in the order of the parts, whichever is ready first, and where
to cut depends on shapes alone. So results are the same, to the last bit, for any number
of threads. They differ from those of the uncut batch by rounding.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.gradients import Gradients
from minikeras.graph import Graph
from minikeras.graph_steps import GraphResiduals, Logits
from minikeras.micro_batch import Draws, MicroBatch, computing
from minikeras.threads import current_pool
from minikeras.trainers import passes
from minikeras.trainers.passes import Prediction
from minikeras.trainers.splitting import Cut


class CutBatch:
    """A batch, where it is cut, and what its parts share.

    Args:
        model: a compiled model.
        graph: its calls.
        inputs: of the graph.
        y, sample_weight: as for the model; may be None.
        cut: where to cut.
        training: whether layers run in training mode.
    """

    def __init__(
        self,
        model: Any,
        graph: Graph,
        inputs: list[Any],
        y: Any,
        sample_weight: Any,
        cut: Cut,
        training: bool,
    ):
        self.model = model
        self.graph = graph
        self.inputs = inputs
        self.y = y
        self.sample_weight = sample_weight
        self.parts = cut.parts
        self.makes_masks = cut.makes_masks
        self.training = training
        self.examples = cut.parts[-1].stop
        self._draws = Draws()

    def part(self, i: int) -> MicroBatch:
        """What layers may want to know of a part."""
        start, stop = self.parts[i].start, self.parts[i].stop
        return MicroBatch(start, stop, self.examples, self._draws)

    def forward(self, i: int, keep: bool) -> tuple[list[Any], GraphResiduals]:
        """The graph's forward for a part; `keep` as there."""
        inputs = rows(self.inputs, self.parts[i])
        with computing(self.part(i)):
            return self.graph.forward(inputs, training=self.training, keep=keep)

    def predict(self, i: int, keep: bool) -> Prediction:
        """The same, as a `Prediction`."""
        return passes.prediction(self.model, self.graph, *self.forward(i, keep))

    def backward(
        self, i: int, predicted: Prediction, gradients: Any, sums: OrderedSum
    ) -> None:
        """The backward for a part, from the gradients of its outputs and logits."""
        grads = sums.sums.empty_copy()
        with computing(self.part(i)):
            passes.backward(self.model, predicted, gradients, grads)
        sums.add(i, grads)


class OrderedSum:
    """Adds up gradients in the order of the parts, in whatever order they come.

    Args:
        sums: receives them.
    """

    def __init__(self, sums: Gradients):
        self.sums = sums
        self._waiting: dict[int, Gradients] = {}
        self._next = 0
        self._lock = threading.Lock()

    def add(self, i: int, grads: Gradients) -> None:
        """Takes the gradients of part `i`; adds all those whose turn has come."""
        with self._lock:
            self._waiting[i] = grads
            while self._next in self._waiting:
                self.sums.add_all(self._waiting.pop(self._next))
                self._next += 1


def rows(structure: Any, part: slice) -> Any:
    """The rows of a part, of every array in a structure."""
    return tree.map_structure(lambda a: None if a is None else a[part], structure)


def can_be_cut(cut: Cut, *structures: Any) -> bool:
    """Whether every array has one row per example."""
    leaves = [leaf for s in structures for leaf in tree.flatten(s) if leaf is not None]
    examples = cut.parts[-1].stop
    return all(np.ndim(leaf) > 0 and len(leaf) == examples for leaf in leaves)


def predict(model: Any, graph: Graph, inputs: list[Any], cut: Cut) -> list[Any]:
    """The outputs for a batch, as a flat list."""
    batch = CutBatch(model, graph, inputs, None, None, cut, training=False)
    found = _in_parallel(lambda i: batch.forward(i, keep=False)[0], len(cut.parts))
    return [np.concatenate(outputs) for outputs in zip(*found, strict=True)]


def run(batch: CutBatch, grads: Gradients | None) -> tuple[Prediction, Any]:
    """Forward, loss and backward for a batch.

    Args:
        batch: the batch.
        grads: receives the gradients; None: evaluate only.

    Returns:
        (the predictions for the whole batch, the compiled loss).
    """
    denominators = _denominators(batch)
    if denominators is None:
        return _run_around_loss(batch, grads)
    sums = None if grads is None else OrderedSum(grads)

    def run_part(i: int) -> tuple[Prediction, Any, Any]:
        predicted = batch.predict(i, keep=sums is not None)
        y, weight = rows((batch.y, batch.sample_weight), batch.parts[i])
        loss, residuals = passes.compiled_loss(
            batch.model, y, predicted, weight, denominators=denominators, track=False
        )
        if sums is not None:
            gradients = passes.loss_gradients(batch.model, predicted, residuals)
            batch.backward(i, predicted, gradients, sums)
        values = None if residuals is None else residuals.values
        return predicted._replace(residuals=None), loss, values

    found = _in_parallel(run_part, len(batch.parts))
    predictions, losses, values = zip(*found, strict=True)
    whole = _gather(batch, predictions)
    if batch.model._compile_loss is None:
        return whole, None
    singles = [_sum(parts) for parts in zip(*values, strict=True)]
    batch.model._compile_loss.track(singles, batch.examples)
    return whole, _sum(losses)


def _run_around_loss(
    batch: CutBatch, grads: Gradients | None
) -> tuple[Prediction, Any]:
    """All parts forwards, the loss of the whole batch, all parts backwards: where the
    loss is no sum over the examples, or masks decide what it is divided by."""
    count = len(batch.parts)
    found = _in_parallel(lambda i: batch.predict(i, keep=grads is not None), count)
    whole = _gather(batch, found)
    loss, residuals = passes.compiled_loss(
        batch.model, batch.y, whole, batch.sample_weight
    )
    if grads is None:
        return whole, loss
    sums = OrderedSum(grads)
    gradients = passes.loss_gradients(batch.model, whole, residuals, grads)

    def run_part(i: int) -> None:
        predicted, found[i] = found[i], None  # lets go of residuals as it proceeds
        batch.backward(i, predicted, rows(gradients, batch.parts[i]), sums)

    _in_parallel(run_part, count)
    return whole, loss


def _in_parallel(function: Callable[[int], Any], count: int) -> list[Any]:
    pool = current_pool()
    if pool is None:
        return [function(i) for i in range(count)]
    return pool.map(function, range(count))


def _denominators(batch: CutBatch) -> list[float | None] | None:
    """What each loss of the whole batch is divided by; [] without a loss. None if that
    is not known before the forward pass, or if the loss is no sum over the examples."""
    loss = batch.model._compile_loss
    if loss is None or batch.y is None:  # the latter is refused in due course
        return []
    shapes = [t.shape[1:] for t in batch.graph.outputs]
    if batch.makes_masks or any(None in shape for shape in shapes):
        return None
    outputs = [
        np.broadcast_to(np.zeros((), tensor.dtype), (batch.examples, *shape))
        for tensor, shape in zip(batch.graph.outputs, shapes, strict=True)
    ]
    y_pred = batch.model._pack_outputs(outputs)
    if not loss.splittable(batch.y, y_pred, batch.sample_weight):
        return None
    return loss.denominators(batch.y, y_pred, batch.sample_weight)


def _gather(batch: CutBatch, found: Sequence[Prediction]) -> Prediction:
    """The predictions of all parts as that of the batch."""
    outputs = zip(*[tree.flatten(p.y_pred) for p in found], strict=True)
    flat = [_joined(parts) for parts in outputs]
    y_pred = tree.pack_sequence_as(found[0].y_pred, flat)
    of_outputs = zip(*[p.logits for p in found], strict=True)
    logits = [_joined_logits(parts) for parts in of_outputs]
    masks = [_joined(parts) for parts in zip(*[p.masks for p in found], strict=True)]
    activity_loss = _sum([p.activity_loss for p in found])
    return Prediction(y_pred, logits, masks, activity_loss, None, batch.graph)


def _joined(parts: Sequence[Any]) -> Any:
    return None if parts[0] is None else np.concatenate(parts)


def _joined_logits(parts: Sequence[Logits | None]) -> Logits | None:
    if parts[0] is None:
        return None
    return Logits(parts[0].activation, np.concatenate([p.z for p in parts]))


def _sum(values: Sequence[Any]) -> Any:
    """The sum, from the first to the last."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
