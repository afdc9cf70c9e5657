"""Calls of a layer inside another: with their activity penalties, and backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from minikeras import tree

if TYPE_CHECKING:
    from minikeras.gradients import Gradients
    from minikeras.layers.layer import Layer


class InnerCall(NamedTuple):
    """What the call of an inner layer leaves for its backward.

    Attributes:
        record: its residuals, and its outputs if they are penalized.
        penalties: the numbers it adds to the loss.
        output: its output's structure, with None for the arrays.
    """

    record: Any
    penalties: tuple[Any, ...]
    output: Any


class Penalties:
    """For the residuals of a layer with inner calls (a mix-in): a graph adds what is in
    `penalties` to the loss. A subclass has `inner_calls`."""

    @property
    def inner_calls(self) -> list[InnerCall]:
        """The calls this residual is about."""
        raise NotImplementedError

    @property
    def penalties(self) -> tuple[Any, ...]:
        """The penalties of all inner calls."""
        return tuple(p for call in self.inner_calls for p in call.penalties)

    @property
    def activity_loss(self) -> Any:
        """Their sum; None if there are none."""
        found = self.penalties
        return sum(found) if found else None


def forward_inner(
    layer: Layer,
    args: tuple,
    kwargs: dict[str, Any],
    *,
    training: bool,
    mask: Any = None,
) -> tuple[Any, InnerCall]:
    """`layer(*args, **kwargs)`, keeping what its backward needs."""
    from minikeras.graph import penalize
    from minikeras.graph_steps import Record

    y, residuals = layer.run_forward(args, kwargs, training, mask)
    penalties: list[Any] = []
    penalized = penalize(layer, tree.flatten(y), residuals, penalties)
    structure = tree.map_structure(lambda _: None, y)
    return y, InnerCall(Record(residuals, penalized), tuple(penalties), structure)


def backward_inner(
    layer: Layer, dy: Any, call: InnerCall, grads: Gradients, need_dx: bool = True
) -> Any:
    """`layer.backward` on the gradient of its output and of its penalties."""
    from minikeras.graph import add_penalty_gradients

    if call.record.penalized:
        flat = tree.flatten(dy) if tree.is_nested(dy) else [dy]
        if len(flat) != len(call.record.penalized):
            flat = [None] * len(call.record.penalized)
        flat = add_penalty_gradients(layer, call.record, flat)
        dy = tree.pack_sequence_as(call.output, flat)
    return layer.run_backward(dy, call.record.residuals, grads, need_dx)
