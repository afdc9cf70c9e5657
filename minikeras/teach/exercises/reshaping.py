"""Exercises: Flatten and Dropout."""

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

_LAST, _FIRST = "channels last", "channels first"
_TRAINING, _INFERENCE = "training", "inference"
_RATE = 0.4


def _draw_images(rng: np.random.Generator, case: str) -> dict[str, Any]:
    x = rng.normal(size=(5, 2, 3, 4))
    data_format = "channels_last" if case == _LAST else "channels_first"
    return {"x": x, "dy": rng.normal(size=(5, 24)), "data_format": data_format}


def _flatten(ns: Any, v: Any) -> Any:
    return ns.Flatten(data_format=v.data_format, dtype=str(v.x.dtype))


def _flatten_outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": _flatten(ns, v).forward(v.x)[0]}


def _flatten_gradient(ns: Any, v: Any) -> dict[str, Any]:
    layer = _flatten(ns, v)
    _, residuals = layer.forward(v.x)
    return {"dx": layer.backward(v.dy, residuals, Collected())}


def _flatten_keras(keras: Any, v: Any) -> dict[str, Any]:
    layer = keras.layers.Flatten(data_format=v.data_format, dtype="float64")
    return {"y": layer(v.x)}


FLATTEN = Exercise(
    name="flatten_backward",
    title="a gradient that only moves numbers",
    text="""\
Given: dy (N, 24), the gradient for the rows; `residuals.shape`, the shape that was
laid out, channels last: (N, 2, 3, 4), say; `self._moves_channels`, True if the
input had its channels first.

    y[n, :] = x[n], the last axis running fastest

Every number of x is in y once, with the factor 1, in another place. So dx has the
numbers of dy, each where its x was. What forward did is to be undone step by step,
the last step first.

Return dx, in the shape of x.""",
    module="minikeras.layers.reshaping.flatten",
    show=("FlattenResiduals", "Flatten.forward", "Flatten.backward"),
    blanks=(Blank("Flatten.backward", "dx", doc="`dy`, laid back."),),
    hints=(
        "forward ended with a reshape; the way back begins with one.",
        "The inverse of np.moveaxis(x, 1, -1) is np.moveaxis(dx, -1, 1). A reshape to "
        "the shape of x instead would mix the numbers of different channels.",
        "dx = dy.reshape(residuals.shape); if self._moves_channels: dx = "
        "np.moveaxis(dx, -1, 1)",
    ),
    cases=(_LAST, _FIRST),
    draw=_draw_images,
    answers=_flatten_gradient,
    outputs=_flatten_outputs,
    keras=_flatten_keras,
    slips=(
        Slip(
            "The shape is right, the places are not: this is a reshape where forward "
            "moved an axis (moveaxis), which must be moved back.",
            (
                (
                    "dx = np.moveaxis(dx, -1, 1)",
                    "dx = dx.reshape(np.moveaxis(dx, -1, 1).shape)",
                ),
            ),
        ),
        Slip(
            "The channels are still at the end: forward moved them there, and they "
            "must "
            "be moved back.",
            (("dx = np.moveaxis(dx, -1, 1)", "pass"),),
        ),
        Slip(
            "The places are not those that forward took them from: reshape lays out in "
            "C order, the last axis running fastest.",
            (
                (
                    "dy.reshape(residuals.shape)",
                    'dy.reshape(residuals.shape, order="F")',
                ),
            ),
        ),
    ),
)


def _draw_dropout(rng: np.random.Generator, case: str) -> dict[str, Any]:
    return {
        "x": rng.normal(size=(5, 7)),
        "dy": rng.normal(size=(5, 7)),
        "training": case == _TRAINING,
    }


def _dropout(ns: Any, v: Any) -> Any:
    return ns.Dropout(_RATE, seed=3, dtype=str(v.x.dtype))


def _dropout_outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": _dropout(ns, v).forward(v.x, training=v.training)[0]}


def _dropout_keras(keras: Any, v: Any) -> dict[str, Any]:
    layer = keras.layers.Dropout(_RATE, seed=3, dtype="float64")
    return {"y": layer(v.x, training=v.training)}


def _dropout_answers(ns: Any, v: Any) -> dict[str, Any]:
    layer = _dropout(ns, v)
    result = layer.forward(v.x, training=v.training)
    y, residuals = frozen(named("Dropout.forward", result, "y", "residuals")).values()
    return {"y": y, "dx": layer.backward(v.dy, residuals, Collected())}


DROPOUT = Exercise(
    name="dropout",
    title="forward and backward by one mask",
    text="""\
Given: x; `keep`, booleans of its shape, drawn already; `self.rate`, the probability
to drop.

    training:   y = x / (1 - rate) where keep, else 0
    inference:  y = x

The division keeps the expected value what it was, so that nothing has to be done in
inference. y[i] depends on x[i] alone; its slope is 1 / (1 - rate) or 0.

Write `_apply`, which is the formula, and `backward`, which must use what forward
kept: the same mask, not a new one. Residuals are None where nothing was dropped.

Return dx from backward.""",
    module="minikeras.layers.regularization.dropout",
    show=("DropoutResiduals", "Dropout.forward", "Dropout.backward", "_apply"),
    blanks=(
        Blank("Dropout.backward", "dx"),
        Blank("_apply", "x * residuals.scale where residuals.keep, else 0"),
    ),
    hints=(
        "np.where(condition, a, b) is a where the condition is True, else b.",
        "The slope of y for x is the same expression as in forward, with dy for x: one "
        "function serves both.",
        "_apply: np.where(residuals.keep, x * residuals.scale, 0). backward: dy if "
        "residuals is None else _apply(dy, residuals)",
    ),
    cases=(_TRAINING, _INFERENCE),
    draw=_draw_dropout,
    answers=_dropout_answers,
    outputs=_dropout_outputs,
    keras=_dropout_keras,
    sizes=lambda v: {"the batch size": len(v.x), "the number of columns": 7},
    slips=(
        Slip(
            "The scale 1 / (1 - rate) is missing.",
            (("x * residuals.scale", "x * 1"),),
        ),
        Slip(
            "It is multiplied by 1 - rate, and must be divided by it.",
            (("x * residuals.scale", "x / residuals.scale"),),
        ),
        Slip(
            "The mask is missing: only the scale was applied.",
            (
                (
                    "keep_where(residuals.keep, x * residuals.scale)",
                    "x * residuals.scale",
                ),
            ),
        ),
        Slip(
            "It is the other way round: what should be kept is dropped.",
            (("residuals.keep, x", "~residuals.keep, x"),),
        ),
        Slip(
            "In backward nothing was done: it is dy as it came.",
            (("dy if residuals is None else _apply(dy, residuals)", "dy"),),
        ),
        Slip(
            "In backward a new mask was drawn; it must be the one of forward.",
            (
                (
                    "dy if residuals is None else _apply(dy, residuals)",
                    "self.forward(dy, training=residuals is not None)[0]",
                ),
            ),
        ),
    ),
)
