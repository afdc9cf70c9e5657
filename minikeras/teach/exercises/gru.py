"""Exercises: the GRU step, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_N, _UNITS = 5, 4
_GATES = ("z", "r", "g")
_AFTER, _BEFORE = "reset_after=True", "reset_after=False"


def _draw(rng: np.random.Generator, case: str) -> dict[str, Any]:
    return {
        "z": rng.normal(size=(_N, 3 * _UNITS)),
        "h_prev": rng.normal(size=(_N, _UNITS)),
        "kernel": rng.normal(size=(_UNITS, 3 * _UNITS)),
        "bias": rng.normal(size=3 * _UNITS),
        "inner_bias": rng.normal(size=_UNITS) if case == _AFTER else None,
        "reset_after": case == _AFTER,
        "dh": rng.normal(size=(_N, _UNITS)),
    }


def _weights(ns: Any, v: Any) -> Any:
    return ns.GRUWeights(v.kernel, v.bias, v.inner_bias, v.reset_after)


def _forward(ns: Any, v: Any) -> dict[str, Any]:
    result = ns.gru_step(v.z + 0.0, v.h_prev, _weights(ns, v))
    return named("gru_step", result, "h", "residuals")


def _outputs(ns: Any, v: Any) -> dict[str, Any]:
    return {"h": _forward(ns, v)["h"]}


def _answers(ns: Any, v: Any) -> dict[str, Any]:
    found = _forward(ns, v)
    kept = found["residuals"]
    names = ("gates", "inner")
    return {"h": found["h"], **{n: getattr(kept, n, None) for n in names}}


def _gradients(ns: Any, v: Any) -> dict[str, Any]:
    residuals = frozen(_forward(ns, v)["residuals"])
    result = ns.gru_step_grad(v.dh, residuals, _weights(ns, v))
    found = named("gru_step_grad", result, "d_input", "d_recurrent", "dh_prev")
    return found if v.reset_after else {n: found[n] for n in ("d_input", "dh_prev")}


def _keras(keras: Any, v: Any) -> dict[str, Any]:
    """The cell itself, with a kernel that hands z on as it is."""
    cell = keras.layers.GRUCell(_UNITS, reset_after=v.reset_after, dtype="float64")
    cell.build((_N, 3 * _UNITS))
    ops, one = keras.ops, np.eye(3 * _UNITS)
    seeds = [s.value for s in cell.non_trainable_variables]
    bias = v.bias
    if v.reset_after:
        second = ops.concatenate([np.zeros(2 * _UNITS), v.inner_bias])
        bias = ops.stack([v.bias, second])
    (h, _), _ = cell.stateless_call([one, v.kernel, bias], seeds, v.z, v.h_prev)
    return {"h": h}


_FORMULA = """\
x @ K, h_prev @ R and b are cut into blocks for z (update), r (reset) and g (the
candidate), in this order; c is the bias inside, `weights.inner_bias`.

    z = sigmoid(x @ K_z + b_z + h_prev @ R_z),  r likewise
    g = tanh(x @ K_g + b_g + r * (h_prev @ R_g + c))     if weights.reset_after
    g = tanh(x @ K_g + b_g + (r * h_prev) @ R_g)         otherwise
    h = z * h_prev + (1 - z) * g"""
_WEIGHTS = """\
`weights` has recurrent_kernel R (units, 3 * units), bias b (3 * units,) or None,
inner_bias c (units,) or None, reset_after. Its masks and activations are None here."""

FORWARD = Exercise(
    name="gru_step_forward",
    title="reset after or before the product",
    text=f"""\
Given: z (N, 3 * units), the input's share x @ K, which you may overwrite; h_prev
(N, units); weights.

{_FORMULA}

{_WEIGHTS}

Return h, GRUStep(gates, h_prev, inner): gates (N, 3 * units), the activated z, r, g;
inner (N, units), the factor of r: h_prev @ R_g + c if reset_after, else r * h_prev.""",
    module="minikeras.ops.gru",
    show=("GRUWeights", "GRUStep", "gru_step", "_activate_gates"),
    blanks=(
        Blank("gru_step", "return h, GRUStep(gates, h_prev, inner)"),
        Blank(
            "_activate_gates",
            "the library's helper; use it or take it out",
            doc="Activates z and r in place, returns the residuals.",
        ),
    ),
    hints=(
        "Blocks: z[:, :units], z[:, units : 2 * units], z[:, 2 * units :], and the "
        "same columns of R. `logistic` is the sigmoid.",
        "reset_after: recurrent = h_prev @ R at once, then inner = recurrent[:, 2 * "
        "units :] + c. Otherwise inner = r * h_prev, and inner @ R[:, 2 * units :].",
        "h = update * h_prev + (1 - update) * candidate: z says how much *stays*.",
    ),
    cases=(_AFTER, _BEFORE),
    draw=_draw,
    answers=_answers,
    keras=_keras,
    sizes=lambda v: {"the batch size": _N, "the number of units": _UNITS},
    blocks={"gates": _GATES},
    slips=(
        Slip(
            "z and 1 - z have changed places: z says how much of h_prev stays. "
            "(PyTorch "
            "has it the same way; some papers have it the other way round.)",
            (
                (
                    "np.multiply(update, h_prev, out=h)",
                    "np.multiply(1 - update, h_prev, out=h)",
                ),
                ("h += (1 - update) * candidate", "h += update * candidate"),
            ),
        ),
        Slip(
            "The order of the gates is r, z, g here, PyTorch's; in Keras it is z, r, "
            "g.",
            (
                (
                    "update, reset = z[:, :units], z[:, units : 2 * units]",
                    "reset, update = z[:, :units], z[:, units : 2 * units]",
                ),
            ),
        ),
        Slip(
            "The bias inside, c, is missing: r multiplies it as well.",
            (("inner += weights.inner_bias", "pass"),),
        ),
        Slip(
            "The reset gate is missing.",
            (
                ("candidate += reset * inner", "candidate += inner"),
                ("np.multiply(reset, h_prev, out=inner)", "np.copyto(inner, h_prev)"),
            ),
        ),
        Slip(
            "With reset_after=False, r multiplies h_prev before the product with R_g.",
            (
                ("np.multiply(reset, h_prev, out=inner)", "np.copyto(inner, h_prev)"),
                (
                    "candidate += dropped_matmul(\n            inner",
                    "candidate += reset * dropped_matmul(\n            inner",
                ),
            ),
        ),
        Slip(
            "The bias is missing.", (("        z += weights.bias\n", "        pass\n"),)
        ),
        Slip(
            "The candidate's tanh is missing.",
            (("np.tanh(candidate, out=candidate)", "pass"),),
        ),
        Slip(
            "What stays of h_prev is missing: z * h_prev.",
            (("np.multiply(update, h_prev, out=h)", "h[...] = 0"),),
        ),
    ),
)

BACKWARD = Exercise(
    name="gru_step_backward",
    title="h_prev is used many times",
    text=f"""\
Given: dh (N, units); residuals: gates (z, r, g activated), h_prev, inner (the factor
of r), kept (empty here); weights.

{_FORMULA}

{_WEIGHTS}

With reset_after, inner is h_prev @ R_g + c, else r * h_prev. From the last line
to the first: a product hands to each factor its own gradient times the other. h_prev
is in the last line, in z, in r, and in g: four gradients, which add up.

Return (d_input, d_recurrent, dh_prev): d_input (N, 3 * units), for x @ K + b;
d_recurrent, for h_prev @ R (+ c): the same in the blocks of z and r, another in that
of g (without reset_after there is no such product of all blocks; return d_input
again).""",
    module="minikeras.ops.gru",
    show=(
        "GRUWeights",
        "GRUStep",
        "gru_step",
        "_activate_gates",
        "gru_step_grad",
        "_gates_grad",
    ),
    blanks=(
        Blank(
            "gru_step_grad",
            "return d_input, d_recurrent, dh_prev",
            keep=("gates, h_prev, inner, kept = residuals",),
        ),
        Blank(
            "_gates_grad",
            "the library's helper; use it or take it out",
        ),
    ),
    hints=(
        "From h = z * h_prev + (1 - z) * g: dz = dh * (h_prev - g), dg = dh * (1 - z), "
        "and a first part dh_prev = dh * z.",
        "da_g = dg * (1 - g * g) is the gradient inside of the tanh. reset_after: dr = "
        "da_g * inner, d_inner = da_g * r. Otherwise d_inner = da_g @ R_g.T, dr = "
        "d_inner * h_prev, and dh_prev += d_inner * r.",
        "da_z = dz * z * (1 - z), da_r = dr * r * (1 - r). d_input = [da_z, da_r, "
        "da_g]; d_recurrent = [da_z, da_r, d_inner] with reset_after.",
        "reset_after: dh_prev += d_recurrent @ R.T. Otherwise dh_prev += [da_z, da_r] "
        "@ "
        "R[:, : 2 * units].T",
    ),
    cases=(_AFTER, _BEFORE),
    draw=_draw,
    answers=_gradients,
    outputs=_outputs,
    keras=_keras,
    sizes=lambda v: {"the batch size": _N, "the number of units": _UNITS},
    blocks={"d_input": _GATES, "d_recurrent": _GATES},
    renamed={"d_input": "z", "dh_prev": "h_prev", "d_recurrent": ""},
    slips=(
        Slip(
            "The direct way is missing in dh_prev: dh * z.",
            (
                ("dh_prev = dh * update", "dh_prev = 0 * dh"),
                (
                    "np.subtract(dh, dh_prev, out=d_candidate)",
                    "np.subtract(dh, dh * update, out=d_candidate)",
                ),
            ),
        ),
        Slip(
            "The way through the gates is missing in dh_prev: h_prev @ R.",
            (
                (
                    "dh_prev += dropped_matmul_dx(d_recurrent, kernel, weights.masks)",
                    "pass",
                ),
                (
                    "dh_prev += dropped_matmul_dx(d_gates, kernel",
                    "dropped_matmul_dx(d_gates, kernel",
                ),
            ),
        ),
        Slip(
            "The sign of the gradient of z is wrong: z's factor in h is h_prev - g.",
            (
                (
                    "np.multiply(dh, h_prev - candidate, out=d_update)",
                    "np.multiply(dh, candidate - h_prev, out=d_update)",
                ),
            ),
        ),
        Slip(
            "In the gradient of z the candidate is forgotten: z is in (1 - z) * g too.",
            (
                (
                    "np.multiply(dh, h_prev - candidate, out=d_update)",
                    "np.multiply(dh, h_prev, out=d_update)",
                ),
            ),
        ),
        Slip(
            "The slope of the candidate's tanh is missing.",
            (("d_candidate *= 1 - candidate * candidate", "pass"),),
        ),
        Slip(
            "The slopes of the sigmoids of z and r are missing.",
            (("d_gates *= (1 - gates) * gates", "pass"),),
        ),
        Slip(
            "The block of g in d_recurrent is that of d_input: inner is multiplied by "
            "r "
            "before it reaches the candidate, so r is missing.",
            (
                (
                    "np.multiply(d_candidate, reset, out=d_recurrent[:, 2 * units :])",
                    "np.copyto(d_recurrent[:, 2 * units :], d_candidate)",
                ),
            ),
        ),
        Slip(
            "With reset_after=False the way of h_prev through r * h_prev is missing.",
            (("dh_prev += d_inner * reset", "pass"),),
        ),
    ),
)
