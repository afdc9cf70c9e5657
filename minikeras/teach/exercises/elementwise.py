"""Exercises: sigmoid, tanh, relu and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen

_PLAIN, _SPECIAL = "ordinary numbers", "zeros and large numbers"


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.normal(size=(5, 4))
    if case == _SPECIAL:
        x *= 30
        x.flat[rng.choice(x.size, 6, replace=False)] = 0.0
    return {"x": x, "dy": rng.normal(size=x.shape)}


def _outputs(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda ns, v: {"y": getattr(ns, name).forward(v.x)[0]}


def _gradient(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    def answers(ns: Any, v: Any) -> dict[str, Any]:
        function = getattr(ns, name)
        _, residuals = frozen(function.forward(v.x))
        return {"dx": function.backward(v.dy, residuals)}

    return answers


def _keras(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda keras, v: {"y": getattr(keras.activations, name)(v.x)}


def _sizes(v: Any) -> dict[str, int]:
    return {"the batch size": len(v.x), "the number of columns": v.x.shape[1]}


_NO_DY = "dy is missing: the slope must be multiplied by what arrives from above."

SIGMOID = Exercise(
    name="sigmoid_backward",
    title="a slope that needs only the output",
    text="""\
Given: dy, the gradient for the output; y, the output, which is all that forward
kept. Both have the shape of x.

    y = 1 / (1 + exp(-x))

Each y depends on its own x alone, so dx = dy * (slope of y at x), number by
number. Derive: dy/dx = exp(-x) / (1 + exp(-x))**2. Then write it with y alone:
what is exp(-x) / (1 + exp(-x)) in terms of y?

Return dx.""",
    module="minikeras.activations.squashing",
    show=("sigmoid", "sigmoid.gradient"),
    blanks=(Blank("sigmoid.gradient", "dx, from dy and y"),),
    hints=(
        "1 - y = exp(-x) / (1 + exp(-x)).",
        "So the slope is a product of two things you have: y, and 1 - y.",
        "return dy * y * (1 - y)",
    ),
    cases=(_PLAIN, _SPECIAL),
    draw=_draw,
    answers=_gradient("sigmoid"),
    outputs=_outputs("sigmoid"),
    keras=_keras("sigmoid"),
    sizes=_sizes,
    slips=(
        Slip(_NO_DY, (("    dx *= dy\n", ""),)),
        Slip(
            "This is the slope of tanh, 1 - y**2.",
            (
                (
                    "dx = np.subtract(1, y, out=np.empty_like(y))\n    dx *= y",
                    "dx = 1-y*y",
                ),
            ),
        ),
        Slip("The factor 1 - y is missing.", (("dx *= dy", "dx = dy * y"),)),
        Slip("The factor y is missing.", (("    dx *= y\n", ""),)),
        Slip(
            "The sigmoid was applied to y again: y is already the output, not x.",
            (("dx = np.subtract", "y = logistic(y)\n    dx = np.subtract"),),
        ),
    ),
)

TANH = Exercise(
    name="tanh_backward",
    title="the slope from the output again",
    text="""\
Given: dy, the gradient for the output; y, the output, which is all that forward
kept. Both have the shape of x.

    y = tanh(x) = sinh(x) / cosh(x)

The derivative of sinh is cosh, that of cosh is sinh. Use the rule for quotients,
and write the result with y alone.

Return dx.""",
    module="minikeras.activations.squashing",
    show=("tanh", "tanh.gradient"),
    blanks=(Blank("tanh.gradient", "dx, from dy and y"),),
    hints=(
        "dy/dx = (cosh(x)**2 - sinh(x)**2) / cosh(x)**2.",
        "Divide both terms: 1 - (sinh(x) / cosh(x))**2.",
        "return dy * (1 - y * y)",
    ),
    cases=(_PLAIN, _SPECIAL),
    draw=_draw,
    answers=_gradient("tanh"),
    outputs=_outputs("tanh"),
    keras=_keras("tanh"),
    sizes=_sizes,
    slips=(
        Slip(_NO_DY, (("    dx *= dy\n", ""),)),
        Slip(
            "The square is missing: 1 - y**2.",
            (("np.multiply(y, y, ", "np.positive(y, "),),
        ),
        Slip(
            "This is the slope of the sigmoid, y * (1 - y).",
            (("    np.subtract(1, dx, out=dx)\n", "    dx = y - dx\n"),),
        ),
        Slip(
            "tanh was applied to y again: y is already the output, not x.",
            (("dx = np.multiply", "y = np.tanh(y)\n    dx = np.multiply"),),
        ),
    ),
)

RELU = Exercise(
    name="relu_backward",
    title="what passes, and what is stopped",
    text="""\
Given: dy, the gradient for the output; `residuals.y`, the output. (Residuals also
have a `slope` for the general form with a negative slope or a limit; here it is
None, and may be left alone.)

    y = max(x, 0)

Where x > 0, y = x. Where x < 0, y stays 0 whatever x does. At x = 0 there is no
derivative; Keras takes 0, and so must you.

Return dx. The inputs of the check have zeros.""",
    module="minikeras.activations.rectified",
    show=("ReLUResiduals", "relu", "relu.gradient"),
    blanks=(Blank("relu.gradient", "dx, from dy and residuals.y"),),
    hints=(
        "Two cases: dx is dy, or 0. You have no x, but y tells where it was above 0.",
        "residuals.y > 0 is an array of booleans, which multiply like 1 and 0.",
        "return dy * (residuals.y > 0)",
    ),
    cases=(_PLAIN, _SPECIAL),
    draw=_draw,
    answers=_gradient("relu"),
    outputs=_outputs("relu"),
    keras=_keras("relu"),
    sizes=_sizes,
    slips=(
        Slip(
            "This is dy where dy > 0: what decides is whether the input was positive.",
            (("residuals.y > 0", "dy > 0"),),
        ),
        Slip(
            "This is max(dy, 0) where y > 0: dy may be negative.",
            (
                (
                    "gate(residuals.y > 0, dy)",
                    "gate(residuals.y > 0, np.maximum(dy, 0))",
                ),
            ),
        ),
        Slip(
            "This is dy * y: the slope is 1 where y > 0, not y.",
            (("gate(residuals.y > 0, dy)", "dy * residuals.y"),),
        ),
        Slip(_NO_DY, (("gate(residuals.y > 0, dy)", "(residuals.y > 0) * 1.0"),)),
        Slip(
            "It is dy as it came: nothing was stopped. (y >= 0 is always True; where x "
            "was "
            "0 or less, y is 0, and nothing must pass.)",
            (("gate(residuals.y > 0, dy)", "dy"),),
        ),
        Slip(
            "It is the other way round: dy passes where the input was positive.",
            (("residuals.y > 0", "residuals.y <= 0"),),
        ),
    ),
)

SOFTMAX = Exercise(
    name="softmax_backward",
    title="each output from each input of a row",
    text="""\
Given: dy (N, C), the gradient for the output; y (N, C), the output; axis, -1 here.

    y[n, c] = exp(x[n, c]) / sum over k of exp(x[n, k])

x[n, k] is in all y of its row: in y[n, k] through the numerator, and in every
y[n, c] through the sum. The derivatives are

    dy[n, c] / dx[n, k] = y[n, c] * (1 - y[n, k])    if c = k
    dy[n, c] / dx[n, k] = -y[n, c] * y[n, k]         otherwise

which is y[n, c] * ((1 if c = k else 0) - y[n, k]). Multiply by dy[n, c], add up
over c, and simplify: no matrix (C, C) is needed.

Return dx.""",
    module="minikeras.activations.normalizing",
    show=("SoftmaxResiduals", "softmax", "softmax.gradient"),
    blanks=(
        Blank("softmax.gradient", "dx, from dy and y", keep=("y, axis = residuals",)),
    ),
    hints=(
        "The sum over c has two parts: dy[n, k] * y[n, k], and -y[n, k] times a number "
        "that is the same for the whole row.",
        "That number is sum over c of dy[n, c] * y[n, c]: (dy * y).sum(axis=axis, "
        "keepdims=True).",
        "return y * (dy - (dy * y).sum(axis=axis, keepdims=True))",
    ),
    cases=("ordinary numbers",),
    draw=_draw,
    answers=_gradient("softmax"),
    outputs=_outputs("softmax"),
    keras=_keras("softmax"),
    sizes=_sizes,
    slips=(
        Slip(
            "This is dy * y * (1 - y), the gradient of a sigmoid: the other outputs of "
            "the row are missing.",
            (("np.vecdot(dy, y)[..., None]", "dy * y"),),
        ),
        Slip(
            "This is dy * y: the row's common part, sum(dy * y), is missing.",
            (("dy - np.vecdot(dy, y)[..., None]", "dy.copy()"),),
        ),
        Slip(
            "This subtracts sum(dy), and must subtract sum(dy * y).",
            (("np.vecdot(dy, y)[..., None]", "dy.sum(axis=-1, keepdims=True)"),),
        ),
        Slip(
            "The sum runs over the batch (axis 0); it must run over the classes (axis "
            "-1): examples have nothing to do with each other.",
            (("np.vecdot(dy, y)[..., None]", "(dy * y).sum(axis=0)"),),
        ),
        Slip(
            "The sum has become a mean.",
            (("np.vecdot(dy, y)[..., None]", "(dy * y).mean(axis=-1, keepdims=True)"),),
        ),
        Slip(
            "The last factor y is missing.",
            (("    dx *= y\n", ""),),
        ),
        Slip(
            "y was made by softmax already, and here it was applied again.",
            (
                (
                    "    y, axis = residuals\n    if",
                    "    y, axis = residuals\n    y = softmax(y)\n    if",
                ),
            ),
        ),
    ),
)
