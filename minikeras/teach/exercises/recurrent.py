"""Exercises: one step of a SimpleRNN, and of an LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip, frozen, named

_GATES = ("i", "f", "g", "o")
_N, _UNITS = 5, 3


# --- One step of a SimpleRNN ----------------------------------------------------------


def _draw_simple(rng: np.random.Generator, case: str) -> dict[str, Any]:
    return {
        "z": rng.normal(size=(_N, _UNITS)),
        "h_prev": rng.normal(size=(_N, _UNITS)),
        "kernel": rng.normal(size=(_UNITS, _UNITS)),
        "dh": rng.normal(size=(_N, _UNITS)),
    }


def _simple(ns: Any, v: Any) -> Any:
    return ns.simple_rnn_step(v.z + 0.0, v.h_prev, v.kernel)


def _simple_gradients(ns: Any, v: Any) -> dict[str, Any]:
    residuals = frozen(_simple(ns, v))
    result = ns.simple_rnn_step_grad(v.dh, residuals, v.kernel)
    return named("simple_rnn_step_grad", result, "dz", "dh_prev")


def _keras_simple(keras: Any, v: Any) -> dict[str, Any]:
    return {"h": keras.ops.tanh(v.z + keras.ops.matmul(v.h_prev, v.kernel))}


_SIZES = {"the batch size": _N, "the number of units": _UNITS}

SIMPLE_STEP = Exercise(
    name="simple_rnn_step_backward",
    title="through tanh and one product",
    text="""\
Given: dh (N, units), the gradient for the new state; residuals.y, which is the new
state h itself; recurrent_kernel R (units, units).

    h = tanh(z + h_prev @ R + b)

z is the input's share, x @ kernel, made before. Through tanh to what is inside of it,
and from there to the two things that were added: the same gradient for each, since a
sum has the slope 1 for each term. For h_prev it goes on through the product.

Return (dz, dh_prev), both (N, units). `recurrent_masks`, `activation` and `out` are
for dropout and other activations; the check leaves them at None.""",
    module="minikeras.ops.simple_rnn",
    show=("SimpleRNNStep", "simple_rnn_step", "simple_rnn_step_grad"),
    blanks=(
        Blank(
            "simple_rnn_step_grad",
            "return dz, dh_prev",
            keep=("y, inner = residuals",),
        ),
    ),
    hints=(
        "You did the slope of tanh before: it needs only the output.",
        "h_prev[n, k] is in z[n, u] for all u, with the factor R[k, u]: as dx of "
        "Dense.",
        "dz = dh * (1 - y * y); return dz, dz @ recurrent_kernel.T",
    ),
    cases=("ordinary numbers",),
    draw=_draw_simple,
    answers=_simple_gradients,
    outputs=lambda ns, v: {"h": _simple(ns, v).y},
    keras=_keras_simple,
    sizes=lambda v: _SIZES,
    slips=(
        Slip(
            "The slope of tanh is missing, 1 - h**2.",
            (("dz *= dh", "dz[...] = dh"),),
        ),
        Slip(
            "dh is missing: only the slope of tanh is there.", (("dz *= dh", "pass"),)
        ),
        Slip(
            "R is to be transposed: dz @ R.T.",
            (
                (
                    "dropped_matmul_dx(dz, recurrent_kernel, recurrent_masks)",
                    "dz @ recurrent_kernel",
                ),
            ),
        ),
    ),
)


# --- One step of an LSTM --------------------------------------------------------------


def _draw_step(rng: np.random.Generator, case: str) -> dict[str, Any]:
    return {
        "z": rng.normal(size=(_N, 4 * _UNITS)),
        "c_prev": rng.normal(size=(_N, _UNITS)),
        "dh": rng.normal(size=(_N, _UNITS)),
        "dc": rng.normal(size=(_N, _UNITS)),
    }


def _step(ns: Any, v: Any) -> tuple[Any, Any]:
    result = ns.lstm_gates(v.z, v.c_prev)
    return tuple(named("lstm_gates", result, "(h, c)", "residuals").values())


def _step_outputs(ns: Any, v: Any) -> dict[str, Any]:
    states, _ = _step(ns, v)
    return named("lstm_gates", states, "h", "c")


def _step_answers(ns: Any, v: Any) -> dict[str, Any]:
    states, kept = _step(ns, v)
    gates = getattr(kept, "gates", None)
    return {**named("lstm_gates", states, "h", "c"), "gates": gates}


def _step_gradients(ns: Any, v: Any) -> dict[str, Any]:
    _, residuals = _step(ns, v)
    result = ns.lstm_gates_grad(v.dh, v.dc, frozen(residuals))
    return named("lstm_gates_grad", result, "dz", "dc_prev")


def _keras_step(keras: Any, v: Any) -> dict[str, Any]:
    """The cell itself, with kernels that hand z on as it is."""
    cell = keras.layers.LSTMCell(_UNITS, dtype="float64")
    cell.build((_N, 4 * _UNITS))
    one = np.eye(4 * _UNITS)
    none = np.zeros((_UNITS, 4 * _UNITS))
    weights = [one, none, np.zeros(4 * _UNITS)]
    seeds = [s.value for s in cell.non_trainable_variables]
    states = [keras.ops.zeros_like(v.c_prev), v.c_prev]
    (h, (_, c)), _ = cell.stateless_call(weights, seeds, v.z, states)
    return {"h": h, "c": c}


_LSTM = """\
z (N, 4 * units) has the pre-activations, `x @ kernel + h_prev @ R + b`, in four
blocks side by side, in Keras's order i, f, g, o (g, the candidate, is called c there):

    i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o)
    g = tanh(z_g)
    c = f * c_prev + i * g
    h = o * tanh(c)"""
_REST = """\
`activations` and `out` are for other activations and for speed; the check leaves
them at None. `column_blocks(4 * units, 4)` gives the four slices."""
_LSTM_SHOW = ("LSTMGates", "LSTMBuffers", "lstm_gates")

LSTM_FORWARD = Exercise(
    name="lstm_step_forward",
    title="four gates",
    text=f"""\
Given: z (N, 4 * units), c_prev (N, units).

{_LSTM}

{_REST} `logistic` is the sigmoid.

Return (h, c), LSTMGates(gates, c_prev, a): gates (N, 4 * units), the activated
i, f, g, o in their places, and a = tanh(c).""",
    module="minikeras.ops.lstm",
    show=(*_LSTM_SHOW, "_activate"),
    blanks=(
        Blank("lstm_gates", "return (h, c), LSTMGates(gates, c_prev, a)"),
        Blank(
            "_activate",
            "the library's helper; use it or take it out",
            doc="Fills `gates` with the activated blocks of z, returns the residuals.",
        ),
    ),
    hints=(
        "i, f, g, o = (z[:, block] for block in column_blocks(z.shape[-1], 4))",
        "Each gate is between 0 and 1 and multiplies something: f what was in the "
        "cell, "
        "i what may be added (the candidate g), o what is let out.",
        "gates = np.concatenate([i, f, g, o], axis=-1) after the activations; c = f * "
        "c_prev + i * g; a = np.tanh(c); h = o * a",
    ),
    cases=("ordinary numbers",),
    draw=_draw_step,
    answers=_step_answers,
    keras=_keras_step,
    sizes=lambda v: _SIZES,
    blocks={"gates": _GATES},
    slips=(
        Slip(
            "The order of the gates is i, f, o, g here; in Keras the candidate is "
            "third.",
            (("i, f, g, o = (gates", "i, f, o, g = (gates"),),
        ),
        Slip(
            "The input and the forget gate have changed places.",
            (("i, f, g, o = (gates", "f, i, g, o = (gates"),),
        ),
        Slip(
            "h is o * c: the tanh of the cell state is missing.",
            (("np.multiply(o, a, out=h)", "np.multiply(o, c, out=h)"),),
        ),
        Slip(
            "The forget gate is missing: c_prev is kept as a whole.",
            (("np.multiply(f, c_prev, out=c)", "np.copyto(c, c_prev)"),),
        ),
        Slip("The input gate is missing.", (("c += i * g", "c += g"),)),
        Slip(
            "The candidate went through the sigmoid; it has a tanh.",
            (("gates[:, blocks[2]] = candidate", "pass"),),
        ),
        Slip(
            "What was in the cell is missing: f * c_prev.",
            (("np.multiply(f, c_prev, out=c)", "c[...] = 0"),),
        ),
    ),
)

LSTM_BACKWARD = Exercise(
    name="lstm_step_backward",
    title="back through four gates",
    text=f"""\
Given: dh and dc (N, units), the gradients for h and for c (the latter without its way
through h); residuals: gates, c_prev, a = tanh(c).

{_LSTM}

Go through it from the last line to the first. A product hands to each factor its own
gradient times the other factor. Mind that c is used twice: by h, and by the next step,
which is where the dc that is given comes from. So two gradients arrive at c.

{_REST}

Return (dz, dc_prev): dz (N, 4 * units), in the same four blocks.""",
    module="minikeras.ops.lstm",
    show=(*_LSTM_SHOW, "lstm_gates_grad"),
    blanks=(
        Blank(
            "lstm_gates_grad",
            "return dz, dc_prev",
            keep=("gates, c_prev, a, inner = residuals",),
        ),
    ),
    hints=(
        "From h = o * tanh(c): do = dh * a, and c gets dh * o * (1 - a * a) on top of "
        "dc.",
        "From c = f * c_prev + i * g, with that total dc: df = dc * c_prev, dc_prev = "
        "dc * f, di = dc * g, dg = dc * i.",
        "Each dk passes its activation: dk * k * (1 - k) for the sigmoids i, f, o; "
        "dg * (1 - g * g).",
        "dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), "
        "do * o * (1 - o)], axis=-1)",
    ),
    cases=("ordinary numbers",),
    draw=_draw_step,
    answers=_step_gradients,
    outputs=_step_outputs,
    keras=_keras_step,
    sizes=lambda v: _SIZES,
    blocks={"dz": _GATES},
    slips=(
        Slip(
            "The way through h is missing in dc: c also acts through h = o * tanh(c).",
            (("dc = dc + dh * o * (1 - a * a)", "dc = dc"),),
        ),
        Slip(
            "The dc that came from the next step is missing: it is to be added to what "
            "comes through h.",
            (("dc = dc + dh * o * (1 - a * a)", "dc = dh * o * (1 - a * a)"),),
        ),
        Slip(
            "In the way through h the slope of tanh is missing: 1 - tanh(c)**2.",
            (("dc = dc + dh * o * (1 - a * a)", "dc = dc + dh * o"),),
        ),
        Slip(
            "In the way through h the output gate is missing.",
            (("dc = dc + dh * o * (1 - a * a)", "dc = dc + dh * (1 - a * a)"),),
        ),
        Slip(
            "The slopes of the activations are missing: these are the gradients of the "
            "gates, not of their pre-activations.",
            (("        dz *= slope\n", ""),),
        ),
        Slip(
            "The slope of g is that of a sigmoid; g is a tanh, 1 - g**2.",
            (("        slope[:, blocks[2]] = 1 - g * g\n", ""),),
        ),
        Slip(
            "It is dc * i, and must be dc * f: c_prev's factor in c.",
            (("dc_prev = dc * f", "dc_prev = dc * i"),),
        ),
        Slip(
            "The forget gate is missing: c_prev's factor in c is f.",
            (("dc_prev = dc * f", "dc_prev = dc"),),
        ),
        Slip(
            "i and g have changed places: the gradient of a factor is the *other* "
            "factor.",
            (
                ("np.multiply(dc, g, out=di)", "np.multiply(dc, i, out=di)"),
                ("np.multiply(dc, i, out=dg)", "np.multiply(dc, g, out=dg)"),
            ),
        ),
        Slip(
            "The block of o has dh * c: o's factor in h is tanh(c).",
            (("np.multiply(dh, a, out=do)", "np.multiply(dh, np.arctanh(a), out=do)"),),
        ),
    ),
)
