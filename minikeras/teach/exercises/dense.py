"""Exercises: Dense, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import (
    Blank,
    Collected,
    Exercise,
    Slip,
    frozen,
    named,
)

_UNITS = 6
_SHAPES = {"inputs (N, D)": (5, 4), "inputs (N, T, D)": (5, 3, 4)}


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    shape = _SHAPES[case]
    return {
        "x": rng.normal(size=shape),
        "kernel": rng.normal(size=(shape[-1], _UNITS)),
        "bias": rng.normal(size=_UNITS),
        "dy": rng.normal(size=(*shape[:-1], _UNITS)),
    }


def _layer(ns: Any, v: Any) -> Any:
    layer = ns.Dense(_UNITS, activation="tanh", dtype=str(v.x.dtype))
    layer.build(v.x.shape)
    layer.set_weights([v.kernel, v.bias])
    return layer


def _outputs(ns: Any, v: Any) -> dict[str, Any]:
    result = _layer(ns, v).forward(v.x)
    return {"y": named("Dense.forward", result, "y", "residuals")["y"]}


def _gradients(ns: Any, v: Any) -> dict[str, Any]:
    layer, grads = _layer(ns, v), Collected()
    _, residuals = frozen(layer.forward(v.x))
    dx = layer.backward(v.dy, residuals, grads)
    return {"dx": dx, "dkernel": grads.of(layer.kernel), "dbias": grads.of(layer.bias)}


def _keras(keras: Any, v: Any) -> dict[str, Any]:
    layer = keras.layers.Dense(_UNITS, activation="tanh", dtype="float64")
    layer.build(v.x.shape)
    return {"y": layer.stateless_call([v.kernel, v.bias], [], v.x)[0]}


def _sizes(v: Any) -> dict[str, int]:
    sizes = {"the batch size": len(v.x), "the number of units": _UNITS}
    sizes["the number of inputs"] = v.x.shape[-1]
    if v.x.ndim == 3:
        sizes["the number of steps"] = v.x.shape[1]
    return sizes


_SHOW = ("DenseResiduals", "rows", "Dense.forward")
_SHARED = {
    "module": "minikeras.layers.core.dense",
    "cases": tuple(_SHAPES),
    "draw": _draw,
    "keras": _keras,
    "sizes": _sizes,
}

FORWARD = Exercise(
    name="dense_forward",
    title="a weighted sum of all inputs",
    text="""\
Given: x (N, D), or (N, T, D) with further axes; `self.kernel.value` (D, U);
`self.bias.value` (U,), or `self.bias` is None; `self.activation`, whose
`forward(z)` returns (y, what its gradient will need).

    z[n, u] = sum over d of x[n, d] * kernel[d, u] + bias[u]
    y = activation(z)

A sum over an index that two arrays share is a matrix product. Axes between the
first and the last are more examples: the same kernel acts at each position.

Return y and what the gradient will need, `DenseResiduals(x, activation)`.""",
    show=_SHOW,
    blanks=(
        Blank(
            "Dense.forward",
            "z, then y; return y, DenseResiduals(x, what the activation keeps)",
            keep=("kernel =", "x ="),
        ),
    ),
    hints=(
        "The index that is summed over, d, is the last of x and the first of kernel. "
        "That is what `@` does.",
        "`@` treats leading axes as a stack, so x of any rank works as it is. Then "
        "`+ self.bias.value` is repeated for every example. The bias may be missing.",
        "z = x @ kernel; if self.bias is not None: z = z + self.bias.value; "
        "y, activation = self.activation.forward(z)",
    ),
    answers=_outputs,
    slips=(
        Slip(
            "The bias is missing.",
            (("if self.bias is not None:", "if False:"),),
        ),
        Slip(
            "The activation is missing: this is z, and must be activation(z).",
            (("return y, DenseResiduals", "return z, DenseResiduals"),),
        ),
    ),
    **_SHARED,
)

BACKWARD = Exercise(
    name="dense_backward",
    title="three gradients from one dy",
    text="""\
Given: dy (N, U), the gradient of the loss for the output y; what forward kept: x
(N, D) and the activation's residuals. (Axes between the first and the last are
more examples; `rows` makes all of them one axis.)

    z[n, u] = sum over d of x[n, d] * kernel[d, u] + bias[u]
    y = activation(z)

The chain rule goes from the end to the start. First through the activation:
`self.activation.backward(dy, residuals.activation)` is dz, the gradient for z.
Then ask of every number: in which z is it, and with which factor?

    x[n, d]       in z[n, u] for all u, with the factor kernel[d, u]
    kernel[d, u]  in z[n, u] for all n, with the factor x[n, d]
    bias[u]       in z[n, u] for all n, with the factor 1

What is used in several places gets the sum of what each place gives:
dkernel[d, u] = sum over n of x[n, d] * dz[n, u]. Write the three as matrix
products and sums; the shapes leave little choice.

Return dx. Hand in the others: grads.add(self.kernel, ...) and
grads.add(self.bias, ...).""",
    show=(*_SHOW, "Dense.backward"),
    blanks=(
        Blank(
            "Dense.backward",
            "dz, then grads.add(self.kernel, ...), grads.add(self.bias, ...); "
            "return dx. (need_dx may be left alone: it allows to skip dx.)",
            doc="dx; adds dkernel and dbias to `grads`.",
        ),
    ),
    hints=(
        "A gradient has the shape of what it is the gradient for: dkernel (D, U), "
        "dbias (U,), dx that of x. Do not forget dz: dy has to pass the activation "
        "first.",
        "dkernel[d, u] = sum_n x[n, d] * dz[n, u]: the summed index n is the first of "
        "both, and `@` sums over the last of the left factor. So the left one is "
        "transposed.",
        "With x, dz of rank 2: dkernel = x.T @ dz, dbias = dz.sum(axis=0), "
        "dx = dz @ kernel.T",
        "For any rank: x, dz_rows = rows(residuals.x), rows(dz) before, and "
        "dx.reshape(residuals.x.shape) after.",
    ),
    answers=_gradients,
    outputs=_outputs,
    slips=(
        Slip(
            "The derivative of the activation is missing: dy must become dz first, by "
            "self.activation.backward.",
            (("self.activation.backward(dy, residuals.activation)", "dy"),),
        ),
        Slip(
            "This is the sum over the last axis only; all axes but the last are "
            "examples.",
            (("sum_rows(dz_rows)", "dz.sum(axis=0)"),),
        ),
    ),
    **_SHARED,
)
