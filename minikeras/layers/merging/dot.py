"""Dot: products of two inputs, summed over an axis of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras.layers.merging.base_merge import Merge, promote
from minikeras.ops.merge import DotResiduals, batch_dot, batch_dot_grad
from minikeras.ops.unit_norm import UnitNormResiduals, unit_norm, unit_norm_grad
from minikeras.registry import public

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class DotLayerResiduals(NamedTuple):
    """What `Dot.backward` needs.

    Attributes:
        normalized: the residuals of both normalizations; None without.
        product: those of the product.
        floats: which inputs have gradients: integers have none.
    """

    normalized: tuple[UnitNormResiduals, UnitNormResiduals] | None
    product: DotResiduals
    floats: list[bool]


@public("keras.layers")
class Dot(Merge):
    """For each example the dot products of two inputs over one axis of each.

    Args:
        axes: the axis to sum over, counted with the batch axis, or a pair: one for each
            input. The batch axis, 0, cannot be among them.
        normalize: whether both are scaled to length 1 along their axis before: then the
            result is the cosine of the angle between them.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Input shape:
        A list of two shapes (N, ...), of equal size along the axes summed over.

    Output shape:
        The first without its axis, then the second without its axis and the batch;
        (N, 1) if nothing is left but the batch.

    **Formula** for `axes=(1, 2)`: `z[n, i, j] = sum over k of x[n, k, i] * y[n, j, k]`

    **Gradient**: `dx[n, k, i] = sum over j of dz[n, i, j] * y[n, j, k]`, and dy alike;
    with `normalize`, through `ops.unit_norm`.

    **Keeps**: both inputs.

    >>> Dot(axes=1)([np.array([[1.0, 2.0]], "float32"), np.ones((1, 2), "float32")])
    array([[3.]], dtype=float32)
    """

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, list | tuple):
                raise TypeError(
                    "Invalid type for argument `axes`: it should be a list or an int. "
                    f"Received: axes={axes}"
                )
            if len(axes) != 2:
                raise ValueError(
                    "Invalid format for argument `axes`: it should contain two "
                    f"elements. Received: axes={axes}"
                )
            if not all(isinstance(axis, int) for axis in axes):
                raise ValueError(
                    "Invalid format for argument `axes`: list elements should be "
                    f"integers. Received: axes={axes}"
                )
        self.axes = axes
        self.normalize = normalize

    def _axes(self, shapes: Any) -> tuple[int, int]:
        """The axis of each input, counted from the front."""
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        a, b = (
            axis + len(s) if axis < 0 else axis
            for axis, s in zip(axes, shapes, strict=True)
        )
        if not (0 < a < len(shapes[0]) and 0 < b < len(shapes[1])):
            raise ValueError(
                f"Layer '{self.name}' sums over one axis of each input, not the batch "
                f"axis 0. Received: axes={self.axes}, input shapes {tuple(shapes[0])} "
                f"and {tuple(shapes[1])}"
            )
        return a, b

    def build(self, input_shape: Any) -> None:
        """Checks that the shapes fit together; there are no weights."""
        self._check_pair(input_shape)
        shape1, shape2 = input_shape
        a, b = self._axes(input_shape)
        if shape1[a] != shape2[b]:
            raise ValueError(
                f"Incompatible input shapes: axis values {shape1[a]} (at axis {a}) != "
                f"{shape2[b]} (at axis {b}). Full input shapes: {shape1}, {shape2}"
            )

    def _check_pair(self, shapes: Any) -> None:
        if len(shapes) != 2 or not isinstance(shapes[0], list | tuple):
            raise ValueError(
                "A `Dot` layer should be called on a list of 2 inputs. Layer "
                f"'{self.name}' received: input_shape={shapes}"
            )

    def forward(self, inputs: Any) -> tuple[np.ndarray, DotLayerResiduals]:
        """The products."""
        if not isinstance(inputs, list | tuple) or len(inputs) != 2:
            raise ValueError(
                "A `Dot` layer should be called on exactly 2 inputs. Layer "
                f"'{self.name}' received: {type(inputs)}"
            )
        x, y = promote(inputs)
        a, b = self._axes((x.shape, y.shape))
        if len(x) != len(y) or x.shape[a] != y.shape[b]:
            raise ValueError(
                f"Layer '{self.name}' needs inputs of one batch size and of one size "
                f"along axes {a} and {b}. Received shapes {x.shape} and {y.shape}"
            )
        normalized = None
        if self.normalize:
            x, of_x = unit_norm(x, (a,))
            y, of_y = unit_norm(y, (b,))
            normalized = of_x, of_y
        z, product = batch_dot(x, y, (a, b))
        floats = [i.dtype.kind == "f" for i in inputs]
        return z, DotLayerResiduals(normalized, product, floats)

    def backward(
        self, dy: np.ndarray, residuals: DotLayerResiduals, grads: Gradients
    ) -> list[np.ndarray | None]:
        """One gradient per input."""
        dx1, dx2 = batch_dot_grad(dy, residuals.product)
        if residuals.normalized is not None:
            of_x, of_y = residuals.normalized
            dx1, dx2 = unit_norm_grad(dx1, of_x), unit_norm_grad(dx2, of_y)
        pairs = zip((dx1, dx2), residuals.floats, strict=True)
        return [dx if is_float else None for dx, is_float in pairs]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """What is left of the first, then of the second."""
        self._check_pair(input_shape)
        a, b = self._axes(input_shape)
        first, second = list(input_shape[0]), list(input_shape[1])
        del first[a], second[b], second[0]
        shape = (*first, *second)
        return shape if len(shape) > 1 else (*shape, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: the steps are summed over or mixed."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes=axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
