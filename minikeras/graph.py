"""A graph of calls, run forwards and backwards.

`Graph.forward` visits the nodes from inputs to outputs and keeps one residual per node;
`Graph.backward` visits them in reverse, adding up the gradients that arrive at a tensor
from its several uses. This file is all the differentiation machinery there is: the rest
is in the `backward` of each layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import tree
from minikeras.graph_order import sort_graph
from minikeras.graph_steps import (
    GraphResiduals,
    Logits,
    Record,
    Step,
    accumulate,
    graph_residuals,
    in_dtype_of,
    mask_of,
)
from minikeras.logits import (
    ActivatedResiduals,
    find_logits,
    run_backward,
    run_forward,
    take_dlogits,
)
from minikeras.messages import warn
from minikeras.micro_batch import batch_size
from minikeras.symbolic import KerasTensor, Node, is_keras_tensor
from minikeras.watching import current_watcher

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class Graph:
    """The calls that lead from `inputs` to `outputs` (flat lists of symbolic tensors).

    They run by depth, as Keras's functional models do; `as_recorded`: in the order of
    the Python that made them, as a traced `call` does. Random draws depend on it.

    Attributes:
        operations: every operation once, in Keras's order: by depth, then by first
            visit. `Model.layers` are the layers among them.
        nodes: every node, inputs included, in the order they run.
        losses: tensors whose sums are added to the loss (`add_loss` in a `call`).
    """

    def __init__(
        self,
        inputs: list[KerasTensor],
        outputs: list[KerasTensor],
        losses: list[KerasTensor] | None = None,
        as_recorded: bool = False,
    ):
        self.inputs = inputs
        self.outputs = outputs
        self.losses = losses or []
        self.nodes, self.operations = sort_graph(inputs, outputs + self.losses)
        if as_recorded:
            self.nodes.sort(key=lambda node: node.serial)
        given = {id(t) for t in inputs}
        self.steps = [
            Step(node)
            for node in self.nodes
            if not node.is_input and not given.issuperset(id(t) for t in node.outputs)
        ]
        self._known_live: tuple[Any, set[int]] = (None, set())
        self._find_last_uses()
        self._find_logits()
        self._is_chain = self._find_chain()

    def _find_logits(self) -> None:
        """Marks the steps whose values may come out of the graph as they are: of the
        others nobody asks for the logits."""
        outgoing = {id(t) for t in self.outputs}
        for step in reversed(self.steps):
            step.may_have_logits = not outgoing.isdisjoint(step.output_ids)
            if step.may_have_logits:
                kinds = {(t.shape, t.dtype) for t in step.node.outputs}
                for t in step.node.input_tensors:
                    if (t.shape, t.dtype) in kinds:
                        outgoing.add(id(t))

    def _find_last_uses(self) -> None:
        """So that `forward` lets go of a value when nobody will read it again."""
        last = {}
        for i, step in enumerate(self.steps):
            for tensor in step.node.input_tensors:
                last[id(tensor)] = i
        kept = {id(t) for t in self.outputs + self.losses}
        for key, i in last.items():
            if key not in kept:
                self.steps[i].last_uses.append(key)

    @np.errstate(all="ignore")
    def forward(
        self,
        inputs: list[Any],
        *,
        training: bool | None = None,
        masks: list[Any] | None = None,
        keep: bool = True,
    ) -> tuple[list[Any], GraphResiduals]:
        """Runs every node.

        Args:
            inputs: one array per input tensor.
            training: passed to every layer; None leaves it to what the calls say.
            masks: one per input; None where there is none.
            keep: False drops residuals as they come: for prediction.

        Returns:
            (outputs, residuals), outputs as a flat list.
        """
        watcher = current_watcher() if keep else None
        plain = self._is_chain and watcher is None and not masks
        if plain and not self._penalizes():
            return self._forward_chain(inputs[0], training, keep)
        values = {id(t): x for t, x in zip(self.inputs, inputs, strict=True)}
        known_masks: dict[int, Any] = {}
        for tensor, mask in zip(self.inputs, masks or [], strict=False):
            if mask is not None:
                known_masks[id(tensor)] = mask
        logits: dict[int, Logits] = {}
        records: list[Record] = []
        penalties: list[Any] = []
        for step in self.steps:
            args, kwargs = step.arguments(values)
            operation, mask, passed = step.operation, None, None
            if known_masks:
                if step.named_masks:
                    kwargs = step.with_masks(kwargs, known_masks)
                mask = mask_of(step.first, known_masks)
                passed = mask if step.one_tensor_argument else None
            if watcher is not None:
                watcher.begins(step, args, kwargs, mask)
            if step.may_have_logits:
                y, residuals = run_forward(operation, args, kwargs, training, passed)
            else:
                y, residuals = operation.run_forward(args, kwargs, training, passed)
            flat = [y] if step.one_output else tree.flatten(y)
            handed_on = ()
            if step.may_have_logits:
                handed_on = find_logits(step, flat, residuals, values, logits)
            if step.is_layer and (known_masks or step.may_make_masks or kwargs):
                mask = kwargs.get("mask", mask)
                _pass_masks_on(step, args, kwargs, mask, residuals, known_masks)
                for tensor in step.named_masks.values():
                    # NB: Keras's MultiHeadAttention takes the masks off its inputs:
                    # who reads them after it sees none.
                    known_masks.pop(id(tensor), None)
            values.update(zip(step.output_ids, flat, strict=True))
            penalized = penalize(operation, flat, residuals, penalties)
            if keep:
                shapes = ()
                if step.wants_zeros:
                    shapes = tuple((a.shape, a.dtype) for a in flat)
                records.append(Record(residuals, penalized, shapes, handed_on))
                if watcher is not None:
                    watcher.ends(records[-1], flat)
            for key in step.last_uses:
                del values[key]
        outputs = [values[id(t)] for t in self.outputs]
        output_masks = [known_masks.get(id(t)) for t in self.outputs]
        losses = tuple(values[id(t)] for t in self.losses)
        penalties += [loss.sum() for loss in losses]
        return outputs, GraphResiduals(
            tuple(records),
            output_masks,
            sum(penalties),
            losses,
            tuple(penalties),
            tuple([logits.get(id(t)) for t in self.outputs]),
        )

    @np.errstate(all="ignore")
    def backward(
        self,
        douts: list[Any],
        residuals: GraphResiduals,
        grads: Gradients,
        need_dx: bool = True,
    ) -> list[Any]:
        """Runs every node's backward, in reverse.

        Args:
            douts: one gradient per output; None where the loss does not depend on it.
            residuals: what `forward` returned.
            grads: receives the gradients of the weights.
            need_dx: whether the gradients of the inputs are wanted.

        Returns:
            One gradient per input, None where there is none.
        """
        watcher = current_watcher()
        plain = self._is_chain and watcher is None
        if plain and not any([r.penalized for r in residuals.records]):
            return [self._backward_chain(douts[0], residuals, grads, need_dx)]
        sums: dict[int, Any] = {}
        for tensor, dy in zip(self.outputs, douts, strict=True):
            accumulate(sums, tensor, dy)
        for tensor, loss in zip(self.losses, residuals.losses, strict=True):
            accumulate(sums, tensor, np.ones_like(loss))  # in forward: loss.sum()
        of_logits: dict[int, Any] = {}
        for tensor, dz in zip(self.outputs, residuals.dlogits, strict=False):
            accumulate(of_logits, tensor, dz)
        live = self._live_tensors(grads, need_dx)
        pairs = zip(reversed(self.steps), reversed(residuals.records), strict=True)
        for step, record in pairs:
            if step.output_ids[0] not in live:
                continue  # no trainable weight here or before
            flat = [sums.pop(key, None) for key in step.output_ids]
            if record.penalized:
                flat = add_penalty_gradients(step.operation, record, flat)
            dlogits = take_dlogits(step, record, of_logits) if of_logits else ()
            if not dlogits and all([dy is None for dy in flat]):
                if getattr(record.residuals, "activity_loss", None) is None:
                    continue
            if record.shapes:
                given = zip(flat, record.shapes, strict=True)
                flat = [np.zeros(*like) if dy is None else dy for dy, like in given]
            node = step.node
            dy = flat[0] if len(flat) == 1 else None
            if dy is None or tree.is_nested(node.output_structure):
                dy = tree.pack_sequence_as(node.output_structure, flat)
            wanted = not live.isdisjoint(step.input_ids)
            if watcher is not None:
                watcher.begins_backward(record, dy, dlogits)
            dx = run_backward(
                step.operation, dy, dlogits, record.residuals, grads, wanted
            )
            if watcher is not None:
                watcher.ends_backward(record, dx if wanted else None)
            if wanted:
                _distribute(node, dx, sums, live)
        return [sums.get(id(t)) for t in self.inputs]

    # --- The same for chains: a stack of layers, without looking anything up ----------

    def _find_chain(self) -> bool:
        """Whether each call's only input is the output of the one before, there are no
        graphs inside and no masks, and only the last can have logits."""
        if len(self.inputs) != 1 or len(self.outputs) != 1 or self.losses:
            return False
        tensor = id(self.inputs[0])
        for step in self.steps:
            if step.only_input != tensor or not step.one_output or step.named_masks:
                return False
            if step.may_make_masks or tree.is_nested(step.node.output_structure):
                return False
            tensor = step.output_ids[0]
        found = [step.may_have_logits for step in self.steps]
        return bool(found) and tensor == id(self.outputs[0]) and not any(found[:-1])

    def _penalizes(self) -> bool:
        operations = [step.operation for step in self.steps]
        return any(
            [getattr(op, "activity_regularizer", None) is not None for op in operations]
        )

    def _forward_chain(
        self, x: Any, training: bool | None, keep: bool
    ) -> tuple[list[Any], GraphResiduals]:
        records = []
        *before, last = self.steps
        for step in before:
            x, residuals = step.operation.run_forward((x,), {}, training, None)
            if keep:
                records.append(Record(residuals, ()))
        x, residuals = run_forward(last.operation, (x,), {}, training, None)
        if keep:
            records.append(Record(residuals, ()))
        activated = isinstance(residuals, ActivatedResiduals)
        logits = (residuals.logits if activated else None,)
        return [x], GraphResiduals(tuple(records), [None], 0, (), (), logits)

    def _backward_chain(
        self, dy: Any, residuals: GraphResiduals, grads: Gradients, need_dx: bool
    ) -> Any:
        dlogits = tuple([dz for dz in residuals.dlogits if dz is not None])
        live = self._live_tensors(grads, need_dx)
        for step, record in zip(
            reversed(self.steps), reversed(residuals.records), strict=True
        ):
            if step.output_ids[0] not in live or (dy is None and not dlogits):
                return None  # no trainable weight here or before, or no gradient
            dy = in_dtype_of(step.node.outputs[0], dy)
            wanted = step.only_input in live
            kept = record.residuals
            dy = run_backward(step.operation, dy, dlogits, kept, grads, wanted)
            dlogits = ()
        return in_dtype_of(self.inputs[0], dy) if wanted else None

    def _live_tensors(self, grads: Gradients, need_dx: bool) -> set[int]:
        """The tensors whose gradients somebody wants: those that depend on a wanted
        weight, or on an input if the inputs' gradients are wanted."""
        key = (need_dx, grads.wanted)
        if key == self._known_live[0] and grads.wanted is not None:
            return self._known_live[1]  # as in the last step
        live = {id(t) for t in self.inputs if need_dx and "float" in t.dtype}
        for step in self.steps:
            if any(id(t) in live for t in step.node.input_tensors) or any(
                grads.wants(v) for v in step.variables
            ):
                live.update(step.output_ids)
        self._known_live = (key, live)
        return live


def _distribute(node: Node, dx: Any, sums: dict[int, Any], live: set[int]) -> None:
    """Hands the gradients of a call's arguments to the tensors they came from."""
    arguments = node.tensor_arguments
    if len(arguments) == 1 and is_keras_tensor(arguments[0]):  # nearly always
        if id(arguments[0]) in live:
            accumulate(sums, arguments[0], dx)
        return
    gradients = [dx] if len(arguments) == 1 else dx
    if len(gradients) != len(arguments):
        raise ValueError(
            f"The backward of '{node.operation.name}' returned {len(gradients)} "
            f"gradients for a call with {len(arguments)} tensor arguments."
        )
    for argument, gradient in zip(arguments, gradients, strict=True):
        if gradient is None:
            continue
        leaves = tree.flatten(argument)
        parts = [gradient] if is_keras_tensor(argument) else tree.flatten(gradient)
        for leaf, part in zip(leaves, parts, strict=True):
            if is_keras_tensor(leaf) and id(leaf) in live:
                accumulate(sums, leaf, part)


def _pass_masks_on(
    step: Step,
    args: tuple,
    kwargs: dict[str, Any],
    mask: Any,
    residuals: Any,
    masks: dict[int, Any],
) -> None:
    """Stores the masks of a layer's outputs beside their values."""
    operation: Any = step.operation
    inner = graph_residuals(residuals)
    if inner is not None:  # it knows its own
        found = inner.output_masks
    elif mask is None and not step.makes_mask:
        return
    elif not step.masks:
        warn(
            f"Layer '{operation.name}' (of type {type(operation).__name__}) was passed "
            "an input with a mask attached to it. However, this layer does not support "
            "masking and will therefore destroy the mask information. Downstream "
            "layers will not see the mask.",
        )
        return
    else:
        first = args[0] if args else next(iter(kwargs.values()))
        found = operation.compute_mask(first, mask)
        if found is None:
            return
        found = [found] if len(step.output_ids) == 1 else tree.flatten(found)
    for key, value in zip(step.output_ids, found, strict=False):
        if value is not None:
            masks[key] = value


def penalize(
    operation: Any, flat: list[Any], residuals: Any, penalties: list[Any]
) -> tuple[np.ndarray, ...]:
    """Adds the activity penalties of a call; returns the outputs they came from."""
    penalties.extend(getattr(residuals, "penalties", ()))  # of a nested model
    regularizer = getattr(operation, "activity_regularizer", None)
    if regularizer is None:
        return ()
    for y in flat:
        # NB: Keras 3 divides an activity penalty by the batch size.
        penalties.append(regularizer(y) / y.dtype.type(batch_size(y)))
    return tuple(flat)


def add_penalty_gradients(operation: Any, record: Record, flat: list[Any]) -> list[Any]:
    from minikeras.regularizers import gradient_of

    regularizer = operation.activity_regularizer
    result = []
    for dy, y in zip(flat, record.penalized, strict=True):
        penalty = gradient_of(regularizer, y) / y.dtype.type(batch_size(y))
        result.append(penalty if dy is None else dy + penalty)
    return result
