"""Exercises: batch and layer normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_EPSILON = 1e-3
_PLAIN, _BARE = "with gamma and beta", "without gamma and beta"


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.normal(size=(7, 3, 5)) * 2 + 1
    bare = case == _BARE
    return {
        "x": x,
        "gamma": None if bare else rng.normal(size=3),
        "beta": None if bare else rng.normal(size=3),
        "dy": rng.normal(size=x.shape),
    }


def _sizes(v: Any) -> dict[str, int]:
    a, c, b = v.x.shape
    return {
        "the number of positions per channel": a * b,
        "the size of the first axis": a,
        "the size of the last axis": b,
        "the number of channels": c,
    }


# --- Batch normalization --------------------------------------------------------------


def _forward(ns: Any, v: Any) -> Any:
    statistics = ns.moments(v.x)
    return ns.batch_norm(v.x, statistics, v.gamma, v.beta, _EPSILON)


def _outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": _forward(ns, v)[0]}


def _answers(ns: Any, v: Any) -> dict[str, Any]:
    found = named("moments", ns.moments(v.x), "mean", "variance", "count")
    y, kept = named("batch_norm", _forward(ns, v), "y", "residuals").values()
    found |= {"y": y, "inverse_stddev": getattr(kept, "inverse_stddev", None)}
    return {n: np.asarray(found[n]) for n in ("mean", "variance", "y")}


def _gradients(ns: Any, v: Any) -> dict[str, Any]:
    _, residuals = frozen(_forward(ns, v))
    result = ns.batch_norm_grad(v.dy, residuals)
    found = named("batch_norm_grad", result, "dx", "dgamma", "dbeta")
    return {"dx": found["dx"]} if v.gamma is None else found


def _keras(keras: Any, v: Any) -> dict[str, Any]:
    ops = keras.ops
    mean, variance = ops.moments(v.x, axes=(0, 2))
    y = ops.batch_normalization(
        v.x, mean, variance, axis=1, offset=v.beta, scale=v.gamma, epsilon=_EPSILON
    )
    return {"y": y}


_SHARED = {
    "module": "minikeras.ops.normalizing",
    "draw": _draw,
    "sizes": _sizes,
}

BATCH_FORWARD = Exercise(
    name="batch_normalization_forward",
    title="the statistics of a batch",
    text="""\
Given: x (A, C, B): C channels, everything before them in A, everything after them
in B. (Images with channels last are (N*H*W, C, 1).) gamma, beta (C,), or None.

    mean[c]     = sum over a, b of x[a, c, b] / count
    variance[c] = sum over a, b of (x[a, c, b] - mean[c])**2 / count
    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

count is A * B: the variance of a batch is the biased one, not divided by count - 1.
You write `moments` for mask=None, and `batch_norm`. `channel_sum(x)` is the sum over
everything but the channels.

Return Moments(mean, variance, count); and y with
BatchNormResiduals(x, mean, inverse_stddev, gamma, mask, count).""",
    show=("channel_sum", "Moments", "moments", "BatchNormResiduals", "batch_norm"),
    blanks=(
        Blank("moments", "count, mean and variance; return Moments(...)"),
        Blank(
            "batch_norm",
            "return y, BatchNormResiduals(...)",
            keep=("mean, variance, count",),
        ),
    ),
    hints=(
        "A (C,) array meets (A, C, B) as mean[:, None], (C, 1): axes are compared from "
        "the last one on.",
        "mean = channel_sum(x) / count; variance = channel_sum((x - mean[:, None])**2) "
        "/ count",
        "inverse_stddev = 1 / np.sqrt(variance + epsilon); y = (x - mean[:, None]) * "
        "inverse_stddev[:, None]; then gamma[:, None] * y and + beta[:, None], unless "
        "they are None.",
    ),
    cases=(_PLAIN, _BARE),
    answers=_answers,
    keras=_keras,
    slips=(
        Slip(
            "It is divided by count - 1; the variance of a batch is the biased one.",
            (("channel_sum(squares) / count", "channel_sum(squares) / (count - 1)"),),
        ),
        Slip(
            "The sums were not divided by count.",
            (("mean = total / count", "mean = total"),),
        ),
        Slip(
            "epsilon is outside of the root: sqrt(variance + epsilon).",
            (("1 / np.sqrt(variance + epsilon)", "1 / (np.sqrt(variance) + epsilon)"),),
        ),
        Slip(
            "The root is missing: divided by the variance.",
            (("1 / np.sqrt(variance + epsilon)", "1 / (variance + epsilon)"),),
        ),
        Slip("epsilon is missing.", (("variance + epsilon", "variance"),)),
        Slip("beta is missing.", (("beta - mean * scale", "-mean * scale"),)),
        Slip(
            "gamma is missing.",
            (("inverse_stddev * gamma", "inverse_stddev"),),
        ),
        Slip(
            "The mean was not subtracted.",
            (("beta - mean * scale", "beta"), ("-mean * scale", "0 * scale")),
        ),
        Slip(
            "gamma multiplies beta as well: it comes first, then beta is added.",
            (("beta - mean * scale", "beta * gamma - mean * scale"),),
        ),
    ),
    **_SHARED,
)

BATCH_BACKWARD = Exercise(
    name="batch_normalization_backward",
    title="through the statistics as well",
    text="""\
Given: dy (A, C, B); what forward kept: x, mean, inverse_stddev (C,), gamma (C,) or
None; count = A * B. (mask is None here; count would be None in inference, where mean
and variance are constants. Those branches may be left out.)

    r = 1 / sqrt(variance + epsilon)            inverse_stddev
    y = gamma * (x - mean) * r + beta

dbeta and dgamma are sums over all positions of a channel. x acts on y in three ways:
directly; through the mean, which has every x of the channel in it; through the
variance, likewise. Take them one by one:

    directly      dy * gamma * r
    variance      dvariance = sum(dy * gamma * (x - mean)) * dr/dvariance,
                  and each x gets dvariance * (derivative of the variance for x)
    mean          dmean = -sum(dy * gamma * r), and each x gets its part of that

Use `channel_sum`, and [:, None] to bring (C,) beside (A, C, B).

Return (dx, dgamma, dbeta).""",
    show=(
        "channel_sum",
        "Moments",
        "moments",
        "BatchNormResiduals",
        "batch_norm",
        "batch_norm_grad",
    ),
    blanks=(
        Blank(
            "batch_norm_grad",
            "return dx, dgamma, dbeta",
            keep=("x, mean, inverse_stddev, gamma, mask, count = residuals",),
            doc="The gradient of `batch_norm`, through the statistics of `x`.",
        ),
    ),
    hints=(
        "dbeta = channel_sum(dy). dgamma = channel_sum(dy * (x - mean)) * r, since "
        "gamma's factor in y is the normalized x.",
        "r = (variance + epsilon)**-0.5, so dr/dvariance = -0.5 * r**3. The variance "
        "is "
        "sum((x - mean)**2) / count, so its derivative for one x is 2 * (x - mean) / "
        "count. (Through the mean inside of it comes sum(x - mean), which is 0.)",
        "With scale = gamma * r: dvariance = -0.5 * scale * r * dgamma, dmean = -scale "
        "* dbeta.",
        "dx = dy * scale + (x - mean) * 2 * dvariance / count + dmean / count, every "
        "(C,) as [:, None].",
    ),
    cases=(_PLAIN, _BARE),
    answers=_gradients,
    outputs=_outputs,
    keras=_keras,
    slips=(
        Slip(
            "This is the gradient for constant statistics, as in inference: x also "
            "acts "
            "through the mean and the variance of its batch.",
            (("if count is None:", "if True:"),),
        ),
        Slip(
            "The way through the mean is missing.",
            (("through += (dmean / count)[:, None]", "pass"),),
        ),
        Slip(
            "The way through the variance is missing.",
            (
                (
                    "dvariance = -0.5 * scale * inverse_stddev * dgamma",
                    "dvariance = 0 * dgamma",
                ),
            ),
        ),
        Slip(
            "In the way through the variance the division by count is missing.",
            (("(2 * dvariance / count)", "(2 * dvariance)"),),
        ),
        Slip(
            "In the way through the mean the division by count is missing.",
            (("(dmean / count)", "dmean"),),
        ),
        Slip(
            "In the way through the variance the factor 2 of the square is missing.",
            (("(2 * dvariance / count)", "(dvariance / count)"),),
        ),
        Slip(
            "In the way through the variance the factor -1/2 of the root is missing.",
            (("dvariance = -0.5 * scale", "dvariance = -scale"),),
        ),
        Slip(
            "gamma is missing: dy must be multiplied by it before anything else.",
            (
                (
                    "inverse_stddev if gamma is None else inverse_stddev * gamma",
                    "inverse_stddev",
                ),
            ),
        ),
        Slip(
            "It is sum(dy * x): the mean must be subtracted from x.",
            (
                (
                    "channel_sum(dy * centered) * inverse",
                    "channel_sum(dy * x) * inverse",
                ),
            ),
        ),
        Slip(
            "The factor 1 / sqrt(variance + epsilon) is missing.",
            (
                (
                    "channel_sum(dy * centered) * inverse_stddev",
                    "channel_sum(dy * centered)",
                ),
            ),
        ),
    ),
    **_SHARED,
)


# --- Layer normalization --------------------------------------------------------------


def _draw_layer(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.normal(size=(3, 4, 5)) * 2 + 1
    bare = case == _BARE
    return {
        "x": x,
        "gamma": None if bare else rng.normal(size=(1, 1, 5)),
        "beta": None if bare else rng.normal(size=(1, 1, 5)),
        "dy": rng.normal(size=x.shape),
    }


def _layer(ns: Any, v: Any) -> Any:
    return ns.layer_norm(v.x, v.gamma, v.beta, (2,), _EPSILON)


def _layer_gradients(ns: Any, v: Any) -> dict[str, Any]:
    _, residuals = frozen(_layer(ns, v))
    result = ns.layer_norm_grad(v.dy, residuals)
    found = named("layer_norm_grad", result, "dx", "dgamma", "dbeta")
    return {"dx": found["dx"]} if v.gamma is None else found


def _keras_layer(keras: Any, v: Any) -> dict[str, Any]:
    ops = keras.ops
    mean, variance = ops.moments(v.x, axes=(2,), keepdims=True)
    y = (v.x - mean) / ops.sqrt(variance + _EPSILON)
    return {"y": y if v.gamma is None else y * v.gamma + v.beta}


LAYER_BACKWARD = Exercise(
    name="layer_normalization_backward",
    title="the same with the axes exchanged",
    text="""\
Given: dy (N, T, D); what forward kept: normalized (N, T, D), inverse_stddev
(N, T, 1), gamma (1, 1, D) or None, axes = (2,): every position is normalized over
its own D features.

    n = (x - mean) * r,   r = 1 / sqrt(variance + epsilon)
    y = n * gamma + beta

gamma and beta are the same at all positions: sum over the axes that are *not*
normalized, with keepdims=True. dx goes as in batch normalization. Put together and
simplified it has three terms, two of them means over the normalized axes: one for
the way through the mean, one for that through the variance.

Return (dx, dgamma, dbeta), the last two of the shape of gamma.""",
    module="minikeras.ops.normalizing",
    show=("LayerNormResiduals", "layer_norm", "layer_norm_grad"),
    blanks=(
        Blank(
            "layer_norm_grad",
            "return dx, dgamma, dbeta",
            keep=("normalized, inverse_stddev, gamma, axes = residuals",),
        ),
    ),
    hints=(
        "dn = dy * gamma (or dy) is the gradient for n. The other axes are those of "
        "range(dy.ndim) that are not in axes.",
        "The way through the mean takes the mean off: dn - mean(dn). That through the "
        "variance takes off the part that points along n: n * mean(dn * n).",
        "dx = inverse_stddev * (dn - dn.mean(axis=axes, keepdims=True) - normalized * "
        "(dn * normalized).mean(axis=axes, keepdims=True))",
    ),
    cases=(_PLAIN, _BARE),
    draw=_draw_layer,
    answers=_layer_gradients,
    outputs=lambda ns, v: {"y": _layer(ns, v)[0]},
    keras=_keras_layer,
    sizes=lambda v: {
        "the batch size": 3,
        "the number of positions": 4,
        "the number of features": 5,
    },
    slips=(
        Slip(
            "The way through the mean is missing: - mean(dn).",
            (
                (
                    "dnormalized - dnormalized.mean(axis=axes, keepdims=True)",
                    "dnormalized.copy()",
                ),
            ),
        ),
        Slip(
            "The way through the variance is missing: - n * mean(dn * n).",
            (("dx -= normalized *", "dx -= 0 *"),),
        ),
        Slip(
            "The factor 1 / sqrt(variance + epsilon) is missing.",
            (("    dx *= inverse_stddev\n", ""),),
        ),
        Slip(
            "gamma is missing: dy must be multiplied by it first.",
            (("dy if gamma is None else dy * gamma", "dy"),),
        ),
        Slip(
            "It is a sum over the normalized axes, and must be a mean.",
            (
                ("np.mean(dnormalized * normalized", "np.sum(dnormalized * normalized"),
                ("dnormalized.mean(", "dnormalized.sum("),
            ),
        ),
        Slip(
            "The means are over the batch, as in batch normalization; here they are "
            "over "
            "`axes`.",
            (
                ("dnormalized.mean(axis=axes", "dnormalized.mean(axis=others"),
                (
                    "dnormalized * normalized, axis=axes",
                    "dnormalized * normalized, axis=others",
                ),
            ),
        ),
        Slip(
            "It is sum(dy): the factor of gamma is the normalized x.",
            (("np.sum(dy * normalized, axis=others", "np.sum(dy, axis=others"),),
        ),
    ),
)
