"""Exercise: the gradient of an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip

_ONCE, _AGAIN = "every id at most once", "repeated ids"
_ROWS = 11


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    ids = rng.choice(_ROWS, size=(3, 3), replace=False)
    if case == _AGAIN:
        ids = rng.choice([1, 4, 10], size=(3, 3))
    return {
        "ids": ids,
        "table": rng.normal(size=(_ROWS, 5)),
        "dy": rng.normal(size=(3, 3, 5)),
    }


def _outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"y": ns.embedding_lookup(v.table, v.ids)}


BACKWARD = Exercise(
    name="embedding_backward",
    title="every lookup adds to its row",
    text="""\
Given: dy (N, T, D); ids (N, T), integers in [0, V); rows, which is V.

    y[n, t, :] = table[ids[n, t], :]

A lookup is a copy with the factor 1, so a row of the table gets the dy of the places
where it went. A row that was looked up three times gets three of them, added; one
that was never looked up gets 0. Integers have no gradient.

Return dtable (V, D), of the dtype of dy.""",
    module="minikeras.ops.embedding",
    show=("embedding_lookup", "embedding_grad_plain"),
    blanks=(
        Blank(
            "embedding_grad_plain",
            "dtable, (rows, D)",
            doc="The gradient of the table.",
        ),
    ),
    hints=(
        "Begin with zeros, (rows, D), and go over the lookups: a loop is fine.",
        "`dtable[ids] += dy` reads once, adds, and writes: of repeated ids only the "
        "last counts. np.add.at does what one would expect.",
        "np.add.at(dtable, ids.ravel(), dy.reshape(ids.size, -1))",
    ),
    cases=(_ONCE, _AGAIN),
    draw=_draw,
    answers=lambda ns, v: {"dtable": ns.embedding_grad_plain(v.dy, v.ids, _ROWS)},
    outputs=_outputs,
    keras=lambda keras, v: {"y": keras.ops.take(v.table, v.ids, axis=0)},
    sizes=lambda v: {"the number of ids": 9, "the number of rows": _ROWS},
    slips=(
        Slip(
            "Of ids that occur several times only the last one counts: `dtable[ids] += "
            "dy` writes each row once. Use np.add.at, or a loop.",
            (
                (
                    "np.add.at(dtable, ids.ravel(), dy.reshape(ids.size, "
                    "dy.shape[-1]))",
                    "dtable[ids] += dy",
                ),
            ),
        ),
        Slip(
            "Of ids that occur several times only the first one counts.",
            (
                (
                    "np.add.at(dtable, ids.ravel(), dy.reshape(ids.size, "
                    "dy.shape[-1]))",
                    "dtable[ids.ravel()[::-1]] = dy.reshape(ids.size, -1)[::-1]",
                ),
            ),
        ),
        Slip(
            "Rows that were looked up several times have the mean of what they got; it "
            "must be the sum.",
            (
                (
                    "    return dtable",
                    "    n = np.bincount(ids.ravel(), minlength=rows)[:, None]\n"
                    "    return dtable / np.maximum(n, 1)",
                ),
            ),
        ),
    ),
)
