"""`keras.ops`: shapes, order, joining and choosing."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from minikeras.ops.stable import as_array
from minikeras.sizes import symbolic_shape
from minikeras.symbolic import KerasTensor, any_symbolic, is_keras_tensor
from minikeras.tensors.base import (
    NUMPY,
    TensorOperation,
    apply,
    operation,
)
from minikeras.tracing import tracing


class Rearranged(TensorOperation):
    """y has the elements of x in another order; so has dx those of dy."""

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return self.rearrange(x), x.shape

    def rearrange(self, x: np.ndarray) -> np.ndarray:
        """y."""
        raise NotImplementedError

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = dy, in the shape of x."""
        return (dy.reshape(residuals),)


@operation(NUMPY, newshape=None)
class Reshape(Rearranged):
    """The same elements in another shape."""

    newshape: Any

    def rearrange(self, x: np.ndarray) -> np.ndarray:
        """One -1 stands for what is left over."""
        return x.reshape(tuple(self.newshape))

    def compute_output_spec(self, x: Any) -> Any:
        """None where -1 stands for an unknown size. Whether sizes fit shows only when
        it runs: examples may be joined."""
        if None in x.shape:
            shape = tuple(None if n == -1 else n for n in self.newshape)
            return KerasTensor(shape, x.dtype)
        return super().compute_output_spec(x)


@operation(NUMPY)
class Ravel(Rearranged):
    """All elements in a row."""

    def rearrange(self, x: np.ndarray) -> np.ndarray:
        """(a, b, ...) -> (a b ...)."""
        return x.reshape(-1)


@operation(NUMPY, axis=None)
class ExpandDims(Rearranged):
    """More axes of length 1."""

    axis: Any

    def rearrange(self, x: np.ndarray) -> np.ndarray:
        """Axes of the result."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return np.expand_dims(x, axis)


@operation(NUMPY, axis=None)
class Squeeze(Rearranged):
    """Without axes of length 1."""

    axis: Any

    def rearrange(self, x: np.ndarray) -> np.ndarray:
        """None: all of them."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return np.squeeze(x, axis)


@operation(NUMPY, axes=None)
class Transpose(TensorOperation):
    """y[i, j] = x[j, i]; dx is dy transposed back."""

    axes: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """None: the axes in reverse."""
        x = as_array(x)
        axes = tuple(reversed(range(x.ndim))) if self.axes is None else self.axes
        return np.transpose(x, axes), tuple(axes)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """The inverse permutation."""
        return (np.transpose(dy, np.argsort(residuals)),)


@operation(NUMPY, source=None, destination=None)
class Moveaxis(TensorOperation):
    """Axes moved to other places; dx moves them back."""

    source: Any
    destination: Any

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """As NumPy."""
        return np.moveaxis(as_array(x), self.source, self.destination), None

    def gradients(self, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        """From destination to source."""
        return (np.moveaxis(dy, self.destination, self.source),)


@operation(NUMPY, axis1=None, axis2=None)
class Swapaxes(TensorOperation):
    """Two axes change places, in dx too."""

    axis1: Any
    axis2: Any

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """As NumPy."""
        return np.swapaxes(as_array(x), self.axis1, self.axis2), None

    def gradients(self, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        """Once more."""
        return (np.swapaxes(dy, self.axis1, self.axis2),)


@operation(NUMPY, axis=None)
class Flip(TensorOperation):
    """In reverse order along `axis`; so is dx."""

    axis: Any

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """None: along every axis."""
        return np.flip(as_array(x), self.axis), None

    def gradients(self, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        """Once more."""
        return (np.flip(dy, self.axis),)


@operation(NUMPY, shift=None, axis=None)
class Roll(TensorOperation):
    """Shifted along `axis`, what leaves at the end comes in at the beginning."""

    shift: Any
    axis: Any

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """None: as if all elements were in a row."""
        return np.roll(as_array(x), self.shift, self.axis), None

    def gradients(self, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        """Shifted back."""
        back = np.negative(self.shift)
        back = tuple(back.tolist()) if np.ndim(back) else int(back)
        return (np.roll(dy, back, self.axis),)


class Triangle(TensorOperation):
    """The upper or the lower triangle of matrices, 0 elsewhere; so is dx."""

    k: int
    function = staticmethod(np.triu)

    def forward(self, x: Any) -> tuple[np.ndarray, None]:
        """From the k-th diagonal on."""
        return type(self).function(as_array(x), self.k), None

    def gradients(self, dy: np.ndarray, residuals: None) -> tuple[np.ndarray]:
        """The same triangle of dy."""
        return (type(self).function(dy, self.k),)


@operation(NUMPY, k=0)
class Triu(Triangle):
    """The upper triangle."""


@operation(NUMPY, k=0)
class Tril(Triangle):
    """The lower triangle."""

    function = staticmethod(np.tril)


@operation(NUMPY, offset=0, axis1=0, axis2=1)
class Diagonal(TensorOperation):
    """The diagonal of two axes, as the last axis; dx has dy there, else 0."""

    offset: int
    axis1: int
    axis2: int

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return x.diagonal(self.offset, self.axis1, self.axis2).copy(), x.shape

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """Written to a writeable view of the diagonal."""
        dx = np.zeros(residuals, dy.dtype)
        moved = np.moveaxis(dx, (self.axis1, self.axis2), (-2, -1))
        n = np.arange(dy.shape[-1])
        moved[..., n + max(-self.offset, 0), n + max(self.offset, 0)] = dy
        return (dx,)


# --- The functions ------------------------------------------------------------------


def reshape(x: Any, newshape: Any) -> Any:
    """`x` in another shape; one -1 stands for what is left over."""
    single = isinstance(newshape, int) or is_keras_tensor(newshape)
    shape = (newshape,) if single else tuple(newshape)
    if None in shape:
        raise ValueError(
            "`reshape` needs sizes: -1 for what is left over, or in a `call` the "
            "entries of `keras.ops.shape(x)` in the place of those of `x.shape`. "
            f"Received: newshape={shape}"
        )
    return apply(Reshape, x, newshape=shape)


def ravel(x: Any) -> Any:
    """All elements in a row."""
    return apply(Ravel, x)


def expand_dims(x: Any, axis: Any) -> Any:
    """`x` with more axes of length 1, at these places of the result."""
    return apply(ExpandDims, x, axis=axis)


def squeeze(x: Any, axis: Any = None) -> Any:
    """`x` without axes of length 1: all, or these."""
    return apply(Squeeze, x, axis=axis)


def transpose(x: Any, axes: Any = None) -> Any:
    """`x` with its axes in this order; None: in reverse."""
    return apply(Transpose, x, axes=axes)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """`x` with axes moved to other places."""
    return apply(Moveaxis, x, source=source, destination=destination)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """`x` with two axes exchanged."""
    return apply(Swapaxes, x, axis1=axis1, axis2=axis2)


def flip(x: Any, axis: Any = None) -> Any:
    """`x` in reverse order along `axis`; None: along every axis."""
    return apply(Flip, x, axis=axis)


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """`x` shifted along `axis`, round and round."""
    return apply(Roll, x, shift=shift, axis=axis)


def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle, from the k-th diagonal on."""
    return apply(Triu, x, k=k)


def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle, up to the k-th diagonal."""
    return apply(Tril, x, k=k)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes."""
    return apply(Diagonal, x, offset=offset, axis1=axis1, axis2=axis2)


def shape(x: Any) -> tuple:
    """The shape, a tuple. Sizes that are not known are None; in a traced `call`
    symbolic numbers, see `minikeras/sizes.py`."""
    if is_keras_tensor(x) and None in x.shape and tracing():
        return symbolic_shape(x)
    return _known_shape(x)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(_known_shape(x))


def size(x: Any) -> Any:
    """The number of elements."""
    known = shape(x)
    if None in known:
        raise ValueError(f"The size is not known. Received: shape={known}")
    if any_symbolic(known):
        return functools.reduce(operator.mul, known)
    return int(np.prod(known))


def _known_shape(x: Any) -> tuple:
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
