"""The batteries for what is updated step by step: optimizers, schedules, metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.variables import Variable
from parity_tests import oracle, runner
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras, tf
from parity_tests.records import parity_case
from parity_tests.tolerance import assert_close, assert_equal

Arrays = Any


def gradient_stream(
    shapes: Sequence[tuple[int, ...]], steps: int, dtype: str, seed: int = 0
) -> list[list[np.ndarray]]:
    """Gradients for `steps` updates, each of another magnitude, 10**U(-6, 2).

    Ordinary gradients around 1 do not show where an epsilon stands.
    """
    rng = np.random.default_rng(seed)
    stream = []
    for _ in range(steps):
        gradients = []
        for shape in shapes:
            size = 10.0 ** rng.uniform(-6, 2)
            gradient = np.asarray(rng.standard_normal(shape) * size)
            gradient[rng.random(shape) < 0.1] = 0.0
            gradients.append(gradient.astype(dtype))
        stream.append(gradients)
    return stream


def check_optimizer(
    make: Callable[[], Any],
    keras_make: Callable[[], Any],
    *,
    dtype: str,
    shapes: Sequence[tuple[int, ...]] = ((3, 4), (4,), ()),
    steps: int = 5,
    seed: int = 0,
    k: int = 16,
    prepare: Callable[[Any, list[Any]], None] | None = None,
    name: str | None = None,
    scale: float = 0.0,
) -> None:
    """The same gradients for both: weights, state and iterations after every step.

    Args:
        make, keras_make: construct the optimizer; called under a default of `dtype`.
        shapes: of the variables.
        steps: how many updates, re-synchronised after each.
        seed: of weights and gradients.
        k: the length of the sums inside (norms).
        prepare: `prepare(optimizer, variables)` before the first step, for both: sets
            constraints or excludes variables from weight decay.
        name: for the report; by default the class name.
        scale: the least size of the numbers that the state is the sum of, where they
            cancel; the weights are then measured by what they were before, too.
    """
    rng = np.random.default_rng(seed)
    start = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    names = [f"w{i}" for i in range(len(shapes))]
    pairs = list(zip(start, names, strict=True))
    with default_dtype(dtype):
        ours = [Variable(w, name=n) for w, n in pairs]
        theirs = [keras.Variable(w, name=n) for w, n in pairs]
        optimizer, reference = make(), keras_make()
        optimizer.build(ours)
        reference.build(theirs)
        if prepare is not None:
            prepare(optimizer, ours)
            prepare(reference, theirs)
        with parity_case("optimizer", name or type(optimizer).__name__, dtype):
            for step, gradients in enumerate(
                gradient_stream(shapes, steps, dtype, seed)
            ):
                before = [abs(v.numpy()) for v in ours] if scale else []
                optimizer.apply(list(map(np.copy, gradients)), ours)
                reference.apply([tf.constant(g) for g in gradients], theirs)
                after = [*ours, *optimizer.variables]
                expected = [*theirs, *reference.variables]
                _compare_variables(
                    after, expected, f"step {step + 1}", k, before, scale
                )


def _compare_variables(
    ours: list,
    theirs: list,
    when: str,
    k: int,
    before: list[np.ndarray],
    least_scale: float,
) -> None:
    """Values of variables, in order; then ours get the values of theirs.

    Where `before` is given, it is part of the scale of the weights.
    """
    assert_equal(
        [tuple(v.shape) for v in ours],
        [tuple(v.shape) for v in theirs],
        name=f"shapes of the variables, {when}",
    )
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        value, name = b.value.numpy(), f"{b.path}, {when}"
        scale = abs(value).max(initial=0)
        least = before[i].max(initial=0) if i < len(before) else least_scale
        scale = max(scale, least)
        assert_close(a.numpy(), value, name=name, scale=scale, k=k, depth="weights")
        a.assign(value)


def check_schedule(
    make: Callable[[], Any],
    keras_make: Callable[[], Any],
    *,
    steps: Sequence[int] = (0, 1, 2, 5, 9, 10, 11, 99, 1000, 12345),
    dtype: str = "float32",
    name: str | None = None,
) -> None:
    """A learning rate schedule at some steps."""
    with default_dtype(dtype):
        ours, theirs = make(), keras_make()
        with parity_case("schedule", name or type(ours).__name__, dtype):
            for step in steps:
                expected = np.asarray(theirs(step))
                actual = np.asarray(ours(step))
                assert_close(actual, expected, name=f"at step {step}", k=16)


def check_metric(
    make: Callable[[], Any],
    keras_make: Callable[[], Any],
    updates: Sequence[tuple],
    *,
    dtype: str,
    name: str | None = None,
) -> None:
    """A metric after each of some updates: result and variables; then reset.

    Args:
        make, keras_make: construct the metric; called under a default of `dtype`.
        updates: the positional arguments of `update_state`, one tuple per update, such
            as `(y_true, y_pred, sample_weight)`. Floats are cast to `dtype`.
        name: for the report; by default the class name.
    """
    with default_dtype(dtype):
        ours, theirs = make(), keras_make()
        with parity_case("metric", name or type(ours).__name__, dtype):
            for i, arguments in enumerate(updates):
                arguments = runner.frozen(runner.cast(list(arguments), dtype))
                size = max(a.size for a in tree.flatten(arguments) if a is not None)
                ours.update_state(*arguments)
                theirs.update_state(*oracle.tensors(arguments))
                when = f"after update {i + 1}"
                _compare_results(ours, theirs, when, size * (i + 1))
                for a, b in zip(ours.variables, theirs.variables, strict=True):
                    label = f"{b.path} {when}"
                    assert_close(
                        a.numpy(), b.value.numpy(), name=label, k=size * (i + 1)
                    )
            ours.reset_state()
            theirs.reset_state()
            _compare_results(ours, theirs, "after reset_state", 1)


def _compare_results(ours: Any, theirs: Any, when: str, k: int) -> None:
    actual = runner.by_name("result", tree.map_structure(np.asarray, ours.result()))
    expected = runner.by_name("result", oracle.arrays(theirs.result()))
    assert_equal(sorted(actual), sorted(expected), name=f"results {when}")
    for name, value in expected.items():
        assert_close(actual[name], value, name=f"{name} {when}", k=k)
