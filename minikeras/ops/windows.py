"""Where a sliding window goes: padding arithmetic and windows as strided views.

Convolution and pooling share this page. Everything is written for any number of
spatial axes, in the layout (batch, *spatial, channels).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided


class Geometry(NamedTuple):
    """How a window moves; each field has one entry per spatial axis.

    Along one axis, output `o` looks at the padded input positions
    `o * stride + tap * dilation`, for `tap` in `range(size)`.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]  # (before, after)
    out: tuple[int, ...]  # output lengths

    def taps(self) -> Iterator[tuple[int, ...]]:
        """The positions inside the window, in row-major order."""
        return itertools.product(*map(range, self.size))

    @property
    def overlaps(self) -> bool:
        """Whether some input element lies in more than one window."""
        return any(k > s for k, s in zip(self.size, self.strides, strict=True))


def pad_lengths(
    length: int, size: int, stride: int, padding: str, dilation: int = 1
) -> tuple[int, int]:
    """How many positions to add (before, after) one axis.

    **Formula** with `span = (size - 1) * dilation + 1`:

    - `"valid"`: nothing.
    - `"same"`: as many as make `ceil(length / stride)` outputs,
      `total = max((ceil(length / stride) - 1) * stride + span - length, 0)`,
      of which `total // 2` before: if `total` is odd, the larger half is after.
    - `"causal"`: `span - 1`, all before: an output never sees a later input.

    >>> pad_lengths(5, size=2, stride=1, padding="same")
    (0, 1)
    """
    span = (size - 1) * dilation + 1
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return span - 1, 0
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


def output_length(
    length: int | None, size: int, stride: int, padding: str, dilation: int = 1
) -> int | None:
    """The number of window positions along one axis; None stays None.

    `floor((length + pads - span) / stride) + 1`, which for `"same"` and `"causal"` is
    `ceil(length / stride)`.

    >>> output_length(28, size=3, stride=1, padding="valid")
    26
    """
    if length is None:
        return None
    if padding in ("same", "causal"):
        return -(-length // stride)
    return (length - (size - 1) * dilation - 1) // stride + 1


def output_lengths(
    spatial: Any,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...],
    caller: str = "This operation",
) -> tuple[int | None, ...]:
    """`output_length` of every axis; refuses a window larger than its input."""
    axes = zip(spatial, size, strides, dilation, strict=True)
    out = tuple(output_length(n, k, s, padding, d) for n, k, s, d in axes)
    if padding == "valid" and any(n is not None and n <= 0 for n in out):
        raise ValueError(
            f"Computed output size would be zero or negative: {caller} slides a window "
            f"of size {size} over an input of spatial shape {tuple(spatial)}, and "
            f"padding='valid' needs the whole window inside. Use padding='same', a "
            f"smaller window or a larger input. Received: strides={strides}, "
            f"dilation_rate={dilation}, output size {out}."
        )
    return out


def geometry(
    spatial: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...] | None = None,
    caller: str = "This operation",
) -> Geometry:
    """The `Geometry` of windows of `size` over an input of lengths `spatial`."""
    dilation = dilation or (1,) * len(size)
    out = output_lengths(spatial, size, strides, padding, dilation, caller)
    axes = zip(spatial, size, strides, dilation, strict=True)
    pads = tuple(pad_lengths(n, k, s, padding, d) for n, k, s, d in axes)
    return Geometry(tuple(size), tuple(strides), tuple(dilation), pads, out)


def pad(
    x: np.ndarray,
    pads: tuple[tuple[int, int], ...],
    value: Any = 0,
    empty: Callable[[tuple[int, ...], Any], np.ndarray] = np.empty,
) -> np.ndarray:
    """`x` with `value` around its spatial axes; `x` itself if there is nothing to add.

    `np.pad` does the same at ten times the overhead.

    Args:
        x: (batch, *spatial, channels).
        pads: (before, after) for each spatial axis.
        value: what to put there.
        empty: makes the array to fill.
    """
    if not any(map(any, pads)):
        return x
    padded = empty(padded_shape(x.shape, pads), x.dtype)
    padded[...] = value
    unpad(padded, pads)[...] = x
    return padded


def padded_shape(
    shape: tuple[int, ...], pads: tuple[tuple[int, int], ...]
) -> tuple[int, ...]:
    """The shape of `pad(x, pads)` for an x of this shape."""
    lengths = (b + n + a for n, (b, a) in zip(shape[1:-1], pads, strict=True))
    return (shape[0], *lengths, shape[-1])


def unpad(xp: np.ndarray, pads: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The view of `xp` without its padding: the inverse, and the gradient, of `pad`."""
    inner = [slice(b, n - a) for n, (b, a) in zip(xp.shape[1:-1], pads, strict=True)]
    return xp[(slice(None), *inner)]


def windows(xp: np.ndarray, g: Geometry) -> np.ndarray:
    """All windows of a padded input as a view: nothing is copied.

    A step from one output to the next is `stride` elements of the input, a step from
    one tap to the next `dilation` elements; an element that lies in nine windows shows
    up nine times. The view is read-only for that reason.

    Returns:
        (batch, *out, *size, channels).
    """
    batch, *spatial, channels = xp.strides
    steps = [a * s for a, s in zip(spatial, g.strides, strict=True)]
    taps = [a * d for a, d in zip(spatial, g.dilation, strict=True)]
    return as_strided(
        xp,
        shape=(len(xp), *g.out, *g.size, xp.shape[-1]),
        strides=(batch, *steps, *taps, channels),
        writeable=False,
    )


def at_tap(xp: np.ndarray, tap: tuple[int, ...], g: Geometry) -> np.ndarray:
    """What all windows see at one position inside them, as a (writable) view.

    Returns:
        (batch, *out, channels).
    """
    index = [slice(None)]
    for t, s, d, out in zip(tap, g.strides, g.dilation, g.out, strict=True):
        start = t * d
        index.append(slice(start, start + (out - 1) * s + 1 if out else start, s))
    return xp[tuple(index)]


def to_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """A view of `x` in the layout (batch, *spatial, channels).

    All work is done in this layout. Under `"channels_first"` inputs and outputs are
    transposed views of it: no copy is made for the turn itself, and of two layers in a
    row the second undoes what the first did.
    """
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def from_channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    """The inverse of `to_channels_last`, also a view."""
    return np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
