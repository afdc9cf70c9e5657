"""Hypothesis strategies: shapes, arrays, masks and layer configs.

Everything drawn is valid by construction; nothing is drawn and thrown away. Arrays are
drawn as a small recipe (`Values`), so a failing example prints as one line that can be
pasted into `@example`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

DTYPES = ("float32", "float64")
# What ordinary random data never contains, and code gets wrong.
SPECIALS = ("ties", "zeros", "large", "equal_rows")
ACTIVATIONS = (
    None, "relu", "tanh", "sigmoid", "softmax", "elu", "selu", "softplus", "softsign",
    "gelu", "silu", "leaky_relu", "relu6", "hard_sigmoid", "hard_silu", "mish",
    "log_softmax", "exponential", "linear",
)  # fmt: skip


@dataclass(frozen=True)
class Values:
    """A recipe for an array of floats: call it with a dtype to get the array.

    Args:
        shape: the array's shape.
        seed: of the random numbers.
        scale: their standard deviation.
        specials: names from `SPECIALS`, injected into a part of the values:
            `ties` (multiples of scale / 2: maxima and kinks are hit exactly), `zeros`,
            `large` (up to 1000: saturates gates), `equal_rows` (the last axis is
            constant in some rows: variance 0).
    """

    shape: tuple[int, ...]
    seed: int = 0
    scale: float = 1.0
    specials: tuple[str, ...] = ()

    def __call__(self, dtype: str = "float64") -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        x = rng.standard_normal(self.shape) * self.scale
        part = rng.random(self.shape)
        if "ties" in self.specials:
            rounded = np.round(x / self.scale * 2) * (self.scale / 2)
            x = np.where(part < 0.5, rounded, x)
        if "zeros" in self.specials:
            x = np.where((part > 0.5) & (part < 0.7), 0.0, x)
        if "large" in self.specials:
            big = rng.choice([-1000.0, -30.0, 30.0, 1000.0], self.shape)
            x = np.where(part > 0.9, big, x)
        if "equal_rows" in self.specials and x.ndim and x.size:
            rows = rng.random((*self.shape[:-1], 1)) < 0.3
            x = np.where(rows, x[..., :1], x)
        return x.astype(dtype)

    def with_shape(self, shape: tuple[int, ...]) -> Values:
        """The same recipe for another shape."""
        return replace(self, shape=tuple(shape))


def apart(x: Values) -> np.ndarray:
    """The values in steps of 1/64: equal, or not nearly equal."""
    return np.round(x() * (64 / x.scale)) / 64


def dtypes() -> st.SearchStrategy[str]:
    """ "float32" or "float64"."""
    return st.sampled_from(DTYPES)


def seeds() -> st.SearchStrategy[int]:
    """Seeds for random numbers; shrink towards 0."""
    return st.integers(0, 2**32 - 1)


def sizes(low: int = 1, high: int = 6) -> st.SearchStrategy[int]:
    """The length of an axis; 1 is among them, since length-1 axes broadcast."""
    return st.integers(low, high)


def shapes(
    min_rank: int = 1, max_rank: int = 4, low: int = 1, high: int = 5
) -> st.SearchStrategy[tuple[int, ...]]:
    """A shape, batch axis included."""
    return st.lists(sizes(low, high), min_size=min_rank, max_size=max_rank).map(tuple)


def scales() -> st.SearchStrategy[float]:
    """10**U(-4, 2): bugs in an epsilon show only in small numbers."""
    return st.floats(-4, 2, allow_nan=False).map(lambda e: float(f"{10**e:.3g}"))


def numbers(low: int, high: int) -> st.SearchStrategy[float]:
    """Thousandths: products with them are never so small that they are flushed to 0."""
    return st.integers(low * 1000, high * 1000).map(lambda i: i / 1000)


@st.composite
def values(
    draw: st.DrawFn,
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]],
    *,
    scale: float | None = None,
    specials: tuple[str, ...] = SPECIALS,
) -> Values:
    """A recipe for an array of this shape (or of a drawn shape)."""
    if isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    chosen = draw(st.sets(st.sampled_from(specials), max_size=2)) if specials else ()
    return Values(
        tuple(shape),
        draw(seeds()),
        draw(scales()) if scale is None else scale,
        tuple(sorted(chosen)),
    )


def arrays(
    shape: tuple[int, ...], dtype: str, **options: Any
) -> st.SearchStrategy[np.ndarray]:
    """The array itself, when no recipe is needed."""
    return values(shape, **options).map(lambda recipe: recipe(dtype))


@st.composite
def ids(
    draw: st.DrawFn, shape: tuple[int, ...], vocabulary: int, dtype: str = "int32"
) -> np.ndarray:
    """Integers below `vocabulary`; often few different ones, so they repeat."""
    rng = np.random.default_rng(draw(seeds()))
    few = draw(st.integers(1, vocabulary))
    pool = rng.choice(vocabulary, few, replace=False)
    return rng.choice(pool, shape).astype(dtype)


@st.composite
def masks(
    draw: st.DrawFn, batch: int, time: int, *, fully_masked: bool = True
) -> np.ndarray:
    """Booleans (batch, time): padded right, padded left, with holes, or whole rows.

    Args:
        fully_masked: whether rows without any valid step may occur.
    """
    kinds = ["right", "left", "holes", "all"] + (["none"] if fully_masked else [])
    mask = np.ones((batch, time), bool)
    rng = np.random.default_rng(draw(seeds()))
    for row in mask:
        kind = draw(st.sampled_from(kinds))
        keep = int(rng.integers(1, time + 1))
        if kind == "right":
            row[keep:] = False
        elif kind == "left":
            row[: time - keep] = False
        elif kind == "holes":
            row[:] = rng.random(time) < 0.6
            row[rng.integers(time)] = True
        elif kind == "none":
            row[:] = False
    return mask


def activations(*, softmax: bool = True) -> st.SearchStrategy[str | None]:
    """Names for the `activation` argument; None shrinks first."""
    names = [n for n in ACTIVATIONS if softmax or n not in ("softmax", "log_softmax")]
    return st.sampled_from(names)


def data_formats() -> st.SearchStrategy[str]:
    """Keras's two image layouts."""
    return st.sampled_from(["channels_last", "channels_first"])


def image_shape(
    data_format: str, batch: int, space: tuple[int, ...], channels: int
) -> tuple[int, ...]:
    """A batch shape in this layout."""
    if data_format == "channels_last":
        return (batch, *space, channels)
    return (batch, channels, *space)


@st.composite
def windows(
    draw: st.DrawFn, rank: int = 2, *, dilation: bool = True, max_size: int = 4
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Strides, padding, dilation and a space they fit in: `(config, space)`.

    The config has `size` (kernel or pool), `strides`, `padding`, `dilation_rate`; the
    caller renames `size`. Strides and dilation are never both above 1: TensorFlow
    cannot do that, nor may a window be larger than the padded image.
    """
    axes = range(rank)
    size = tuple(draw(sizes(1, max_size)) for _ in axes)
    padding = draw(st.sampled_from(["valid", "same"]))
    strides, rate = (1,) * rank, (1,) * rank
    if dilation and draw(st.booleans()):
        rate = tuple(draw(sizes(1, 3)) for _ in axes)
    else:
        strides = tuple(draw(sizes(1, 3)) for _ in axes)
    reach = [(s - 1) * r + 1 for s, r in zip(size, rate, strict=True)]
    least = reach if padding == "valid" else [1] * rank
    space = tuple(n + draw(st.integers(0, 4)) for n in least)
    config = {"size": size, "strides": strides, "padding": padding}
    return {**config, "dilation_rate": rate}, space


@st.composite
def convolutions(
    draw: st.DrawFn, rank: int = 2, *, groups: bool = True
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arguments of `Conv1D`/`Conv2D`/`Conv3D` and a batch shape: `(config, shape)`.

    NB: TensorFlow on CPU has neither the gradient of channels_first convolutions nor of
    grouped ones everywhere; Keras transposes around it. Both are drawn.
    """
    config, space = draw(windows(rank))
    config["kernel_size"] = config.pop("size")
    config["data_format"] = draw(data_formats())
    config["groups"] = draw(st.sampled_from([1, 1, 2, 3])) if groups else 1
    config["filters"] = config["groups"] * draw(sizes(1, 3))
    config["use_bias"] = draw(st.booleans())
    config["activation"] = draw(st.sampled_from([None, "relu", "tanh"]))
    channels = config["groups"] * draw(sizes(1, 3))
    shape = image_shape(config["data_format"], draw(sizes(1, 3)), space, channels)
    return config, shape


@st.composite
def poolings(draw: st.DrawFn, rank: int = 2) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arguments of the pooling layers and a batch shape: `(config, shape)`."""
    config, space = draw(windows(rank, dilation=False, max_size=2 if rank == 3 else 4))
    config["pool_size"] = config.pop("size")
    del config["dilation_rate"]
    if draw(st.booleans()):  # Keras's default: strides = pool_size
        config["strides"] = None
    config["data_format"] = draw(data_formats())
    shape = (draw(sizes(1, 3)), space, draw(sizes(1, 3)))
    return config, image_shape(config["data_format"], *shape)


@st.composite
def recurrences(
    draw: st.DrawFn, *, max_time: int = 5
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arguments that LSTM, GRU and SimpleRNN share and a shape `(batch, time, d)`."""
    config = {
        "units": draw(sizes(1, 5)),
        "activation": draw(st.sampled_from(["tanh", "relu", "linear", "softsign"])),
        "use_bias": draw(st.booleans()),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
    }
    shape = (draw(sizes(1, 4)), draw(sizes(1, max_time)), draw(sizes(1, 4)))
    return config, shape
