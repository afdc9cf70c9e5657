"""Exercise: dot-product attention, backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.ops import attention
from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_N, _T, _S, _D = 2, 3, 5, 4
_PLAIN, _MASKED = "without a mask", "with a mask"


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    mask = None
    if case == _MASKED:
        mask = rng.uniform(size=(_N, _T, _S)) > 0.4
        mask[..., 0] = True
    return {
        "query": rng.normal(size=(_N, _T, _D)),
        "key": rng.normal(size=(_N, _S, _D)),
        "value": rng.normal(size=(_N, _S, _D)),
        "mask": mask,
        "dy": rng.normal(size=(_N, _T, _D)),
    }


def _forward(ns: Any, v: Any) -> tuple[Any, Any, Any]:
    scores = ns.dot_scores(v.query, v.key)
    weights, residuals = ns.masked_softmax(scores, v.mask)
    return ns.mean_of_values(weights, v.value), weights, residuals


def _gradients(ns: Any, v: Any) -> dict[str, Any]:
    """Each function for itself: it is given what the library's one before returns."""
    _, weights, residuals = frozen(_forward(ns, v))
    result = ns.mean_of_values_grad(v.dy, weights, v.value)
    found = named("mean_of_values_grad", result, "dweights", "dvalue")
    dweights = attention.mean_of_values_grad(v.dy, weights, v.value)[0]
    found["dscores"] = ns.masked_softmax_grad(frozen(dweights), residuals)
    kept = attention.SoftmaxResiduals(*residuals)
    dscores = attention.masked_softmax_grad(dweights, kept)
    result = ns.dot_scores_grad(frozen(dscores), v.query, v.key)
    return found | named("dot_scores_grad", result, "dquery", "dkey")


def _keras(keras: Any, v: Any) -> dict[str, Any]:
    ops = keras.ops
    scores = ops.matmul(v.query, ops.transpose(v.key, (0, 2, 1)))
    if v.mask is not None:
        scores = ops.where(v.mask, scores, -1e9)
    return {"y": ops.matmul(ops.softmax(scores, axis=-1), v.value)}


BACKWARD = Exercise(
    name="attention_backward",
    title="scores, their softmax, a mean",
    text="""\
Given: query (N, T, D), key and value (N, S, D), dy (N, T, D). N, or (N, heads), are
leading axes: `@` works on the last two, and .swapaxes(-1, -2) transposes them.

    scores = query @ key.T                 (N, T, S)
    weights = softmax(scores), over S; where the mask is False the score is -1e9
    y = weights @ value                    (N, T, D)

Three functions, each the gradient of one line, and each checked for itself.

1. mean_of_values_grad returns (dweights, dvalue)
2. masked_softmax_grad returns dscores. `zeroed` is False here. A masked score
   is a constant, whatever query and key are.
3. dot_scores_grad returns (dquery, dkey)""",
    module="minikeras.ops.attention",
    show=(
        "SoftmaxResiduals",
        "masked_softmax",
        "masked_softmax_grad",
        "dot_scores",
        "dot_scores_grad",
        "mean_of_values",
        "mean_of_values_grad",
    ),
    blanks=(
        Blank(
            "masked_softmax_grad",
            "return dscores",
            keep=("weights, mask, zeroed = residuals",),
        ),
        Blank("dot_scores_grad", "return dquery, dkey"),
        Blank("mean_of_values_grad", "return dweights, dvalue"),
    ),
    hints=(
        "Y = A @ B has dA = dY @ B.T and dB = A.T @ dY, with .swapaxes(-1, -2) for .T.",
        "The softmax as in softmax_backward: weights * (dweights - sum(dweights * "
        "weights)), the sum over the last axis with keepdims=True. Then 0 where the "
        "mask is False.",
        "scores = query @ key.T, so B is key.T: dquery = dscores @ key, and dkey = "
        "dscores.swapaxes(-1, -2) @ query.",
        "dweights = dy @ value.swapaxes(-1, -2); dvalue = weights.swapaxes(-1, -2) @ "
        "dy",
    ),
    cases=(_PLAIN, _MASKED),
    draw=_draw,
    answers=_gradients,
    outputs=lambda ns, v: {"y": _forward(ns, v)[0]},
    keras=_keras,
    sizes=lambda v: {
        "the number of queries": _T,
        "the number of values": _S,
        "the number of features": _D,
    },
    renamed={"dweights": "", "dscores": ""},
    slips=(
        Slip(
            "The way through the softmax is missing: these are weights * dweights, "
            "without the row's common part.",
            (("dscores = dweights - common", "dscores = dweights.copy()"),),
        ),
        Slip(
            "The softmax was left out: dweights went on as dscores.",
            (
                ("    dscores *= weights\n", ""),
                ("dscores = dweights - common", "dscores = dweights.copy()"),
            ),
        ),
        Slip(
            "The last factor, weights, is missing in the gradient of the softmax.",
            (("    dscores *= weights\n", ""),),
        ),
        Slip(
            "The common part is the sum over the queries; it must be over the values "
            "(the last axis).",
            (
                (
                    'np.einsum("...s,...s->...", dweights, weights)[..., None]',
                    "(dweights * weights).sum(axis=-2, keepdims=True)",
                ),
            ),
        ),
        Slip(
            "These are the gradients of the two the wrong way round.",
            (
                (
                    "return dscores @ key, dscores.swapaxes(-1, -2) @ query",
                    "return dscores.swapaxes(-1, -2) @ query, dscores @ key",
                ),
            ),
        ),
        Slip(
            "The common part of the row was added, and must be subtracted.",
            (("dscores = dweights - common", "dscores = dweights + common"),),
        ),
    ),
)
