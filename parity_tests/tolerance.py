"""The only place that says how close is close enough, and why.

A difference is measured against a **scale**: how large the numbers were that were
added up to make the result. The result itself can be small by cancellation, so plain
relative error is the wrong ruler (float32 `x @ W`: never more than 2.1 eps of
`|x| @ |W|`, but up to 7e-3 of the result). Integers, booleans, shapes and dtypes are
compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity_tests import records

# float64 shows that the mathematics is the same: 64 roundings of room. The worst seen
# in dense, convolution and LSTM gradients against Keras was 12 (KERAS_FACTS 6.1, 6.2).
FLOAT64_ROUNDINGS = 64
# What the README promises of float64, relative to the scale: the report checks it.
FLOAT64_PROMISE = 1e-12
# A sum of K rounded terms, in another order: the error grows like sqrt(K). The worst
# seen was 1.3 eps sqrt(K) * max|result| (LSTM dx), 0.4 elsewhere: three times margin.
ROUNDINGS_PER_ROOT_K = 4
# A measured rounding error (see referee.py) is one draw from a spread:
# another correct program may be unluckier by this factor.
REFEREE_MARGIN = 16
# A training run amplifies a rounding linearly with the steps: over 200 Adam steps by
# 6.5 (relu) to 32 (tanh) (KERAS_FACTS 6.3). Ten steps stayed within 16 eps of max|w|.
TRAJECTORY_ROUNDINGS = 128
TRAJECTORY_STEPS = 10
# A script run from its seed alone, in two libraries: losses, weights and predictions
# after some hundred steps, relative to the largest value of the array.
WHOLE_RUN = {"float64": 1e-12, "float32": 1e-5}
# Central differences in float64, step h relative to the values: the error is about
# h**2 (curvature) + eps / h (rounding); both are far below this at h = 1e-5.
NUMERIC_DERIVATIVE = 1e-6
# Pictures, as the means of 4 x 4 pixels from 0 to 1. The version of matplotlib that
# drew those kept draws them again exactly (3.9 lays out otherwise: 0.012 and more).
# Moving one point of a curve by 2 % changed the mean by 0.0013, one cell of a matrix by
# 0.011.
PICTURE_MEAN = 0.0005


def eps(dtype: Any) -> float:
    """The distance from 1 to the next number of this float type."""
    return float(np.finfo(np.dtype(dtype)).eps)


def roundings(dtype: Any, k: float = 1) -> float:
    """How many eps of the scale a sum of `k` terms may be off.

    float32: `4 sqrt(K)`. float64: 64, and the same growth for very long sums.
    """
    growth = ROUNDINGS_PER_ROOT_K * float(np.sqrt(max(k, 1)))
    if np.dtype(dtype) == np.float64:
        return max(FLOAT64_ROUNDINGS, growth)
    return growth


@dataclass(frozen=True)
class Difference:
    """How two float arrays differ."""

    absolute: float
    relative: float  # of the scale
    ulp: float  # units in the last place of the scale
    tolerances: float  # |difference| / tolerance: above 1 is too far
    count: int  # values beyond the tolerance
    index: tuple[int, ...]

    @property
    def ok(self) -> bool:
        return self.tolerances <= 1


def assert_equal(actual: Any, expected: Any, *, name: str = "value") -> None:
    """Exact equality, NaN equal to NaN; for integers, shapes, masks, draws, text."""
    if isinstance(actual, np.ndarray) or isinstance(expected, np.ndarray):
        actual, expected = np.asarray(actual), np.asarray(expected)
        _check_shape_and_dtype(actual, expected, name)
        same = actual == expected
        if actual.dtype.kind == "f":
            same |= np.isnan(actual) & np.isnan(expected)
        if not same.all():
            index = _first(~same)
            raise AssertionError(
                f"{name}: {int((~same).sum())} of {same.size} values differ and must "
                f"be equal. First at {index}: {actual[index]!r}, expected "
                f"{expected[index]!r}."
            )
        return
    if actual != expected:
        raise AssertionError(f"{name}: {actual!r}, expected {expected!r}.")


def assert_close(
    actual: Any,
    expected: Any,
    *,
    name: str = "array",
    scale: Any = None,
    k: float = 1,
    measured_scale: float = 0.0,
    depth: str | None = None,
    record: bool = True,
) -> None:
    """`actual` is `expected` up to rounding; integers and booleans exactly.

    Args:
        actual: array or number from minikeras.
        expected: array or number from the reference, of the same shape and dtype.
        name: what to call it in the message, such as `"lstm.dkernel"`.
        scale: size of the numbers that were added up: a number, or an array that
            broadcasts (the same operation on absolute values). Default:
            `max(abs(expected))`.
        k: how many terms were added up.
        measured_scale: a further scale: the rounding error, in units of eps, that the
            reference itself was seen to make (see referee.py).
        depth: `"forward"`, `"gradients"` or `"weights"`, for the report.
        record: False for a trial whose outcome is not to be reported.
    """
    expected = np.asarray(expected)
    if isinstance(actual, float) and expected.dtype.kind == "f":
        actual = expected.dtype.type(actual)
    actual = np.asarray(actual)
    _check_shape_and_dtype(actual, expected, name)
    if expected.dtype.kind != "f":
        assert_equal(actual, expected, name=name)
        records.add(depth, None)
        return
    _check_not_finite(actual, expected, name)
    room = roundings(expected.dtype, k) * eps(expected.dtype)
    difference = measure(actual, expected, room, scale, measured_scale)
    if record:
        records.add(depth, difference)
    if not difference.ok:
        raise AssertionError(
            _message(actual, expected, difference, name)
            + f"\n  tolerance  {roundings(expected.dtype, k):.4g} eps of the scale"
            + (f"; measured scale {measured_scale:.3g}" if measured_scale else "")
        )


def assert_close_to_reference(
    actual: Any, expected: Any, measured_scale: Callable[[], float], **options: Any
) -> None:
    """`assert_close`; if that fails, the reference is asked how well it knows itself.

    Args:
        measured_scale: a function, since the answer costs calls of Keras.
        options: those of `assert_close`.
    """
    try:
        assert_close(actual, expected, record=False, **options)
        scale = 0.0
    except AssertionError:
        scale = measured_scale()
    assert_close(actual, expected, measured_scale=scale, **options)


def assert_alike(actual: Any, expected: Any, *, name: str = "array") -> None:
    """The same numbers computed in another order: half of the digits agree.

    For slips that scramble values, such as a wrong stride: they are off by as much as
    the values are. Ill-conditioned cases must not fail here.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    _check_shape_and_dtype(actual, expected, name)
    if expected.dtype.kind != "f":
        assert_equal(actual, expected, name=name)
        return
    _check_not_finite(actual, expected, name)
    difference = measure(actual, expected, float(np.sqrt(eps(expected.dtype))))
    if not difference.ok:
        raise AssertionError(_message(actual, expected, difference, name))


def assert_trajectory_close(
    actual: Any,
    expected: Any,
    *,
    steps: int,
    name: str = "weights",
    scale: Any = None,
    measured_scale: float = 0.0,
) -> None:
    """Weights, losses or predictions after `steps` free-running training steps."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    _check_shape_and_dtype(actual, expected, name)
    if expected.dtype.kind != "f":
        assert_equal(actual, expected, name=name)
        records.add("weights", None)
        return
    _check_not_finite(actual, expected, name)
    room = TRAJECTORY_ROUNDINGS * eps(expected.dtype)
    room *= max(1.0, steps / TRAJECTORY_STEPS)
    difference = measure(actual, expected, room, scale, measured_scale)
    records.add("weights", difference)
    if not difference.ok:
        raise AssertionError(
            _message(actual, expected, difference, name)
            + f"\n  tolerance  {room:.3g} of the scale, after {steps} steps"
        )


def assert_run_close(actual: Any, expected: Any, dtype: str, *, name: str) -> None:
    """What a whole script gives under both libraries: see `WHOLE_RUN`.

    Args:
        actual, expected: arrays; a history is made of Python's floats.
        dtype: that of the run.
        name: what to call it in the message.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    _check_shape_and_dtype(actual, expected, name)
    if expected.dtype.kind != "f":
        assert_equal(actual, expected, name=name)
        return
    _check_not_finite(actual, expected, name)
    room = WHOLE_RUN[dtype]
    difference = measure(actual, expected, room)
    if not difference.ok:
        message = _message(actual, expected, difference, name)
        raise AssertionError(f"{message}\n  tolerance  {room:.3g} of the scale")


def assert_picture_close(actual: Any, expected: Any, *, name: str) -> None:
    """Two pictures, (rows, columns, 3) from 0 to 1, look the same: `PICTURE_MEAN`."""
    if actual.shape != expected.shape:
        raise AssertionError(
            f"{name}: {actual.shape[:2]} blocks of pixels, expected "
            f"{expected.shape[:2]}."
        )
    gap = float(np.abs(actual - expected).mean())
    if gap > PICTURE_MEAN:
        raise AssertionError(
            f"{name}: the picture differs by {gap:.4f} on average, allowed "
            f"{PICTURE_MEAN}. Look at both; see plot_pictures.py."
        )


def assert_derivative_close(
    numeric: float, analytic: float, *, scale: float, name: str = "derivative"
) -> None:
    """A central difference in float64 beside the same number from backward."""
    if not abs(numeric - analytic) <= NUMERIC_DERIVATIVE * scale:
        raise AssertionError(
            f"{name}: backward gives {analytic:.12g}, central differences "
            f"{numeric:.12g}; apart by {abs(numeric - analytic):.3g}, allowed "
            f"{NUMERIC_DERIVATIVE * scale:.3g}."
        )


def measure(
    actual: np.ndarray,
    expected: np.ndarray,
    room: float,
    scale: Any = None,
    measured_scale: float = 0.0,
) -> Difference:
    """The worst difference in units of its tolerance, `room * scale`.

    A `measured_scale` is added to the scale, so that the tolerance grows by
    `REFEREE_MARGIN * eps * measured_scale`.
    """
    if expected.size == 0:
        return Difference(0.0, 0.0, 0.0, 0.0, 0, ())
    finite = np.isfinite(expected)
    wide = np.where(finite, expected, 0).astype(np.float64)
    gap = np.abs(np.where(finite, actual, 0).astype(np.float64) - wide)
    if scale is None:
        scale = np.abs(wide).max()
    scale = np.broadcast_to(np.abs(np.asarray(scale, np.float64)), gap.shape)
    # Numbers below the smallest normal one lose digits, and TensorFlow flushes them to
    # zero: no claim is made about them.
    tiny = float(np.finfo(expected.dtype).smallest_normal)
    scale = scale + REFEREE_MARGIN * eps(expected.dtype) * measured_scale / room
    tolerance = room * scale + tiny
    ratio = gap / tolerance
    worst = np.unravel_index(int(ratio.argmax()), gap.shape)
    safe = np.maximum(scale, tiny)
    ulp = gap / np.spacing(safe.astype(expected.dtype)).astype(np.float64)
    # What lies below the smallest normal number is not a difference to report.
    visible = gap > tiny
    return Difference(
        absolute=float(gap[worst]),
        relative=float((gap / safe * visible).max()),
        ulp=float((ulp * visible).max()),
        tolerances=float(ratio[worst]),
        count=int((ratio > 1).sum()),
        index=tuple(int(i) for i in worst),
    )


def _check_shape_and_dtype(actual: np.ndarray, expected: np.ndarray, name: str) -> None:
    if actual.shape != expected.shape:
        raise AssertionError(
            f"{name}: shape {actual.shape}, expected shape {expected.shape}."
        )
    if actual.dtype != expected.dtype:
        raise AssertionError(
            f"{name}: dtype {actual.dtype}, expected dtype {expected.dtype}."
        )


def _check_not_finite(actual: np.ndarray, expected: np.ndarray, name: str) -> None:
    """NaN and infinities must stand in the same places, with the same sign."""
    for label, test in (
        ("NaN", np.isnan),
        ("+inf", np.isposinf),
        ("-inf", np.isneginf),
    ):
        a, e = test(actual), test(expected)
        if (a != e).any():
            index = _first(a != e)
            raise AssertionError(
                f"{name}: {label} in other places ({int(a.sum())} here, "
                f"{int(e.sum())} expected). First at {index}: {actual[index]!r}, "
                f"expected {expected[index]!r}."
            )


def _message(
    actual: np.ndarray, expected: np.ndarray, difference: Difference, name: str
) -> str:
    i = difference.index
    a, e = actual[i], expected[i]
    relative = abs(float(a) - float(e)) / abs(float(e)) if e else float("inf")
    ulps = abs(float(a) - float(e)) / float(np.spacing(np.abs(e)))
    return (
        f"{name}: {difference.count} of {actual.size} values differ beyond tolerance "
        f"(shape {actual.shape}, {expected.dtype})."
        f"\n  worst at   {i}: {a!r}, expected {e!r}"
        f"\n  difference absolute {difference.absolute:.4g}, relative {relative:.4g}, "
        f"{ulps:.4g} ULP; {difference.tolerances:.4g} times the tolerance"
        f"\n  of scale   {difference.relative:.4g} relative, {difference.ulp:.4g} ULP; "
        f"max|expected| {np.abs(expected[np.isfinite(expected)]).max(initial=0):.4g}"
    )


def _first(where: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(where)[0])
