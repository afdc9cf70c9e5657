"""Exercises: mean squared error and the two crossentropies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen

_PROBABILITIES, _LOGITS = "probabilities", "logits"


def _sizes(v: Any) -> dict[str, int]:
    return {"the batch size": len(v.y_pred), "the number of columns": v.y_pred.shape[1]}


def _loss(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    def outputs(ns: Any, v: Any) -> dict[str, Any]:
        options = {"from_logits": v.from_logits} if hasattr(v, "from_logits") else {}
        return {"value": getattr(ns, name).forward(v.y_true, v.y_pred, **options)[0]}

    return outputs


def _gradient(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    def answers(ns: Any, v: Any) -> dict[str, Any]:
        function = getattr(ns, name)
        options = {"from_logits": v.from_logits} if hasattr(v, "from_logits") else {}
        _, kept = frozen(function.forward(v.y_true, v.y_pred, **options))
        frozen(list(kept.formula) if isinstance(kept.formula, tuple) else kept.formula)
        return {"dy_pred": function.backward(v.dvalue, kept)}

    return answers


def _keras(name: str) -> Callable[[Any, Any], dict[str, Any]]:
    def outputs(keras: Any, v: Any) -> dict[str, Any]:
        options = {"from_logits": v.from_logits} if hasattr(v, "from_logits") else {}
        function = getattr(keras.losses, name)
        return {"value": function(v.y_true, v.y_pred, **options)}

    return outputs


def _draw_numbers(rng: np.random.Generator, case: str) -> dict[str, Any]:
    y_true, y_pred = rng.normal(size=(2, 5, 3))
    return {"y_true": y_true, "y_pred": y_pred, "dvalue": rng.normal(size=5)}


def _draw_binary(rng: np.random.Generator, case: str) -> dict[str, Any]:
    y_pred = rng.normal(size=(5, 3))
    if case == _PROBABILITIES:
        y_pred = rng.uniform(0.1, 0.9, size=(5, 3))
    return {
        "y_true": rng.uniform(size=(5, 3)).round(),
        "y_pred": y_pred,
        "dvalue": rng.normal(size=5),
        "from_logits": case == _LOGITS,
    }


def _draw_classes(rng: np.random.Generator, case: str) -> dict[str, Any]:
    y_pred = rng.normal(size=(5, 4))
    return {
        "y_true": np.eye(4)[rng.integers(4, size=5)],
        "y_pred": y_pred,
        "dvalue": rng.normal(size=5),
        "from_logits": True,
    }


_NO_DVALUE = "dvalue is missing: the gradient that arrives must be multiplied in."

SQUARED_ERROR = Exercise(
    name="mean_squared_error_backward",
    title="where 2 and 1/D come from",
    text="""\
Given: dvalues (N,), the gradient for the loss of each example; error (N, D), which
is y_pred - y_true, all that forward kept.

    value[n] = mean over d of (y_pred[n, d] - y_true[n, d])**2

y_pred[n, d] is in one value only, squared, and in a mean over D numbers. (The mean
over the batch comes later: it is already in dvalues.)

Return dy_pred (N, D). Mind the shapes: dvalues has one axis, error two.""",
    module="minikeras.losses.regression",
    show=("mean_squared_error", "mean_squared_error.gradient"),
    blanks=(Blank("mean_squared_error.gradient", "dy_pred, from dvalues and error"),),
    hints=(
        "The derivative of u**2 is 2 * u, and a mean over D numbers divides by D.",
        "dvalues[:, None] (or [..., None]) has the shape (N, 1), which is repeated "
        "along the columns.",
        "return dvalues[..., None] * (2 / error.shape[-1]) * error",
    ),
    cases=("ordinary numbers",),
    draw=_draw_numbers,
    answers=_gradient("mean_squared_error"),
    outputs=_loss("mean_squared_error"),
    keras=_keras("mean_squared_error"),
    sizes=_sizes,
    slips=(
        Slip(
            _NO_DVALUE,
            (("(dvalues * (2 / error.shape[-1]))[..., None]", "2 / error.shape[-1]"),),
        ),
        Slip(
            "It is divided by the batch size instead of the number of columns.",
            (("2 / error.shape[-1]", "2 / error.shape[0]"),),
        ),
        Slip(
            "It is divided by the number of all elements: the mean is over the last "
            "axis only; that over the batch is already in dvalues.",
            (("2 / error.shape[-1]", "2 / error.size"),),
        ),
    ),
)

BINARY = Exercise(
    name="binary_crossentropy_backward",
    title="from probabilities and from logits",
    text="""\
Given: t = y_true and y_pred, both (N, D); from_logits says what y_pred is.

    probabilities p:  term = -(t * log(p) + (1 - t) * log(1 - p))
    logits x:         the same with p = 1 / (1 + exp(-x))
    value[n] = mean over d of term[n, d]

forward keeps `slope`, the derivative of each term for its own y_pred, so that the
gradient only has to share it out. You write all three:

1. slope from logits. Derive it from the probabilities: dp/dx = p * (1 - p)
   makes nearly everything cancel.
2. slope from probabilities. `p` is clipped and q = 1 - p; where it was clipped
   (`inside` is False) the slope is 0: `gate(inside, a)` is a there, else 0.
3. dy_pred from dvalues (N,): a mean over D numbers, one value for each row.

Return dy_pred (N, D).""",
    module="minikeras.losses.binary",
    show=("BinaryResiduals", "binary_crossentropy", "binary_crossentropy.gradient"),
    blanks=(
        Blank("binary_crossentropy", "slope = ?", only=("slope = ",)),
        Blank(
            "binary_crossentropy.gradient",
            "dy_pred, from dvalues and slope; axis is -1",
            keep=("slope, axis = residuals",),
        ),
    ),
    hints=(
        "The derivative of log(p) is 1 / p, that of log(1 - p) is -1 / (1 - p).",
        "From probabilities: (1 - t) / q - t / p. From logits, times p * (1 - p): "
        "(1 - t) * p - t * (1 - p), which is p - t.",
        "slope = logistic(y_pred) - y_true, and slope = gate(inside, (1 - y_true) / q "
        "- y_true / p)",
        "The gradient: dvalues[..., None] / slope.shape[-1] * slope",
    ),
    cases=(_PROBABILITIES, _LOGITS),
    draw=_draw_binary,
    answers=_gradient("binary_crossentropy"),
    outputs=_loss("binary_crossentropy"),
    keras=_keras("binary_crossentropy"),
    sizes=_sizes,
    slips=(
        Slip(
            _NO_DVALUE,
            (("dterms = dvalues / count", "dterms = dvalues * 0 + 1 / count"),),
        ),
        Slip(
            "From logits this is y_pred - t: y_pred has to become a probability first, "
            "logistic(y_pred).",
            (("slope = logistic(y_pred) - y_true", "slope = y_pred - y_true"),),
        ),
        Slip(
            "From logits the slope of the sigmoid was multiplied in twice: p - t has "
            "it "
            "already.",
            (
                (
                    "slope = logistic(y_pred) - y_true",
                    "slope = logistic(y_pred) - y_true\n        slope = slope * "
                    "logistic(y_pred) * (1 - logistic(y_pred))",
                ),
            ),
        ),
        Slip(
            "From probabilities this is p - t, the slope for logits: there the slope "
            "of "
            "the sigmoid has cancelled the denominators, here they stay.",
            (
                (
                    "slope = gate(inside, (1 - y_true) / q - y_true / p)",
                    "slope = p - y_true",
                ),
            ),
        ),
        Slip(
            "From probabilities the term of t = 0 is missing: (1 - t) / (1 - p).",
            (("(1 - y_true) / q - y_true / p", "-y_true / p"),),
        ),
        Slip(
            "From probabilities the two terms have the same sign; the derivative of "
            "log(1 - p) has a minus.",
            (("(1 - y_true) / q - y_true / p", "-(1 - y_true) / q - y_true / p"),),
        ),
    ),
)

CLASSES = Exercise(
    name="softmax_crossentropy_backward",
    title="why from_logits is so simple",
    text="""\
Given: y_true (N, C), rows that sum to 1 (one-hot); p (N, C), the softmax of the
logits y_pred; dvalues, already of the shape (N, 1).

    p[n, c] = exp(y_pred[n, c]) / sum over k of exp(y_pred[n, k])
    value[n] = -sum over c of y_true[n, c] * log(p[n, c])

Write the logarithm out: log(p[n, c]) = y_pred[n, c] - log(sum over k of
exp(y_pred[n, k])). The derivative of the second part for y_pred[n, k] is something
you have. Add up over c, and use that y_true sums to 1.

Only the branch for logits is blank; that for probabilities stays as it is.

Return dy_pred (N, C).""",
    module="minikeras.losses.crossentropy",
    show=(
        "CategoricalResiduals",
        "categorical_crossentropy",
        "categorical_crossentropy.gradient",
    ),
    blanks=(
        Blank(
            "categorical_crossentropy.gradient",
            "return dy_pred, from dvalues, p and y_true",
            only=("return dvalues * (p - y_true)",),
        ),
    ),
    hints=(
        "The derivative of log(sum over k of exp(y_pred[n, k])) for y_pred[n, k] is "
        "exp(y_pred[n, k]) / sum = p[n, k].",
        "value[n] = log(sum) - sum over c of y_true[n, c] * y_pred[n, c], since y_true "
        "sums to 1.",
        "return dvalues * (p - y_true)",
    ),
    cases=("one-hot targets",),
    draw=_draw_classes,
    answers=_gradient("categorical_crossentropy"),
    outputs=_loss("categorical_crossentropy"),
    keras=_keras("categorical_crossentropy"),
    sizes=_sizes,
    slips=(
        Slip(_NO_DVALUE, (("dvalues * (p - y_true)", "p - y_true"),)),
        Slip(
            "This is -y_true / p, the derivative for p: the way through the softmax is "
            "missing.",
            (("dvalues * (p - y_true)", "-dvalues * y_true / p"),),
        ),
        Slip(
            "This is the gradient of a sigmoid's slope, p * (1 - p), times the error: "
            "in p - y_true the slope of the softmax has cancelled already.",
            (("dvalues * (p - y_true)", "dvalues * (p - y_true) * p * (1 - p)"),),
        ),
        Slip(
            "Only the column of the true class has its gradient; raising another logit "
            "lowers the true probability as well.",
            (("dvalues * (p - y_true)", "dvalues * (p - y_true) * y_true"),),
        ),
        Slip(
            "This is p: y_true is missing.",
            (("dvalues * (p - y_true)", "dvalues * p"),),
        ),
    ),
)
