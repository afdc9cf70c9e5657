"""Concatenate: inputs one after the other along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.merging.base_merge import Merge, check_masks, promote
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class ConcatenateResiduals(NamedTuple):
    """What `Concatenate.backward` needs.

    Attributes:
        sizes: of each input along the axis.
        floats: which inputs have gradients: integers have none.
    """

    sizes: list[int]
    floats: list[bool]


@public("keras.layers")
class Concatenate(Merge):
    """Puts its inputs one after the other along one axis.

    Args:
        axis: along which; the inputs have equal sizes along all others.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        A list of shapes that differ along `axis` only.

    Output shape:
        The same, with the sum of the sizes along `axis`.

    **Formula**: `y = [x_0, x_1, ...]`

    **Gradient**: `dx_i` is the piece of dy that x_i became.

    **Keeps**: the sizes along `axis`.

    The mask of the output joins those of the inputs; an input without one counts as
    all valid.

    >>> Concatenate()([np.ones((1, 2), "float32"), np.zeros((1, 1), "float32")])
    array([[1., 1., 0.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self._on_the_batch_axis = axis == 0

    @property
    def couples_examples(self) -> bool:  # type: ignore[override]
        """True along the batch axis: there it is not one example in, one out."""
        return self._on_the_batch_axis

    def build(self, input_shape: Any) -> None:
        """Checks that the shapes differ along `axis` only; there are no weights."""
        if not len(input_shape) or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of at least 1 input. "
                f"Layer '{self.name}' received: input_shape={input_shape}"
            )
        ranks = {len(shape) for shape in input_shape}
        rank = len(input_shape[0])
        if len(ranks) == 1 and not -rank <= self.axis < rank:
            raise ValueError(
                f"Layer '{self.name}' cannot concatenate along axis {self.axis}: its "
                f"inputs have {rank} axes. Received: input_shape={input_shape}"
            )
        sizes = [
            {size for size in column if size is not None}
            for i, column in enumerate(zip(*input_shape, strict=False))
            if i != self.axis % rank
        ]
        if len(ranks) > 1 or any(len(column) > 1 for column in sizes):
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for "
                f"the concatenation axis ({self.axis}). Layer '{self.name}' received: "
                f"input_shape={input_shape}"
            )
        self._on_the_batch_axis = self.axis % rank == 0

    def forward(self, inputs: Any) -> tuple[np.ndarray, ConcatenateResiduals]:
        """The inputs in a row."""
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of inputs. Layer "
                f"'{self.name}' received: {type(inputs)}"
            )
        y = np.concatenate(promote(inputs), axis=self.axis)
        return y, ConcatenateResiduals(
            [x.shape[self.axis] for x in inputs],
            [x.dtype.kind == "f" for x in inputs],
        )

    def backward(
        self, dy: np.ndarray, residuals: ConcatenateResiduals, grads: Gradients
    ) -> list[np.ndarray | None]:
        """The pieces of dy, as views."""
        ends = np.cumsum(residuals.sizes)[:-1]
        pieces = np.split(dy, ends, axis=self.axis)  # y = concatenate(inputs)
        pairs = zip(pieces, residuals.floats, strict=True)
        return [piece if is_float else None for piece, is_float in pairs]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The first shape with the sum of the sizes along `axis`; None stays None."""
        if not len(input_shape) or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                "A `Concatenate` layer should be called on a list of inputs. Layer "
                f"'{self.name}' received: input_shape={input_shape}"
            )
        sizes = [shape[self.axis] for shape in input_shape]
        shape = list(input_shape[0])
        shape[self.axis] = None if None in sizes else sum(sizes)
        return tuple(shape)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks joined as the inputs are; along the last axis, True where any is.

        A mask (N, T) of an input (N, T, F) says the same of all F features.
        """
        if previous_mask is None:
            return None
        check_masks(inputs, previous_mask)
        if all(m is None for m in previous_mask):
            return None
        masks = []
        for x, m in zip(inputs, previous_mask, strict=True):
            if m is None:
                m = np.ones(x.shape, bool)
            elif m.ndim < x.ndim:
                m = np.asarray(m, bool)[..., np.newaxis] | np.zeros(x.shape, bool)
            masks.append(m)
        return np.concatenate(masks, axis=self.axis).any(axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis=axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)
