"""Exercises: pooling and convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.ops.windows import geometry
from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_APART, _OVERLAP = "windows side by side", "overlapping windows"
_TIES, _SAME = "ties", "padding='same'"
_PLAIN, _STRIDES, _DILATED = "stride 1", "strides (2, 1)", "dilation (1, 2)"


def _sizes(v: Any) -> dict[str, int]:
    n, rows, columns, _ = v.x.shape
    return {"the batch size": n, "the number of rows": rows, "the columns": columns}


# --- Pooling --------------------------------------------------------------------------


def _draw_pool(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.permutation(3 * 6 * 8 * 2).reshape(3, 6, 8, 2) / 50.0  # no two the same
    if case == _TIES:
        x = rng.integers(0, 3, size=x.shape) * 1.0
    size = (3, 2) if case in (_OVERLAP, _SAME) else (2, 2)
    strides = (1, 2) if case in (_OVERLAP, _SAME) else (2, 2)
    padding = "same" if case == _SAME else "valid"
    g = geometry(x.shape[1:-1], size, strides, padding)
    return {"x": x, "g": g, "dy": rng.normal(size=(3, *g.out, 2)), "padding": padding}


def _max_outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": ns.max_pool(v.x, v.g)[0]}


def _max_gradient(ns: Any, v: Any) -> dict[str, Any]:
    _, winner = frozen(ns.max_pool(v.x, v.g))
    return {"dx": ns.max_pool_grad(v.dy, winner, v.g, v.x.shape)}


def _mean_outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": ns.average_pool(v.x, v.g)}


def _mean_gradient(ns: Any, v: Any) -> dict[str, Any]:
    return {"dx": ns.average_pool_grad(v.dy, v.g, v.x.shape)}


def _keras_pool(name: str) -> Any:
    def outputs(keras: Any, v: Any) -> dict[str, Any]:
        pool = getattr(keras.layers, name)
        layer = pool(v.g.size, v.g.strides, padding=v.padding, dtype="float64")
        return {"y": layer(v.x)}

    return outputs


_WINDOWS = """\
`g` says how the window moves: `g.size`, `g.strides`, `g.out` (the number of windows
along each axis), `g.pads`. `g.taps()` gives the positions inside a window, (0, 0),
(0, 1), ...; `at_tap(xp, tap, g)` is what all windows see at one of them, a view
(N, *out, C) of the padded array, which can also be written to. `padded_shape(x_shape,
g.pads)` is the shape with padding, `unpad(dxp, g.pads)` takes it off."""

AVERAGE = Exercise(
    name="average_pooling_backward",
    title="each window shares out its dy",
    text=f"""\
Given: dy (N, *out, C); the shape of x, (N, *spatial, C).

    y[o] = sum over taps of x[o * stride + tap] / count[o]

`window_counts(spatial, g, dtype)` is count, (*out, 1): how many taps of a window
fall inside the input; padding is not averaged in. An x that lies in several windows
gets something from each.

{_WINDOWS}

Return dx, of the shape of x and the dtype of dy.""",
    module="minikeras.ops.pool",
    show=("average_pool", "average_pool_grad", "window_counts"),
    blanks=(Blank("average_pool_grad", "dx, of x_shape"),),
    hints=(
        "Every tap of a window has the same slope, 1 / count[o]: share = dy / count.",
        "Begin with zeros of the padded shape. For each tap, the share of every window "
        "is added to the place that the tap looks at.",
        "for tap in g.taps(): at_tap(dxp, tap, g)[...] += share, and unpad at the end.",
    ),
    cases=(_APART, _OVERLAP, _SAME),
    draw=_draw_pool,
    answers=_mean_gradient,
    outputs=_mean_outputs,
    keras=_keras_pool("AveragePooling2D"),
    sizes=_sizes,
    slips=(
        Slip(
            "The division by the number of taps is missing: every element of a window "
            "gets its share, dy / count, not all of dy.",
            (("share = dy / window_counts(x_shape[1:-1], g, dy.dtype)", "share = dy"),),
        ),
        Slip(
            "It is assigned where it must be added: an element in several windows gets "
            "the sum of their shares.",
            (("target += share", "target[...] = share"),),
        ),
        Slip(
            "All windows were divided by the full number of taps: at the border, "
            "padding "
            "does not count.",
            (
                (
                    "share = dy / window_counts(x_shape[1:-1], g, dy.dtype)",
                    "share = dy / (g.size[0] * g.size[1])",
                ),
            ),
        ),
    ),
)

MAX = Exercise(
    name="max_pooling_backward",
    title="dy goes to the winner",
    text=f"""\
Given: dy (N, *out, C); winner, of the same shape: the number of the tap that was
the largest in each window, counted in the order of g.taps(); the shape of x.

    y[o] = max over taps of x[o * stride + tap]

The winner's slope is 1, that of all others 0. An x that wins in several windows gets
the dy of each.

{_WINDOWS}

Return dx, of the shape of x and the dtype of dy.""",
    module="minikeras.ops.pool",
    show=("max_pool", "max_pool_grad"),
    blanks=(
        Blank(
            "max_pool_grad",
            "dx, of x_shape",
            doc="dx of `max_pool`: each window hands its dy to the element that won.",
        ),
    ),
    hints=(
        "Begin with zeros of the padded shape, and walk over the taps with their "
        "numbers: for number, tap in enumerate(g.taps()).",
        "Where winner == number, this tap won: dy * (winner == number) is dy there, "
        "else 0.",
        "at_tap(dxp, tap, g)[...] += dy * (winner == number); at the end unpad(dxp, "
        "g.pads). (The library multiplies bits instead, which is faster.)",
    ),
    cases=(_APART, _OVERLAP, _TIES, _SAME),
    draw=_draw_pool,
    answers=_max_gradient,
    outputs=_max_outputs,
    keras=_keras_pool("MaxPooling2D"),
    sizes=_sizes,
    slips=(
        Slip(
            "It is assigned where it must be added: an element may win in several "
            "windows.",
            (
                (
                    "target += np.multiply(bits, factor, out=factor).view(dy.dtype)",
                    "np.copyto(target, dy, where=won)",
                ),
            ),
        ),
        Slip(
            "It is assigned where it must be added: an element may win in several "
            "windows.",
            (
                (
                    "target += np.multiply(bits, factor, out=factor).view(dy.dtype)",
                    "target[...] = np.multiply(bits, factor).view(dy.dtype)",
                ),
            ),
        ),
        Slip(
            "All elements of a window get its dy; only the winner must.",
            (("np.equal(winner, number, out=won)", "won[...] = True"),),
        ),
        Slip(
            "The taps are counted in another order: the last axis of the window runs "
            "fastest.",
            (
                (
                    "enumerate(g.taps())",
                    "enumerate((i, j) for j in range(g.size[1]) for i in "
                    "range(g.size[0]))",
                ),
            ),
        ),
        Slip(
            "The number of the tap is off by one: they are counted from 0.",
            (("enumerate(g.taps())", "enumerate(g.taps(), 1)"),),
        ),
    ),
)


# --- Convolution ----------------------------------------------------------------------


def _draw_conv(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.normal(size=(4, 5, 6, 2))
    kernel = rng.normal(size=(2, 3, 2, 7))
    strides = (2, 1) if case == _STRIDES else (1, 1)
    dilation = (1, 2) if case == _DILATED else (1, 1)
    padding = "same" if case == _SAME else "valid"
    g = geometry(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
    dy = rng.normal(size=(len(x), *g.out, kernel.shape[-1]))
    return {"x": x, "kernel": kernel, "g": g, "dy": dy, "padding": padding}


def _conv_outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": ns.conv_plain(v.x, v.kernel, v.g)}


def _conv_gradients(ns: Any, v: Any) -> dict[str, Any]:
    result = ns.conv_plain_grad(v.dy, v.x, v.kernel, v.g)
    return named("conv_plain_grad", result, "dx", "dkernel")


def _keras_conv(keras: Any, v: Any) -> dict[str, Any]:
    rate = v.g.dilation
    y = keras.ops.conv(v.x, v.kernel, v.g.strides, v.padding, dilation_rate=rate)
    return {"y": y}


_CONV = """\
    y[n, p, q, o] = sum over i, j, c of
                    xp[n, p*s + i*d, q*s + j*d, c] * kernel[i, j, c, o]

with xp the padded input, `pad(x, g.pads)`; `unpad` takes the padding off again.
(i, j) is a *tap*, a place in the window. `visits(g)` goes over every (out, tap, seen):
out = (p, q), tap = (i, j), seen = (p*s + i*d, q*s + j*d). The library's own version
here is the plain one, with loops; `minikeras/ops/conv.py` has the fast one. You may
also use `at_tap(xp, tap, g)` of minikeras.ops.windows, what all windows see at one
tap, (N, *out, C). `group_slices` serves convolutions in groups; here there is one."""

CONV_FORWARD = Exercise(
    name="conv2d_forward",
    title="windows and matrix products",
    text=f"""\
Given: x (N, rows, columns, C), kernel (I, J, C, O), and g, how the window moves.

{_CONV}

For one out and one tap, the sum over c is a matrix product: (N, C) @ (C, O).

Return y (N, *g.out, O).""",
    module="minikeras.ops.conv_plain",
    show=("conv_plain", "visits"),
    blanks=(Blank("conv_plain", "y, of the shape (len(x), *g.out, filters)"),),
    hints=(
        "Begin with zeros, and add up over the taps: y = np.zeros((len(x), *g.out, "
        "kernel.shape[-1]), x.dtype).",
        "For one visit, what is seen is xp[:, *seen, :], (N, C), and its kernel is "
        "kernel[*tap], (C, O).",
        "for out, tap, seen in visits(g): y[:, *out, :] += xp[:, *seen, :] @ "
        "kernel[*tap]",
    ),
    cases=(_PLAIN, _STRIDES, _DILATED, _SAME),
    draw=_draw_conv,
    answers=_conv_outputs,
    keras=_keras_conv,
    sizes=_sizes,
    slips=(
        Slip(
            "The kernel is flipped: what the field calls convolution is correlation, "
            "tap (0, 0) meets the first place of the window.",
            (("kernel[*tap, :, outputs]", "kernel[::-1, ::-1][*tap, :, outputs]"),),
        ),
        Slip(
            "Each tap overwrites the one before; they must be added up.",
            (("y[:, *out, outputs] += ", "y[:, *out, outputs] = "),),
        ),
        Slip(
            "The stride is ignored: output p begins at row p * stride.",
            (("o * s + t * d", "o + t * d"),),
        ),
        Slip(
            "The dilation is ignored: tap i looks i * dilation further on.",
            (("o * s + t * d", "o * s + t"),),
        ),
        Slip(
            "The padding is at the wrong end: if it is odd, the larger half comes "
            "after.",
            (("xp = pad(x, g.pads)", "xp = pad(x, tuple((b, a) for a, b in g.pads))"),),
        ),
    ),
)

CONV_BACKWARD = Exercise(
    name="conv2d_backward",
    title="each window's way back",
    text=f"""\
Given: dy (N, *out, O), x (N, rows, columns, C), kernel (I, J, C, O), g.

{_CONV}

forward did, for every visit,

    y[:, *out, :] += xp[:, *seen, :] @ kernel[*tap]

and a product Y = A @ B has the gradients dA = dY @ B.T, dB = A.T @ dY. Each x is
seen by several windows, each kernel entry used by all: their gradients add up. The
gradient of padding is cut off.

Return (dx, dkernel).""",
    module="minikeras.ops.conv_plain",
    show=("conv_plain", "conv_plain_grad", "visits"),
    blanks=(Blank("conv_plain_grad", "return dx, dkernel"),),
    hints=(
        "Begin with zeros: dxp, dkernel = np.zeros_like(xp), np.zeros_like(kernel), "
        "and walk over visits(g) as forward does.",
        "dy_out = dy[:, *out, :] is (N, O). It has to become (N, C) for dxp, and (C, "
        "O) "
        "for dkernel[*tap].",
        "dxp[:, *seen, :] += dy_out @ kernel[*tap].T; dkernel[*tap] += xp[:, *seen, "
        ":].T @ dy_out",
        "return unpad(dxp, g.pads), dkernel",
    ),
    cases=(_PLAIN, _STRIDES, _DILATED, _SAME),
    draw=_draw_conv,
    answers=_conv_gradients,
    outputs=_conv_outputs,
    keras=_keras_conv,
    sizes=_sizes,
    slips=(
        Slip(
            "dx is assigned where it must be added: an element is seen by several "
            "windows.",
            (("dxp[:, *seen, channels] += ", "dxp[:, *seen, channels] = "),),
        ),
        Slip(
            "dkernel is assigned where it must be added: a kernel entry is used at "
            "every output.",
            (("dkernel[*tap, :, outputs] += ", "dkernel[*tap, :, outputs] = "),),
        ),
        Slip(
            "The kernel is flipped here, and was not in forward.",
            (
                (
                    "dy_out @ kernel[*tap, :, outputs].T",
                    "dy_out @ kernel[::-1, ::-1][*tap, :, outputs].T",
                ),
            ),
        ),
        Slip(
            "The padding was not taken off as it was put on: unpad(dxp, g.pads).",
            (
                (
                    "return unpad(dxp, g.pads), dkernel",
                    "return dxp[:, : x.shape[1], : x.shape[2]], dkernel",
                ),
            ),
        ),
        Slip(
            "dkernel is divided by the batch size: a mean, and must be a sum.",
            (
                (
                    "return unpad(dxp, g.pads), dkernel",
                    "return unpad(dxp, g.pads), dkernel / len(x)",
                ),
            ),
        ),
    ),
)
