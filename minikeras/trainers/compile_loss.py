"""CompileLoss: the `loss` and `loss_weights` given to `compile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minikeras import config, losses, tree
from minikeras.gradients import Gradients
from minikeras.losses import Loss, LossFunctionWrapper
from minikeras.losses.symbolic import on_logits
from minikeras.metrics import Mean
from minikeras.trainers import loss_plan
from minikeras.trainers.compile_metrics import (
    is_binary_or_sparse_categorical,
    object_name,
)
from minikeras.trainers.loss_plan import PlannedLoss
from minikeras.trainers.loss_terms import Term, add_gradients, compute


class CompileLossResiduals(NamedTuple):
    """What `CompileLoss.backward` needs.

    Attributes:
        values: the single losses, without their weights.
        terms: how each was computed.
        dtypes: of the outputs.
        batch_size: number of examples.
    """

    values: list[Any]
    terms: list[Term]
    dtypes: list[Any]
    batch_size: int


def get_loss(identifier: Any, y_true: Any, y_pred: Any) -> Loss:
    """The loss an entry of `loss` stands for, given an output and its target."""
    if str(identifier).lower() in ("crossentropy", "ce"):
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        if binary:
            found = losses.binary_crossentropy
        elif sparse:
            found = losses.sparse_categorical_crossentropy
        else:
            found = losses.categorical_crossentropy
    else:
        found = losses.get(identifier)
    if isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else object_name(found)
    return LossFunctionWrapper(found, name=name)


class CompileLoss:
    """All losses of a model, added up.

    Args:
        loss: a name, function or `Loss`; for several outputs a list or dict of them,
            nested like the outputs. None where an output has no loss.
        loss_weights: their factors in the sum, in the same structure.
        reduction: accepted as in Keras, where it has no effect either: every loss
            reduces itself.
        output_names: names of a functional model's outputs, in their order.

    **Formula**: `value = sum of weight_i * loss_i(y_true_i, y_pred_i)`.

    **Gradient**: `dy_pred_i = dvalue * weight_i * dloss_i`, added up where two losses
    look at one output.

    The losses are made when the first batch is seen, since what "crossentropy" means
    depends on shapes.

    >>> total = CompileLoss(["mse", "mae"], loss_weights=[1.0, 0.5])
    >>> y_true, y_pred = [np.zeros((1, 1))] * 2, [np.full((1, 1), 2.0)] * 2
    >>> value, residuals = total.forward(y_true, y_pred)
    >>> value, residuals.values
    (np.float32(5.0), [np.float32(4.0), np.float32(2.0)])
    >>> total.backward(1.0, residuals)[0]
    [array([[4.]]), array([[0.5]])]
    """

    name = "compile_loss"
    weighs_batches = True  # in `metrics`, by the number of their examples

    def __init__(
        self,
        loss: Any,
        loss_weights: Any = None,
        reduction: str = "sum_over_batch_size",
        output_names: Sequence[str] | None = None,
    ):
        if loss_weights and not isinstance(loss_weights, list | tuple | dict | float):
            raise ValueError(
                "Expected `loss_weights` argument to be a float (single output case) "
                "or a list, tuple, or dict (multiple output case). Received instead: "
                f"loss_weights={loss_weights} of type {type(loss_weights)}"
            )
        _check_names(loss)
        self._user_loss = loss
        self._user_loss_weights = loss_weights
        self.reduction = reduction
        self.dtype = config.floatx()
        self.output_names = list(output_names) if output_names else None
        self.metrics: list[Mean] = []
        self.built = False
        self._losses: list[PlannedLoss] = []
        self._twins: dict[tuple, Loss | None] = {}
        self._traces: dict[Any, Any] = {}  # the graphs of losses made of operations

    @property
    def variables(self) -> list[Any]:
        """The variables of `metrics`."""
        return [v for metric in self.metrics for v in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the losses, for outputs and targets of these shapes.

        If there are several, each gets a `Mean` in `metrics` that reports it.
        """
        self._losses = loss_plan.plan(
            self._user_loss,
            self._user_loss_weights,
            self.output_names,
            y_true,
            y_pred,
            get_loss,
        )
        if len(self._losses) > 1:
            self.metrics = [Mean(name=f"{loss.name}_loss") for loss in self._losses]
        self.built = True

    def forward(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        masks: Sequence[Any] | None = None,
        logits: Sequence[Any] | None = None,
        denominators: Sequence[float | None] | None = None,
        track: bool = True,
    ) -> tuple[Any, CompileLossResiduals]:
        """The weighted sum of all losses, and what its gradient needs.

        Args:
            y_true: targets, in the structure of the outputs.
            y_pred: outputs.
            sample_weight: one array for all outputs, or in their structure.
            masks: flat list, one mask or None for each output.
            logits: flat list, one pair (activation name, logits) for each output that
                ends in a softmax or sigmoid; the pair, or the logits, may be None. A
                crossentropy is then computed from the logits, as in Keras.
            denominators: from `denominators(...)` of the whole batch, if this is a
                slice of it. The losses of all slices then add up to that of the batch.
            track: whether `metrics` take the single losses into account.
        """
        if self._is_plain(y_true, y_pred, sample_weight, masks):
            return self._forward_plain(
                y_true, y_pred, sample_weight, logits, denominators
            )
        y_true, indices, planned_losses = self._arranged(y_true, y_pred)
        leaves = tree.flatten(y_pred)
        twins = self._twins_on_logits(planned_losses, y_true, leaves, indices, logits)
        terms, values, total = [], [], None
        for i, (planned, twin) in enumerate(zip(planned_losses, twins, strict=True)):
            where = _at(planned.path, indices)
            options: dict[str, Any] = {}
            if denominators is not None:
                options["denominator"] = denominators[i]
            if masks:
                options["mask"] = masks[where]
            value, residuals, loss = compute(
                planned.loss,
                twin,
                _at(planned.path, y_true),
                leaves[where],
                logits[where] if logits else None,
                self._weight_at(planned.path, sample_weight),
                self._traces,
                **options,
            )
            value = np.asarray(value, self.dtype)[()]
            term = Term(where, loss, residuals, planned.weight, twin is not None)
            terms.append(term)
            values.append(value)
            weighted = (
                value if planned.weight is None else value * float(planned.weight)
            )
            total = weighted if total is None else total + weighted
        dtypes = [getattr(leaf, "dtype", self.dtype) for leaf in leaves]
        batch_size = np.shape(leaves[0])[0] if np.ndim(leaves[0]) else 1
        kept = CompileLossResiduals(values, terms, dtypes, batch_size)
        if track:
            self.track(values, batch_size)
        return total, kept

    def _is_plain(self, y_true: Any, y_pred: Any, weight: Any, masks: Any) -> bool:
        """Whether there is one loss of one output, and nothing else to look at."""
        return (
            self.built
            and len(self._losses) == 1
            and not self._losses[0].path
            and type(y_true) is type(y_pred) is np.ndarray
            and (weight is None or type(weight) is np.ndarray)
            and (not masks or masks[0] is None)
        )

    def _forward_plain(
        self, y_true: Any, y_pred: Any, weight: Any, logits: Any, denominators: Any
    ) -> tuple[Any, CompileLossResiduals]:
        """`forward` for that case, without looking for places in structures."""
        (planned,) = self._losses
        pair = logits[0] if logits else None
        twin = None if pair is None else self._twin(planned.loss, pair, y_true, y_pred)
        options = {"denominator": denominators[0]} if denominators else {}
        value, residuals, loss = compute(
            planned.loss, twin, y_true, y_pred, pair, weight, self._traces, **options
        )
        value = np.asarray(value, self.dtype)[()]
        term = Term(0, loss, residuals, planned.weight, twin is not None)
        total = value if planned.weight is None else value * float(planned.weight)
        kept = CompileLossResiduals([value], [term], [y_pred.dtype], len(y_pred))
        return total, kept

    def backward(
        self,
        dvalue: Any,
        residuals: CompileLossResiduals,
        grads: Gradients | None = None,
    ) -> tuple[list[Any], list[Any]]:
        """The gradient of the sum.

        Args:
            dvalue: 1.0.
            residuals: what `forward` returned.
            grads: receives the gradients of weights that a loss of the user's uses.

        Returns:
            Two flat lists with an entry for each output: its gradient and that of its
            logits, None where no loss took these.
        """
        of_outputs: list[Any] = [None] * len(residuals.dtypes)
        of_logits: list[Any] = [None] * len(residuals.dtypes)
        for term in residuals.terms:
            # in forward: total += weight * loss
            dloss = dvalue if term.weight is None else dvalue * float(term.weight)
            dtype = residuals.dtypes[term.output]
            add_gradients(term, dloss, dtype, of_outputs, of_logits, grads)
        return of_outputs, of_logits

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of all losses."""
        return self.forward(y_true, y_pred, sample_weight)[0]

    def track(self, values: Sequence[Any], batch_size: int) -> None:
        """Takes the single losses of a batch into account in `metrics`.

        Args:
            values: all of them; fewer, as where two look at one output, are not.
            batch_size: number of examples.
        """
        if len(values) != len(self.metrics):
            return
        weight = batch_size if self.weighs_batches else None
        for metric, value in zip(self.metrics, values, strict=True):
            metric.update_state(value, sample_weight=weight)

    def denominators(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        masks: Sequence[Any] | None = None,
    ) -> list[float | None]:
        """What each loss of this whole batch is divided by; see `Loss.denominator`.

        Args:
            y_true, sample_weight, masks: see `forward`.
            y_pred: the outputs, or arrays of their shapes, since nothing else matters
                here (`np.broadcast_to(0.0, shape)` takes no memory).
        """
        found = self._each(y_true, y_pred, sample_weight, masks)
        return [loss.denominator(*arguments) for loss, *arguments in found]

    def splittable(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        masks: Sequence[Any] | None = None,
    ) -> bool:
        """Whether the loss of this batch is the sum of the losses of its slices.

        Args: see `denominators`.
        """
        found = self._each(y_true, y_pred, sample_weight, masks)
        return all(loss.splittable(*arguments) for loss, *arguments in found)

    def _each(
        self, y_true: Any, y_pred: Any, sample_weight: Any, masks: Any
    ) -> list[tuple[Any, ...]]:
        """(loss, y_true, y_pred, sample_weight, mask) for each loss."""
        y_true, indices, planned_losses = self._arranged(y_true, y_pred)
        leaves = tree.flatten(y_pred)
        found = []
        for planned in planned_losses:
            where = _at(planned.path, indices)
            found.append(
                (
                    planned.loss,
                    _at(planned.path, y_true),
                    leaves[where],
                    self._weight_at(planned.path, sample_weight),
                    masks[where] if masks else None,
                )
            )
        return found

    def _arranged(self, y_true: Any, y_pred: Any) -> tuple[Any, Any, list[PlannedLoss]]:
        """(targets in the structure of the outputs, the outputs' indices in the same
        structure, the losses that count)."""
        one_to_one = not tree.is_nested(y_true) and not tree.is_nested(y_pred)
        if not one_to_one:
            y_true = loss_plan.align_targets(
                y_true, y_pred, self._user_loss, self.output_names
            )
        if not self.built:
            self.build(y_true, y_pred)
        count = len(tree.flatten(y_pred))
        indices = tree.pack_sequence_as(y_pred, list(range(count)))
        # NB: Keras takes only the first of several losses for a model's only output,
        # and reports 0 for all of them.
        return y_true, indices, self._losses[:1] if one_to_one else self._losses

    def _weight_at(self, path: tuple[Any, ...], sample_weight: Any) -> Any:
        if not tree.is_nested(sample_weight):
            return sample_weight
        try:
            found = _at(path, sample_weight)
        except (KeyError, IndexError, TypeError):
            found = sample_weight
        if tree.is_nested(found):
            raise ValueError(
                "`sample_weight` must be one array for all outputs, or have the "
                f"structure of the outputs. There is none at {list(path)} in: "
                f"{tree.map_structure(lambda _: '*', sample_weight)}"
            )
        return found

    def _twins_on_logits(
        self,
        planned_losses: list[PlannedLoss],
        y_true: Any,
        leaves: list[Any],
        indices: Any,
        logits: Sequence[Any] | None,
    ) -> list[Loss | None]:
        """For each loss the same loss on logits, or None where it takes outputs."""
        if not logits or not any(logits):
            return [None] * len(planned_losses)
        twins = []
        for planned in planned_losses:
            where = _at(planned.path, indices)
            target = _at(planned.path, y_true)
            twins.append(self._twin(planned.loss, logits[where], target, leaves[where]))
        return twins

    def _twin(self, loss: Loss, pair: Any, y_true: Any, y_pred: Any) -> Loss | None:
        if not pair or pair[1] is None:
            return None
        shapes = np.shape(y_true)[1:], np.shape(y_pred)[1:]
        key = (id(loss), pair[0], y_pred.dtype, np.ndim(y_true), *shapes)
        if key not in self._twins:
            self._twins[key] = on_logits(loss, pair[0], y_true, y_pred)
        return self._twins[key]


def _at(path: tuple[Any, ...], structure: Any) -> Any:
    for key in path:
        structure = structure[key]
    return structure


def _check_names(loss: Any) -> None:
    """Refuses an unknown name at once, not when the first batch is seen."""
    for identifier in tree.flatten(loss):
        if isinstance(identifier, str) and identifier.lower() not in (
            "crossentropy",
            "ce",
        ):
            losses.get(identifier)
