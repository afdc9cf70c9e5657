"""The batteries for functions and losses; see harness.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minikeras.utils import gradcheck
from parity_tests import oracle, runner
from parity_tests.records import parity_case
from parity_tests.referee import function_scale
from parity_tests.tolerance import assert_close_to_reference, assert_equal

Arrays = Any


@contextlib.contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """What is made inside computes in `dtype`, in both libraries."""
    with runner.default_dtype(dtype), oracle.default_dtype(dtype):
        yield


def check_function(
    function: Any,
    keras_function: Callable[..., Any],
    *inputs: Arrays,
    dtype: str,
    kind: str = "activation",
    name: str | None = None,
    seed: int = 0,
    k: int = 1,
    numeric: bool = True,
    referee: bool = True,
    **kwargs: Any,
) -> None:
    """A `@differentiable` function against Keras: value and gradient.

    Args:
        function: has `forward` and `backward`.
        keras_function: takes tensors in the same order.
        inputs: arrays (or `strategies.Values`); floats are cast to `dtype`. The
            gradient is that of the last: `x`, or `y_pred` of a loss function.
        kind, name: for the report; the name is the function's by default.
        k: the length of the sums inside.
        numeric: whether to compare with numeric derivatives.
        referee: whether Keras may be asked for its own rounding error (referee.py):
            False at kinks and ties, where a changed rounding takes another branch and
            would excuse any slip.
        kwargs: passed to both.
    """
    inputs = tuple(runner.frozen(runner.cast(a, dtype)) for a in inputs)
    label = name or getattr(function, "__name__", type(function).__name__)
    with default_dtype(dtype):
        y, residuals = function.forward(*inputs, **kwargs)
        _compare(
            kind,
            label,
            dtype,
            lambda _: lambda *args: keras_function(*args, **kwargs),
            list(inputs),
            y,
            lambda dy: function.backward(dy, residuals),
            residuals,
            k,
            seed,
            referee,
        )
    if numeric:
        gradcheck(function, *inputs, call_kwargs=kwargs, seed=seed).raise_if_failed()


def check_loss(
    make: Callable[[], Any],
    keras_make: Callable[[], Any],
    y_true: Arrays,
    y_pred: Arrays,
    *,
    dtype: str,
    sample_weight: Any = None,
    mask: np.ndarray | None = None,
    name: str | None = None,
    seed: int = 0,
    numeric: bool = True,
) -> None:
    """A `Loss` object against Keras's: value and gradient of `y_pred`.

    Args:
        make, keras_make: construct the loss; called under a default of `dtype`.
        y_true, y_pred: arrays (or `strategies.Values`); floats are cast to `dtype`.
        sample_weight: array or None.
        mask: boolean array; in Keras it travels on `y_pred`.
        name: for the report; by default the class name.
    """
    y_true, y_pred = (runner.frozen(runner.cast(a, dtype)) for a in (y_true, y_pred))
    inputs = [y_true, y_pred]
    if sample_weight is not None:
        inputs.insert(1, runner.frozen(runner.cast(sample_weight, dtype)))
    weight = inputs[1] if sample_weight is not None else None

    def reference(dtype: str) -> Callable[..., Any]:
        with oracle.default_dtype(dtype):
            keras_loss = keras_make()

        def call(true: Any, *rest: Any) -> Any:
            *weights, pred = rest
            if mask is not None:
                oracle.attach_masks(pred, mask)
            weights = weights[0] if weights else None
            return keras_loss(true, pred, sample_weight=weights)

        return call

    with default_dtype(dtype):
        loss = make()
        value, residuals = loss.forward(y_true, y_pred, sample_weight=weight, mask=mask)
        _compare(
            "loss",
            name or type(loss).__name__,
            dtype,
            reference,
            inputs,
            value,
            lambda dy: loss.backward(dy, residuals),
            residuals,
            y_pred.size,
            seed,
        )
    if numeric:
        options = {"sample_weight": weight, "mask": mask}
        with default_dtype("float64"):
            gradcheck(make(), y_true, y_pred, call_kwargs=options).raise_if_failed()


def _compare(
    kind: str,
    label: str,
    dtype: str,
    reference: Callable[[str], Callable[..., Any]],
    inputs: list[Arrays],
    y: Any,
    backward: Callable[[Any], Any],
    residuals: Any,
    k: int,
    seed: int,
    referee: bool = True,
) -> None:
    """Value and gradient (of the last input) against `reference(dtype)(*inputs)`."""
    rng = np.random.default_rng(seed)
    runner.freeze_all(residuals)
    expected, gradient, dy = oracle.run_function(
        reference(dtype),
        *inputs,
        dy=lambda value: runner.random_like(value, rng),
        wrt=-1,
        dtype=dtype,
    )
    dx = backward(dy)
    assert_equal(backward(dy), dx, name=f"{label}: dx a second time")
    with parity_case(kind, label, dtype):
        for what, ours, theirs, depth in (
            ("y", y, expected, "forward"),
            ("dx", dx, gradient, "gradients"),
        ):
            assert_close_to_reference(
                np.asarray(ours),
                theirs,
                lambda what=what: (
                    function_scale(what, reference, inputs, dy) if referee else 0.0
                ),
                name=f"{label}: {what}",
                k=k,
                depth=depth,
            )
