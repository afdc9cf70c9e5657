"""The same model in minikeras and in Keras, side by side: `fit` against `fit`.

    check_fit(
        lambda k: compiled(k.Sequential([k.layers.Dense(2)]), loss="mse"),
        x, y, epochs=3,
    )

`make(k)` makes the model with `k`, which is `minikeras` and then `keras`. Both get the
same weights and the same seeds; everything a run gives is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minikeras
from minikeras import naming, tree
from parity_tests import oracle, runner
from parity_tests.functions import default_dtype
from parity_tests.oracle import keras
from parity_tests.records import parity_case
from parity_tests.tolerance import (
    assert_close_to_reference,
    assert_equal,
    assert_trajectory_close,
)

Make = Callable[[Any], Any]
LEARNING_RATE = 0.05


class Twins(NamedTuple):
    """A model and its twin, and what `fit` returned for both."""

    ours: Any
    theirs: Any
    history: Any = None
    keras_history: Any = None


def compiled(model: Any, optimizer: Any = "sgd", **options: Any) -> Any:
    """The model, compiled with SGD unless told otherwise."""
    model.compile(optimizer=optimizer, **options)
    return model


def pair(make: Make, seed: int = 0) -> Twins:
    """Both models: names counted from the start, equal seeds, equal random weights."""
    naming.clear_session()
    oracle.clear_session()
    made = []
    for library in (minikeras, keras):
        library.utils.set_random_seed(seed)
        made.append(make(library))
    twins = Twins(*made)
    if twins.theirs.built:
        randomize(twins.theirs, seed)
        synchronize(twins)
    return twins


def randomize(model: Any, seed: int = 0) -> None:
    """Random values for all float weights of a Keras model: no bias stays zero."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = variable.numpy()
        if value.dtype.kind == "f":
            noise = rng.standard_normal(value.shape) * 0.3
            positive = "variance" in variable.path
            value = np.abs(value + noise) + 0.1 if positive else value + noise
            variable.assign(value.astype(variable.dtype))


def synchronize(twins: Twins) -> None:
    """All variables of our model, seed states included, get the values of Keras's."""
    runner.set_state(twins.ours, oracle.variables_of(twins.theirs))


def per_library(value: Any, library: Any) -> Any:
    """`value(library)` if it is a `PerLibrary`, else `value`."""
    return value.make(library) if isinstance(value, PerLibrary) else value


class PerLibrary:
    """An argument that differs: `PerLibrary(lambda k: [k.callbacks.History()])`."""

    def __init__(self, make: Callable[[Any], Any]):
        self.make = make


def call(model: Any, method: str, *args: Any, seed: int = 0, **kwargs: Any) -> Any:
    """One method of one model, after seeding."""
    library = keras if isinstance(model, keras.Model) else minikeras
    library.utils.set_random_seed(seed)
    if method in ("fit", "evaluate", "predict"):
        kwargs.setdefault("verbose", 0)
    args = tuple(per_library(a, library) for a in args)
    kwargs = {key: per_library(value, library) for key, value in kwargs.items()}
    return getattr(model, method)(*args, **kwargs)


def check_fit(
    make: Make,
    *args: Any,
    dtype: str = "float64",
    eager: bool = True,
    seed: int = 0,
    steps: int = 10,
    precision: str | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> Twins:
    """`fit` of both: history, weights, optimizer and metrics afterwards.

    Args:
        make: makes and compiles the model.
        args, kwargs: of `fit`; `PerLibrary` where the two need different objects.
        dtype: the default dtype around it all.
        eager: whether Keras runs its steps one by one, and minikeras does as if; for
            few steps that is faster than tracing them.
        steps: about how many updates there are; more are allowed more rounding.
        name: for the report.
    """
    with default_dtype(dtype):
        twins = pair(make, seed)
        for model in twins[:2]:
            model.run_eagerly = eager
        histories = [
            call(model, "fit", *args, seed=seed, **kwargs)
            for model in (twins.ours, twins.theirs)
        ]
        with parity_case("model", name or type(twins.ours).__name__, dtype):
            compare_histories(*histories, steps=steps)
            compare_variables(twins, steps=steps, precision=precision)
    return Twins(twins.ours, twins.theirs, *histories)


def compare_histories(history: Any, keras_history: Any, *, steps: int = 10) -> None:
    """Epochs, keys in their order, and values."""
    assert_equal(history.epoch, keras_history.epoch, name="epochs")
    compare_logs(history.history, keras_history.history, steps=steps)


def compare_logs(logs: Any, expected: Any, *, steps: int = 1) -> None:
    """What `evaluate(return_dict=True)` and the like return: keys, order, values."""
    assert_equal(list(logs), list(expected), name="names of the logs")
    for key in expected:
        compare_numbers(logs[key], expected[key], name=key, steps=steps)


def compare_numbers(
    ours: Any, theirs: Any, *, name: str = "result", steps: int = 1
) -> None:
    """Numbers, lists of numbers or arrays, in one structure, after some steps."""
    assert_equal(tree.is_nested(ours), tree.is_nested(theirs), name=f"{name}: nesting")
    flat, expected = tree.flatten(ours), tree.flatten(theirs)
    assert_equal(len(flat), len(expected), name=f"{name}: how many")
    dtype = keras.config.floatx()
    for i, (a, b) in enumerate(zip(flat, expected, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        if b.dtype.kind == "f":
            # Python floats hold numbers that were computed in floatx.
            a, b = a.astype(dtype), b.astype(dtype)
        scale = max(np.abs(b).max(initial=0), 1) if np.isfinite(b).all() else None
        assert_trajectory_close(a, b, steps=steps, name=f"{name}[{i}]", scale=scale)


def compare_variables(
    twins: Twins, *, steps: int = 10, precision: str | None = None
) -> None:
    """Weights, seed states, optimizer and metric variables."""
    ours, theirs = oracle_order(twins.ours), oracle_order(twins.theirs)
    assert_equal(
        [(path, a.shape) for path, a in ours],
        [(path, a.shape) for path, a in theirs],
        name="variables",
    )
    for (path, a), (_, b) in zip(ours, theirs, strict=True):
        assert_equal(a.dtype, b.dtype, name=f"dtype of {path}")
        scale = None
        if b.dtype.kind == "f":
            a, b = a.astype(precision or a.dtype), b.astype(precision or b.dtype)
            scale = max(np.abs(b).max(initial=0), 1)
        assert_trajectory_close(a, b, steps=steps, name=path, scale=scale)


def oracle_order(model: Any) -> list[tuple[str, np.ndarray]]:
    """(path, value) of the model's variables, then those of its optimizer."""
    variables = list(model.variables)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        variables += list(optimizer.variables)
    return [(v.path, np.asarray(v.numpy())) for v in variables]


def gradients(model: Any, x: Any, y: Any, sample_weight: Any = None) -> list[Any]:
    """The gradients that a training step hands to the optimizer; None where none."""
    found: list[Any] = []
    optimizer = model.optimizer
    if isinstance(model, keras.Model):
        model.run_eagerly = True

        def record(pairs: Any) -> None:
            found.extend(oracle.arrays(g) for g, _ in pairs)

        optimizer.apply_gradients = record
    else:

        def apply(grads: Any, variables: Any = None) -> None:
            found.extend(grads.get(v) for v in variables)

        optimizer.apply = apply
    try:
        call(model, "train_on_batch", x, y, sample_weight=sample_weight)
    finally:
        name = "apply_gradients" if isinstance(model, keras.Model) else "apply"
        delattr(optimizer, name)
    return found


def compare_gradients(
    twins: Twins, x: Any, y: Any, sample_weight: Any = None, *, k: int | None = None
) -> None:
    """Every gradient of one training step. No gradient and zero are the same.

    The scale is the largest gradient of the model: what reaches an early layer is a
    sum of numbers as large as those of a later one. Where the examples cancel each
    other, it is the largest gradient of a single one.
    """
    before = oracle.variables_of(twins.theirs)
    ours = gradients(twins.ours, x, y, sample_weight)
    theirs = gradients(twins.theirs, x, y, sample_weight)
    variables = twins.theirs.trainable_variables
    assert_equal(len(ours), len(theirs), name="how many gradients")
    oracle.set_variables(twins.theirs, before)
    runner.set_state(twins.ours, before)
    dtype = variables[0].dtype
    expected = [
        np.zeros(v.shape, dtype) if g is None else g
        for v, g in zip(variables, theirs, strict=True)
    ]
    scale = max(float(np.abs(g).max(initial=0)) for g in expected)

    def largest_alone() -> float:
        return _largest_of_one_example(twins.theirs, x, y, before)

    for variable, a, b in zip(variables, ours, expected, strict=True):
        a = np.zeros(b.shape, dtype) if a is None else np.asarray(a)
        assert_close_to_reference(
            a,
            b,
            largest_alone,
            name=f"gradient of {variable.path}",
            scale=scale,
            k=k or sum(g.size for g in expected),
            depth="gradients",
        )


def _largest_of_one_example(model: Any, x: Any, y: Any, state: list) -> float:
    """The largest gradient that a Keras model has for any one of the examples."""
    largest = 0.0
    for i in range(len(tree.flatten(x)[0])):
        one = [tree.map_structure(lambda a, i=i: a[i : i + 1], a) for a in (x, y)]
        found = [
            np.abs(g).max(initial=0) for g in gradients(model, *one) if g is not None
        ]
        largest = max([largest, *map(float, found)])
        oracle.set_variables(model, state)
    return largest
