"""`keras.ops`: tensors repeated, and tensors with a border."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.ops.elementwise import unbroadcast
from minikeras.ops.stable import as_array
from minikeras.symbolic import KerasTensor
from minikeras.tensors.base import NUMPY, TensorOperation, apply, operation


class Growing(TensorOperation):
    """An operation whose result may be much larger than its input.

    Its shape is computed, not tried out: a config from a file may ask for anything.
    """

    def output_shape(self, shape: tuple) -> tuple:
        """The shape of the result; None for unknown sizes."""
        raise NotImplementedError

    def compute_output_spec(self, x: Any, *more: Any) -> KerasTensor:
        """By `output_shape`."""
        return KerasTensor(self.output_shape(tuple(x.shape)), x.dtype)


def _times(size: int | None, repeats: int) -> int | None:
    return None if size is None else size * repeats


@operation(NUMPY, shape=None)
class BroadcastTo(Growing):
    """Repeated along axes of length 1; dx adds the copies up."""

    shape: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return np.broadcast_to(x, tuple(self.shape)).copy(), x.shape

    def output_shape(self, shape: tuple) -> tuple:
        """The one asked for."""
        return tuple(self.shape)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dx = the sum of dy over the copies."""
        return (unbroadcast(dy, residuals),)


@operation(NUMPY, repeats=None)
class Tile(Growing):
    """x side by side several times; dx adds the copies up."""

    repeats: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return np.tile(x, self.repeats), x.shape

    def output_shape(self, shape: tuple) -> tuple:
        """Each axis so many times."""
        repeats = np.atleast_1d(self.repeats).tolist()
        rank = max(len(repeats), len(shape))
        repeats = [1] * (rank - len(repeats)) + repeats
        sizes = [1] * (rank - len(shape)) + list(shape)
        return tuple(_times(n, r) for n, r in zip(sizes, repeats, strict=True))

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """dy as (repeats, size) of each axis, added up over the repeats."""
        repeats = np.atleast_1d(self.repeats).tolist()
        rank = max(len(repeats), len(residuals))
        repeats = [1] * (rank - len(repeats)) + repeats
        sizes = [1] * (rank - len(residuals)) + list(residuals)
        pairs = [n for pair in zip(repeats, sizes, strict=True) for n in pair]
        dx = dy.reshape(pairs).sum(axis=tuple(range(0, 2 * rank, 2)))
        return (dx.reshape(residuals),)


@operation(NUMPY, repeats=None, axis=None)
class Repeat(Growing):
    """Each slice along `axis` several times; dx adds the copies up."""

    repeats: Any
    axis: Any

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """(y, shape of x)."""
        x = as_array(x)
        return np.repeat(x, self.repeats, self.axis), x.shape

    def output_shape(self, shape: tuple) -> tuple:
        """One axis longer."""
        if self.axis is None:
            sizes = [None if None in shape else int(np.prod(shape))]
            axis = 0
        else:
            sizes, axis = list(shape), self.axis
        if np.ndim(self.repeats):
            sizes[axis] = int(np.sum(self.repeats))
        else:
            sizes[axis] = _times(sizes[axis], self.repeats)
        return tuple(sizes)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[np.ndarray]:
        """The sum over each slice's copies."""
        axis = 0 if self.axis is None else self.axis
        size = int(np.prod(residuals)) if self.axis is None else residuals[axis]
        places = np.repeat(np.arange(size), self.repeats)
        dx = np.zeros((size, *np.moveaxis(dy, axis, 0).shape[1:]), dy.dtype)
        np.add.at(dx, places, np.moveaxis(dy, axis, 0))
        return (np.moveaxis(dx, 0, axis).reshape(residuals),)


@operation(NUMPY, pad_width=None, mode="constant")
class Pad(Growing):
    """x with a border of a constant; dx is the inside of dy."""

    pad_width: Any
    mode: Any

    def forward(self, x: Any, constant_values: Any = None) -> tuple[np.ndarray, Any]:
        """(y, the place of x in y)."""
        if self.mode != "constant":
            raise NotImplementedError(
                f"minikeras pads with constants only. Received: mode={self.mode!r}"
            )
        x = as_array(x)
        widths = np.broadcast_to(np.asarray(self.pad_width), (x.ndim, 2)).tolist()
        value = 0 if constant_values is None else constant_values
        inside = tuple(
            slice(before, before + n)
            for (before, _), n in zip(widths, x.shape, strict=True)
        )
        return np.pad(x, widths, constant_values=value), inside

    def output_shape(self, shape: tuple) -> tuple:
        """Each axis with its borders."""
        widths = np.broadcast_to(np.asarray(self.pad_width), (len(shape), 2)).tolist()
        pairs = zip(shape, widths, strict=True)
        return tuple(None if n is None else n + sum(width) for n, width in pairs)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[Any, ...]:
        """The border is constant."""
        dx = dy[residuals]
        return (dx, *(None for _ in self._inbound_nodes[0].args[1:]))


def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated to this shape."""
    return apply(BroadcastTo, x, shape=tuple(shape))


def tile(x: Any, repeats: Any) -> Any:
    """`x` side by side, so many times along each axis."""
    return apply(Tile, x, repeats=repeats)


def repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    """Each slice along `axis` so many times in a row."""
    return apply(Repeat, x, repeats=repeats, axis=axis)


def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Any:
    """`x` with a border, `pad_width` is a number, a pair, or a pair for each axis."""
    more = () if constant_values is None else (constant_values,)
    return apply(Pad, x, *more, pad_width=pad_width, mode=mode)
