"""What the merging layers share: a list of inputs, their shapes and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.layer import Layer
from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.merge import align_ranks, spread

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class MergeResiduals(NamedTuple):
    """What the backward pass of a merging layer needs.

    Attributes:
        shapes: of the inputs.
        aligned: the same with axes of length 1, all of one rank.
        floats: which inputs have gradients: integers have none.
        kept: what the function keeps.
    """

    shapes: list[tuple[int, ...]]
    aligned: list[tuple[int, ...]]
    floats: list[bool]
    kept: Any


class Merge(Layer):
    """One output made of a list of inputs, element by element.

    Inputs of different ranks get axes of length 1 after the batch axis; then they
    broadcast as in NumPy. A subclass defines `_merge` and its gradient `_merge_grad`.

    The mask of the output is True where that of any input is; there is none if any
    input has none.

    Args:
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Checks that the shapes fit together; there are no weights."""
        self._check_list(input_shape)
        self.compute_output_shape(input_shape)

    def _check_list(self, input_shape: Any) -> None:
        if not len(input_shape) or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Layer "
                f"'{self.name}' received: input_shape={input_shape} (not a list of "
                "shapes)"
            )
        batch_sizes = {shape[0] for shape in input_shape if shape} - {None}
        if len(batch_sizes) > 1:
            raise ValueError(
                "Cannot merge tensors with different batch sizes. Layer "
                f"'{self.name}' received tensors with shapes {input_shape}"
            )

    def _merge(self, xs: list[np.ndarray], masks: list[Any]) -> tuple[np.ndarray, Any]:
        """(y, what is kept) for inputs of one rank and masks in their shapes."""
        raise NotImplementedError

    def _merge_grad(
        self, dy: np.ndarray, kept: Any, shapes: list[tuple[int, ...]]
    ) -> Sequence[np.ndarray]:
        """dx for each input, possibly not yet summed over repeated axes."""
        raise NotImplementedError

    def forward(self, inputs: Any) -> tuple[np.ndarray, MergeResiduals]:
        """The inputs merged."""
        return self._run(inputs, None)

    def _run(self, inputs: Any, mask: Any) -> tuple[np.ndarray, MergeResiduals]:
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Layer "
                f"'{self.name}' received: {type(inputs)}"
            )
        xs = align_ranks(promote(inputs))
        masks: list[Any] = [None] * len(xs)
        if mask is not None:
            # NB: in Keras an input loses its mask when it gets further axes.
            masks = [
                spread(np.asarray(m, bool), x.shape)
                if m is not None and x.ndim == given.ndim
                else None
                for x, given, m in zip(xs, inputs, mask, strict=True)
            ]
        y, kept = self._merge(xs, masks)
        residuals = MergeResiduals(
            [x.shape for x in inputs],
            [x.shape for x in xs],
            [x.dtype.kind == "f" for x in inputs],
            kept,
        )
        return y, residuals

    def backward(
        self, dy: np.ndarray, residuals: MergeResiduals, grads: Gradients
    ) -> list[np.ndarray | None]:
        """One gradient per input, in the input's shape; None for integers."""
        shapes, aligned, floats, kept = residuals
        gradients = self._merge_grad(dy, kept, aligned)
        return [
            unbroadcast(g, wide).reshape(shape) if is_float else None
            for g, wide, shape, is_float in zip(
                gradients, aligned, shapes, floats, strict=True
            )
        ]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The broadcast shape; sizes that are None stay None."""
        shape: tuple = tuple(input_shape[0][1:])
        for other in input_shape[1:]:
            shape = self._broadcast(shape, tuple(other[1:]))
        batch_sizes = {s[0] for s in input_shape if s} - {None}
        batch = batch_sizes.pop() if len(batch_sizes) == 1 else None
        return (batch, *shape)

    def _broadcast(self, a: tuple, b: tuple) -> tuple:
        if len(a) < len(b):
            a, b = b, a
        split = len(a) - len(b)
        sizes = []
        for i, j in zip(a[split:], b, strict=True):
            if i is None or j is None:
                sizes.append(None)
            elif i != j and 1 not in (i, j):
                raise ValueError(
                    f"Inputs have incompatible shapes. Layer '{self.name}' merges "
                    "element by element, so that each size must be equal or 1. "
                    f"Received shapes {a} and {b} (without the batch axis)."
                )
            else:
                sizes.append(j if i == 1 else i)
        return (*a[:split], *sizes)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """True where any of the masks is; None if an input has none."""
        if previous_mask is None:
            return None
        check_masks(inputs, previous_mask)
        if any(m is None for m in previous_mask):
            return None
        mask, *others = previous_mask
        for m in others:
            mask = mask | m
        return mask


def promote(xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """NB: beside floats integers take their dtype; NumPy would go to float64."""
    floats = [x.dtype for x in xs if x.dtype.kind == "f"]
    if not floats or len(floats) == len(xs):
        return list(xs)
    dtype = np.result_type(*floats)
    return [x if x.dtype.kind == "f" else x.astype(dtype) for x in xs]


def check_masks(inputs: Any, mask: Any) -> None:
    """Masks come as a list, one entry per input."""
    if not isinstance(mask, list | tuple):
        raise ValueError(f"`mask` should be a list. Received: mask={mask}")
    if not isinstance(inputs, list | tuple):
        raise ValueError(f"`inputs` should be a list. Received: inputs={inputs}")
    if len(mask) != len(inputs):
        raise ValueError(
            "The lists `inputs` and `mask` should have the same length. Received: "
            f"inputs of length {len(inputs)}, and mask of length {len(mask)}"
        )
