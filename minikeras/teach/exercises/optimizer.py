"""Exercises: a step of SGD with momentum, and of Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Blank, Exercise, Slip

_PLAIN, _MOMENTUM, _NESTEROV = "plain", "momentum", "nesterov"
_RATE, _MU = 0.125, 0.75


def _draw_sgd(rng: np.random.Generator, case: str) -> dict[str, Any]:
    value, gradient, velocity = rng.normal(size=(3, 4, 3))
    return {
        "value": value,
        "gradient": gradient,
        "velocity": None if case == _PLAIN else velocity,
        "nesterov": case == _NESTEROV,
    }


def _sgd(ns: Any, v: Any) -> dict[str, Any]:
    ns.sgd_step(
        v.value,
        v.gradient,
        None,
        v.velocity,
        rate=_RATE,
        momentum=_MU,
        nesterov=v.nesterov,
    )
    found = {"value": v.value}
    return found if v.velocity is None else {**found, "velocity": v.velocity}


def _keras_sgd(keras: Any, v: Any) -> dict[str, Any]:
    weight = keras.Variable(v.value, dtype="float64")
    gradient = keras.ops.convert_to_tensor(v.gradient)
    keras.optimizers.SGD(_RATE).apply([gradient], [weight])
    return {"value": keras.ops.convert_to_tensor(weight)}


_IN_PLACE = """\
An optimizer changes the weights it is given: write with value -= ..., value[...] =
..., not value = ..., which only gives a new meaning to the name."""

SGD = Exercise(
    name="sgd_step",
    title="a step downhill; momentum",
    text=f"""\
Given: value, the weights; gradient; velocity, or None; three numbers: rate, momentum,
nesterov. (`squares` is for other optimizers.)

    without velocity   value <- value - rate * gradient
    with velocity      velocity <- momentum * velocity - rate * gradient
                       value <- value + velocity
    nesterov           value <- value + momentum * velocity - rate * gradient,
                       with the new velocity

{_IN_PLACE} Do not change the gradient.""",
    module="minikeras.optimizers.sgd",
    show=("sgd_step",),
    blanks=(Blank("sgd_step", "changes value and velocity; returns nothing"),),
    hints=(
        "Three cases, and the velocity comes first: value uses the new one.",
        "velocity *= momentum; velocity -= rate * gradient",
        "value += momentum * velocity - rate * gradient if nesterov else velocity",
    ),
    cases=(_PLAIN, _MOMENTUM, _NESTEROV),
    draw=_draw_sgd,
    answers=_sgd,
    keras=_keras_sgd,
    writable=("value", "velocity"),
    slips=(
        Slip(
            "It has not changed.",
            (
                ("    value -= step", "    return"),
                ("value += ahead", "pass"),
                ("value += velocity", "pass"),
            ),
        ),
        Slip(
            "It goes uphill: the gradient is to be subtracted.",
            (
                ("value -= step", "value += step"),
                ("velocity -= step", "velocity += step"),
                ("ahead -= step", "ahead += step"),
            ),
        ),
        Slip(
            "The learning rate is missing.",
            (("step = gradient * rate", "step = gradient * 1"),),
        ),
        Slip(
            "With nesterov this is the step of plain momentum.",
            (("if nesterov:", "if False:"),),
        ),
        Slip(
            "The old velocity was not multiplied by momentum.",
            (("velocity *= momentum", "pass"),),
        ),
    ),
)


# --- Adam -----------------------------------------------------------------------------

_FIRST, _LATER, _AMSGRAD = "the first step", "step 10", "amsgrad"
_BETA_1, _BETA_2, _EPSILON = 0.875, 0.96875, 2.0**-10  # what float32 holds exactly


def _draw_adam(rng: np.random.Generator, case: str) -> dict[str, Any]:
    value, gradient, m = rng.normal(size=(3, 4, 3))
    v = rng.uniform(0.1, 2.0, size=(4, 3))
    step = 1 if case == _FIRST else 10
    if step == 1:
        m, v = np.zeros((4, 3)), np.zeros((4, 3))
    return {
        "value": value,
        "gradient": gradient,
        "momentum": m,
        "velocity": v,
        "largest": rng.uniform(0.1, 2.0, size=(4, 3)) if case == _AMSGRAD else None,
        "step": step,
    }


def _adam(ns: Any, v: Any) -> dict[str, Any]:
    dtype = v.value.dtype.type
    rate = ns.corrected_rate(dtype(_RATE), dtype(_BETA_1), dtype(_BETA_2), v.step)
    ns.adam_step(
        v.value,
        v.gradient,
        None,
        v.momentum,
        v.velocity,
        v.largest,
        rate=rate,
        beta_1=_BETA_1,
        beta_2=_BETA_2,
        epsilon=_EPSILON,
    )
    found = {"rate": np.asarray(rate), "momentum": v.momentum, "velocity": v.velocity}
    return {**found, "value": v.value}


def _keras_adam(keras: Any, v: Any) -> dict[str, Any]:
    optimizer = keras.optimizers.Adam(_RATE, _BETA_1, _BETA_2, _EPSILON)
    weight = keras.Variable(v.value, dtype="float64")
    optimizer.apply([keras.ops.convert_to_tensor(v.gradient)], [weight])
    return {"value": keras.ops.convert_to_tensor(weight)}


ADAM = Exercise(
    name="adam_step",
    title="one step by hand",
    text=f"""\
Given: value, the weights; gradient g; momentum m and velocity v, the state; numbers.
(`squares` is None here, and may be left alone.)

    m <- m + (1 - beta_1) * (g - m)          a running mean of the gradient
    v <- v + (1 - beta_2) * (g**2 - v)       a running mean of its square
    value <- value - rate * m / (sqrt(v) + epsilon)

With amsgrad, velocity_hat is not None: it becomes the larger of itself and the new v,
and takes the place of v in the last line.

m and v began at 0, so after t steps m has only 1 - beta_1**t of its weight, and v
only 1 - beta_2**t. `corrected_rate` makes up for both in one factor of the learning
rate; mind that v is under a root.

{_IN_PLACE} Do not change the gradient.""",
    module="minikeras.optimizers.adam",
    show=("adam_step", "corrected_rate"),
    blanks=(
        Blank(
            "adam_step",
            "changes momentum, velocity, velocity_hat and value; returns nothing",
        ),
        Blank(
            "corrected_rate",
            "the rate, corrected for t = step (1 for the first)",
            doc="The learning rate, corrected for means that began at 0.",
        ),
    ),
    hints=(
        "momentum += (1 - beta_1) * (gradient - momentum), and velocity likewise with "
        "gradient * gradient.",
        "The true mean is m / (1 - beta_1**t), the true mean square v / (1 - "
        "beta_2**t). The step divides by the root of the latter.",
        "return rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)",
        "value -= rate * momentum / (np.sqrt(velocity) + epsilon)",
    ),
    cases=(_FIRST, _LATER, _AMSGRAD),
    draw=_draw_adam,
    answers=_adam,
    keras=_keras_adam,
    writable=("value", "momentum", "velocity", "largest"),
    slips=(
        Slip(
            "The bias correction is missing.",
            (("rate * np.sqrt(1 - power_2) / (1 - power_1)", "rate * 1"),),
        ),
        Slip(
            "The root of 1 - beta_2**t is missing.",
            (("np.sqrt(1 - power_2)", "(1 - power_2)"),),
        ),
        Slip(
            "The correction is upside down: the rate is multiplied by sqrt(1 - "
            "beta_2**t) and divided by 1 - beta_1**t.",
            (
                (
                    "rate * np.sqrt(1 - power_2) / (1 - power_1)",
                    "rate * (1 - power_1) / np.sqrt(1 - power_2)",
                ),
            ),
        ),
        Slip(
            "The step is counted from 0; it begins at 1.",
            (("rate.dtype.type(step)", "rate.dtype.type(step - 1)"),),
        ),
        Slip(
            "epsilon is inside of the root: sqrt(v) + epsilon.",
            (
                (
                    "np.sqrt(velocity, out=work)\n    work += epsilon",
                    "np.sqrt(velocity + epsilon, out=work)",
                ),
            ),
        ),
        Slip("epsilon is missing.", (("    work += epsilon\n", ""),)),
        Slip(
            "It is divided by v: the root is missing.",
            (("np.sqrt(velocity, out=work)", "np.copyto(work, velocity)"),),
        ),
        Slip(
            "The gradient takes the place of its running mean m in the step.",
            (("step = momentum * rate", "step = gradient * rate"),),
        ),
        Slip(
            "It is a running mean of g, and must be one of g**2.",
            (("np.multiply(gradient, gradient, out=work) if", "gradient if"),),
        ),
        Slip(
            "beta and 1 - beta have changed places: beta is what is kept of the old.",
            (
                ("work *= 1 - beta_1", "work *= beta_1"),
                ("work *= 1 - beta_2", "work *= beta_2"),
            ),
        ),
        Slip(
            "With amsgrad the largest v so far is to be used.",
            (("if velocity_hat is not None:", "if False:"),),
        ),
        Slip(
            "It goes uphill: the step is to be subtracted.",
            (("value -= step", "value += step"),),
        ),
        Slip(
            "It has not changed: `value = ...` gives the name a new meaning, `value -= "
            "...` changes the weights.",
            (("value -= step", "value = value - step"),),
        ),
    ),
)
