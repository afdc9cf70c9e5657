"""`keras.random`: distributions over arrays, with Keras's signatures and numbers.

In all of them `seed` is an integer (the same numbers at every call), a `SeedGenerator`
(new numbers at every call) or None (the global generator). A pair that `draw_seed` gave
before is taken too, and `offset`, which Keras does not have, starts at that element of
the stream: the rows 64.. of a batch are drawn with `offset = 64 * row_size`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import micro_batch
from minikeras.casting import cast
from minikeras.random import streams
from minikeras.random.seed_generator import draw_seed, stream_seed
from minikeras.random.traced import DropoutDraw, ShuffleDraw, drawn_when_run
from minikeras.variables import standardize_dtype, standardize_shape

_INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")


@drawn_when_run()
def uniform(
    shape: Any,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
    *,
    offset: int = 0,
) -> np.ndarray:
    """Numbers from [minval, maxval), equally likely.

    **Formula** `u * (maxval - minval) + minval`, rounded after each operation.

    Args:
        shape: tuple of integers.
        minval, maxval: the bounds; numbers or arrays that broadcast to `shape`.
        dtype: `"float32"` or `"float64"`; None is `config.floatx()`.
        seed: see above.
        offset: see above.

    >>> uniform((2, 2), seed=3)
    array([[0.19591284, 0.93934524],
           [0.5322752 , 0.8410413 ]], dtype=float32)
    """
    if dtype and standardize_dtype(dtype) in (*_INTEGERS, "bool"):
        raise ValueError(
            "`keras.random.uniform` requires a floating point `dtype`. "
            f"Received: dtype={dtype}"
        )
    dtype = _float_dtype(dtype, "uniform")
    # NB: Keras casts the bounds, so Python floats go through float32 in float64 runs.
    low, high = cast(minval, dtype), cast(maxval, dtype)
    u = _draw(streams.uniform, shape, dtype, seed, offset)
    return np.asarray(u * (high - low) + low)


@drawn_when_run()
def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
    *,
    offset: int = 0,
) -> np.ndarray:
    """Numbers from the normal distribution, `z * stddev + mean`.

    Args:
        shape: tuple of integers.
        mean, stddev: numbers or arrays that broadcast to `shape`.
        dtype, seed, offset: as in `uniform`.

    >>> normal((3,), seed=3)
    array([-0.6715848 ,  1.6760504 , -0.94424546], dtype=float32)
    """
    dtype = _float_dtype(dtype, "normal")
    z = _draw(streams.normal, shape, dtype, seed, offset)
    return np.asarray(z * np.asarray(stddev, dtype) + np.asarray(mean, dtype))


@drawn_when_run()
def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
    *,
    offset: int = 0,
) -> np.ndarray:
    """As `normal`, drawn again where it is two or more `stddev` from the mean.

    >>> bool(np.abs(truncated_normal((100,), stddev=0.1, seed=3)).max() < 0.2)
    True
    """
    dtype = _float_dtype(dtype, "truncated_normal")
    z = _draw(streams.truncated_normal, shape, dtype, seed, offset)
    return np.asarray(z * np.asarray(stddev, dtype) + np.asarray(mean, dtype))


@drawn_when_run()
def randint(
    shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None
) -> np.ndarray:
    """Integers from [minval, maxval), equally likely.

    Args:
        shape: tuple of integers.
        minval, maxval: integers.
        dtype: an integer dtype. NB: Keras draws all but `"int32"` as int64 and casts,
            so a bound that does not fit a small dtype wraps around.
        seed: as in `uniform`.

    >>> randint((4,), 0, 10, seed=3)
    array([8, 7, 2, 2], dtype=int32)
    """
    name = standardize_dtype(dtype) if dtype else dtype
    if name not in _INTEGERS:
        raise ValueError(
            "`keras.random.randint` requires an integer `dtype`. "
            f"Received: dtype={dtype}"
        )
    drawn = name if name in ("int32", "int64") else "int64"
    low, high = _integer(minval, "minval", drawn), _integer(maxval, "maxval", drawn)
    if low >= high:
        raise ValueError(
            "`keras.random.randint` needs minval < maxval. "
            f"Received: minval={minval}, maxval={maxval}"
        )
    shape = _shape(shape)
    seed = stream_seed(draw_seed(seed))
    values = streams.integers(seed, math.prod(shape), low, high, drawn)
    return values.reshape(shape).astype(name, copy=False)


def dropout_mask(
    shape: Any, rate: float, dtype: Any = None, seed: Any = None, *, offset: int = 0
) -> np.ndarray:
    """Booleans: True, with probability `1 - rate`, where a dropout keeps a unit.

    This is the mask inside `dropout`, for layers that use it again in their backward.

    Args:
        shape: shape of the mask (the noise shape, where there is one).
        rate: fraction to drop, in [0, 1).
        dtype: dtype of what is masked: float32 and float64 have different masks.
        seed, offset: as in `uniform`.

    >>> dropout_mask((2, 3), 0.5, seed=3)
    array([[False,  True,  True],
           [ True, False, False]])
    """
    shape, dtype = _shape(shape), _float_dtype(dtype, "dropout")
    seed = stream_seed(draw_seed(seed))
    offset += _offset_of_part(shape)
    mask = streams.keep_mask(seed, math.prod(shape), rate, dtype, offset)
    return mask.reshape(shape)


@drawn_when_run(DropoutDraw)
def dropout(
    inputs: Any,
    rate: float,
    noise_shape: Any = None,
    seed: Any = None,
    *,
    offset: int = 0,
) -> np.ndarray:
    """Sets a fraction `rate` of the inputs to 0 and scales up the rest.

    **Formula** `where(u >= rate, inputs * (1 / (1 - rate)), 0)`, u uniform in [0, 1).

    Args:
        inputs: float array.
        rate: fraction in [0, 1]. With 0 the inputs come back, with 1 zeros; neither
            draws a seed.
        noise_shape: shape of u; None in it stands for the size of the inputs there.
            Where it has a 1 the same decision holds along the whole axis.
        seed, offset: as in `uniform`.

    >>> dropout(np.ones(6, "float32"), 0.5, seed=3)
    array([0., 2., 2., 2., 0., 0.], dtype=float32)
    """
    inputs = np.asarray(inputs)
    if rate == 1.0:
        return np.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    if not 0 < rate < 1:
        raise ValueError(
            f"`rate` must be a float in the range [0, 1]. Received: rate={rate}"
        )
    if inputs.dtype.kind != "f":
        raise ValueError(
            "The inputs of `dropout` must be floating point, as they will be scaled. "
            f"Received: inputs of dtype {inputs.dtype}"
        )
    shape = inputs.shape
    if noise_shape is not None:
        sizes = zip(noise_shape, inputs.shape, strict=False)
        noise_shape = tuple(size if n is None else n for n, size in sizes) + tuple(
            noise_shape[inputs.ndim :]
        )
        shape = _broadcastable(noise_shape, inputs.shape)
    keep = dropout_mask(shape, rate, inputs.dtype, seed, offset=offset)
    scale = inputs.dtype.type(1 / (1 - rate))
    return np.where(keep, inputs * scale, inputs.dtype.type(0))


@drawn_when_run(ShuffleDraw)
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> np.ndarray:
    """A copy of `x` with its slices along `axis` in random order.

    >>> shuffle(np.arange(6), seed=3)
    array([5, 4, 0, 2, 3, 1])
    """
    x = np.asarray(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"`axis` must be an axis of `x`. Received: axis={axis}, x.shape={x.shape}"
        )
    # NB: Keras sorts uniform numbers, in float32 always; equal ones keep their order.
    keys = uniform((x.shape[axis],), dtype="float32", seed=seed)
    return x.take(np.argsort(keys, kind="stable"), axis=axis)


@drawn_when_run()
def categorical(
    logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None
) -> np.ndarray:
    """For each row of logits, classes drawn with probabilities `softmax(row)`.

    **Formula** The class is the number of cumulative sums of `exp(logits - max)` that
    do not exceed `u * total`.

    NB: TensorFlow cuts a large job between its threads, and the numbers depend on the
    cut. These are those of one thread: they equal Keras's while
    `50 * rows * num_samples * (1 + log2(classes))` is below 100,000.

    Args:
        logits: (rows, classes), unnormalized log-probabilities.
        num_samples: how many classes to draw per row.
        dtype: dtype of the result.
        seed: as in `uniform`.

    Returns:
        array (rows, num_samples).

    >>> categorical(np.log([[0.5, 0.4, 0.1]]), 8, seed=3)
    array([[1, 0, 0, 0, 0, 0, 0, 0]], dtype=int32)
    """
    logits = np.asarray(logits)
    if logits.ndim != 2:
        raise ValueError(
            "`logits` should be a 2-D tensor with shape [batch_size, num_classes]. "
            f"Received: logits={logits}"
        )
    rows, classes = logits.shape
    if classes == 0 or num_samples < 0:
        raise ValueError(
            "`categorical` needs at least one class and num_samples >= 0. "
            f"Received: logits.shape={logits.shape}, num_samples={num_samples}"
        )
    seed = stream_seed(draw_seed(seed))
    u = streams.uniform(seed, rows * num_samples, "float64").reshape(rows, num_samples)
    sums = np.cumsum(_weights(logits.astype(np.float64)), axis=1)
    found = [
        np.searchsorted(row, target, side="right")
        for row, target in zip(sums, u * sums[:, -1:], strict=True)
    ]
    return np.array(found).reshape(rows, num_samples).astype(dtype)


def _weights(logits: np.ndarray) -> np.ndarray:
    """exp(logits - max); 0 for a class whose logit is infinite or NaN, as in Keras."""
    finite = np.isfinite(logits)
    highest = np.where(finite, logits, -np.inf).max(axis=1, keepdims=True)
    shifted = np.subtract(logits, highest, where=finite, out=np.zeros_like(logits))
    return np.where(finite, np.exp(shifted), 0.0)


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
    """Refused: see `_refuse`."""
    raise _refuse("gamma")


def beta(
    shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Refused: see `_refuse`."""
    raise _refuse("beta")


def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Refused: see `_refuse`."""
    raise _refuse("binomial")


def _refuse(name: str) -> NotImplementedError:
    """Numbers other than Keras's under the same name would break the promise."""
    return NotImplementedError(
        f"minikeras does not draw from the {name} distribution: the numbers would not "
        f"be those of `keras.random.{name}`. NumPy has it: "
        f"`numpy.random.default_rng(seed).{name}(...)`."
    )


def _draw(
    stream: Callable[..., np.ndarray], shape: Any, dtype: str, seed: Any, offset: int
) -> np.ndarray:
    shape = _shape(shape)
    seed = stream_seed(draw_seed(seed))
    offset += _offset_of_part(shape)
    return stream(seed, math.prod(shape), dtype, offset).reshape(shape)


def _offset_of_part(shape: tuple[int, ...]) -> int:
    """Where the numbers for a micro-batch begin among those for the whole batch."""
    part = micro_batch.current()
    return 0 if part is None else part.offset(shape)


def _shape(shape: Any) -> tuple[int, ...]:
    shape = standardize_shape(shape)
    if None in shape:
        raise ValueError(
            "Random numbers need a shape without unknown sizes: in a `call` take "
            "`keras.ops.shape(x)` in the place of `x.shape`. "
            f"Received: shape={shape}"
        )
    return shape


def _float_dtype(dtype: Any, name: str) -> str:
    dtype = standardize_dtype(dtype)
    if dtype in (*_INTEGERS, "bool"):
        raise TypeError(
            f"`keras.random.{name}` draws floating point numbers. "
            f"Received: dtype={dtype}"
        )
    if dtype not in ("float32", "float64"):
        raise ValueError(
            "minikeras draws random numbers in 'float32' and 'float64'. "
            f"Received: dtype={dtype}"
        )
    return dtype


def _integer(value: Any, name: str, dtype: str) -> int:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    value, limits = value.__index__(), np.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise ValueError(f"`{name}` does not fit {dtype}. Received: {name}={value}")
    return value


def _broadcastable(noise_shape: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    try:
        broadcast = np.broadcast_shapes(noise_shape, shape)
    except ValueError:
        broadcast = None
    if broadcast != shape:
        raise ValueError(
            "`noise_shape` must broadcast to the shape of the inputs. "
            f"Received: noise_shape={noise_shape}, inputs.shape={shape}"
        )
    return noise_shape
