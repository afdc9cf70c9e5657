"""Exercise: backpropagation through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_GATES = ("i", "f", "g", "o")
_N, _UNITS, _STEPS = 5, 3, 4
_SIZES = {"the batch size": _N, "the number of units": _UNITS}
_PLAIN, _MASKED = "without a mask", "with a mask"


def _draw_time(rng: np.random.Generator, case: str) -> dict[str, Any]:
    mask = None
    if case == _MASKED:
        mask = np.arange(_STEPS)[:, None] < np.array([4, 2, 3, 0, 1])
        mask[0, 3], mask[2, 3] = True, True  # and one with a hole
        mask = mask[..., None]
    return {
        "z": rng.normal(size=(_STEPS, _N, 4 * _UNITS)),
        "h0": rng.normal(size=(_N, _UNITS)),
        "c0": rng.normal(size=(_N, _UNITS)),
        "kernel": rng.normal(size=(_UNITS, 4 * _UNITS)),
        "mask": mask,
        "dsteps": rng.normal(size=(_STEPS, _N, _UNITS)),
        "dh": rng.normal(size=(_N, _UNITS)),
        "dc": rng.normal(size=(_N, _UNITS)),
    }


def _sequence(ns: Any, v: Any) -> Any:
    return ns.lstm_sequence(v.z + 0.0, v.h0, v.c0, v.kernel, mask=v.mask)


def _time_outputs(ns: Any, v: Any) -> dict[str, Any]:
    kept = _sequence(ns, v)
    return {"steps": kept.h[1:], "h": kept.h[-1], "c": kept.c[-1]}


def _time_gradients(ns: Any, v: Any) -> dict[str, Any]:
    residuals = frozen(_sequence(ns, v))
    result = ns.lstm_sequence_grad(v.dsteps, v.dh, v.dc, residuals, v.kernel)
    return named("lstm_sequence_grad", result, "dz", "dh0", "dc0")


def _keras_time(keras: Any, v: Any) -> dict[str, Any]:
    ops = keras.ops
    h, c, steps = v.h0, v.c0, []
    for t in range(_STEPS):
        z = v.z[t] + ops.matmul(h, v.kernel)
        i, f, g, o = ops.split(z, 4, axis=-1)
        c_new = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h_new = ops.sigmoid(o) * ops.tanh(c_new)
        if v.mask is not None:
            h_new = ops.where(v.mask[t], h_new, h)
            c_new = ops.where(v.mask[t], c_new, c)
        h, c = h_new, c_new
        steps.append(h)
    return {"steps": ops.stack(steps), "h": h, "c": c}


LSTM = Exercise(
    name="lstm_through_time",
    title="backpropagation through time",
    text="""\
Given: dh_steps, for each step the gradient that arrives at h[t + 1] from outside
(or None); dh, dc (N, units), the gradients for the last states; residuals (gates, h,
c, a, inner and mask of all steps); recurrent_kernel R (units, 4 * units).

    for t = 0, 1, ...:
        h_new, c_new = lstm_gates(z[t] + h[t] @ R, c[t])
        h[t + 1], c[t + 1] = where(mask[t], (h_new, c_new), (h[t], c[t]))

The step back, `lstm_gates_grad(dh, dc, kept, activations)`, is given: it returns
(dz_t, dc) and takes `LSTMGates(gates[t], c[t], a[t], inner[t])`. What remains is the
way through time. Ask at each step, going back from the last:

1. Who used h[t + 1]? The outside, and the next step. Their gradients add up.
2. Where the mask is False, the step was passed by: h[t + 1] is h[t]. The
   gradient goes past the step, and the step itself gets 0.
3. How does h[t] act on z[t]? Through `h[t] @ R`.

Return (dz, dh0, dc0): dz (T, N, 4 * units), all steps.""",
    module="minikeras.ops.lstm",
    show=("LSTMGates", "LSTMSequence", "lstm_sequence", "lstm_sequence_grad"),
    blanks=(
        Blank(
            "lstm_sequence_grad",
            "return dz, dh, dc",
            keep=("gates, _, c, a, inner, mask = residuals",),
        ),
    ),
    hints=(
        "for t in reversed(range(len(gates))): first dh = dh + dh_steps[t], then the "
        "step back, then dh = dz[t] @ recurrent_kernel.T for the step before.",
        "dc needs no product: lstm_gates_grad returns the dc for the step before.",
        "With a mask: dh_past = np.where(mask[t], 0, dh) goes past the step and is "
        "added to the new dh after it; the step gets np.where(mask[t], dh, 0). The "
        "same for dc.",
    ),
    cases=(_PLAIN, _MASKED),
    draw=_draw_time,
    answers=_time_gradients,
    outputs=_time_outputs,
    keras=_keras_time,
    sizes=lambda v: {**_SIZES, "the number of steps": _STEPS},
    blocks={"dz": _GATES},
    slips=(
        Slip(
            "The recurrent term is missing: h[t] also acts through the next step, by "
            "h[t] @ R. So dh for the step before is dz[t] @ R.T.",
            (
                (
                    "dh = dropped_matmul_dx(dz_t, recurrent_kernel, recurrent_masks)",
                    "dh = np.zeros_like(dh)",
                ),
            ),
        ),
        Slip(
            "dc is not handed on from step to step.",
            (
                (
                    "activations, out=dz[t])\n",
                    "activations, out=dz[t])\n        dc = np.zeros_like(dc)\n",
                ),
            ),
        ),
        Slip(
            "What arrives from outside at each step is missing: dh = dh + dh_steps[t].",
            (("dh = dh + dh_steps[t]", "pass"),),
        ),
        Slip(
            "What arrives from outside takes the place of what comes from the next "
            "step; "
            "the two must be added.",
            (("dh = dh + dh_steps[t]", "dh = dh_steps[t]"),),
        ),
        Slip(
            "The mask is ignored: a masked step gets no gradient, and hands dh and dc "
            "on as they are.",
            (
                (
                    "        if mask is not None:\n            # in forward",
                    "        if False:\n            # in forward",
                ),
                (
                    "        if mask is not None:\n            dh, dc = dh + dh_past",
                    "        if False:\n            dh, dc = dh + dh_past",
                ),
            ),
        ),
        Slip(
            "At a masked step the gradient stops: it must go past the step to the one "
            "before.",
            (("dh, dc = dh + dh_past, dc + dc_past", "pass"),),
        ),
        Slip(
            "dh was taken past the masked steps, dc was not.",
            (("dh, dc = dh + dh_past, dc + dc_past", "dh = dh + dh_past"),),
        ),
        Slip(
            "The steps are gone through from the first to the last; the chain rule "
            "goes "
            "from the last to the first.",
            (("reversed(range(len(gates)))", "range(len(gates))"),),
        ),
        Slip(
            "The step uses the cell state after it, c[t + 1]; before it, it was c[t].",
            (("LSTMGates(gates[t], c[t], a[t]", "LSTMGates(gates[t], c[t + 1], a[t]"),),
        ),
    ),
)
