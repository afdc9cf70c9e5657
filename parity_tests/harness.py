"""One call per layer, function, loss or optimizer: the whole battery, then Keras.

    def test_dense(...):
        check_layer(
            lambda: layers.Dense(4, activation="tanh"),
            lambda: keras.layers.Dense(4, activation="tanh"),
            x, dtype=dtype,
        )

`check_layer` holds a layer to the contract on its own (see battery.py) and then equal
to Keras: names, shapes and order of weights, config, forward, masks, state, every
gradient, and the weights after some training steps. `check_function` and `check_loss`
do the same for `@differentiable` functions and losses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import minikeras
from minikeras import naming, tree
from minikeras.gradients import Gradients
from parity_tests import battery, descriptions, oracle, records, runner
from parity_tests.functions import check_function, check_loss, default_dtype
from parity_tests.records import parity_case
from parity_tests.referee import Referee
from parity_tests.tolerance import (
    assert_close_to_reference,
    assert_equal,
)

__all__ = ["check_function", "check_layer", "check_loss", "default_dtype"]

Arrays = Any
LEARNING_RATE = 0.05


@dataclass
class LayerCase:
    """What one check works with: the same layer twice, and the arguments of a call."""

    make: Callable[[], Any]
    keras_make: Callable[[], Any]
    inputs: Arrays
    dtype: str
    training: bool
    mask: Arrays
    call_kwargs: dict[str, Any]
    seed: int
    layer: Any = None
    twin: Any = None  # the Keras layer
    weights: list[np.ndarray] = field(default_factory=list)
    rng: Any = None
    referee: bool = True

    def build(self, weights: Any) -> None:
        """Makes both layers, builds them by a call and gives them the same state."""
        self.rng = np.random.default_rng(self.seed)
        naming.clear_session()
        oracle.clear_session()
        self.layer, self.twin = self.make(), self.keras_make()
        self._check_dtypes()
        options = {} if self.mask is None else {"mask": self.mask}
        options = runner.accepted(self.layer.forward, **options)
        self.layer(self.inputs, **self.call_kwargs, **options)
        oracle.run_layer(
            self.twin, self.inputs, mask=self.mask, call_kwargs=self.call_kwargs
        )
        descriptions.assert_same_weights(self.layer, self.twin)
        names = [(v.path, v.shape) for v in self.twin.weights]
        self.weights = (weights or random_weights)(names, self.rng)
        self.weights = [w.astype(self.dtype) for w in self.weights]
        self.twin.set_weights(self.weights)
        self.synchronize()

    def synchronize(self) -> None:
        """All variables of the minikeras layer get the values of the Keras layer."""
        runner.set_state(self.layer, oracle.variables_of(self.twin))

    def _check_dtypes(self) -> None:
        for layer in (self.layer, self.twin):
            if layer.compute_dtype != self.dtype:
                raise ValueError(
                    f"The check is for {self.dtype} but the factory made a layer of "
                    f"{layer.compute_dtype}. Leave `dtype` out of the factory: the "
                    "default policy is set around it."
                )

    def keras(self, dy: Any = None, *, losses: bool = False) -> oracle.Reference:
        """One call of the Keras layer."""
        return oracle.run_layer(
            self.twin,
            self.inputs,
            dy=dy,
            training=self.training,
            mask=self.mask,
            call_kwargs=self.call_kwargs,
            with_losses=losses,
        )

    def ours(self, dy: Arrays) -> runner.Run:
        """One call of the minikeras layer, on frozen arrays."""
        y, residuals = self.forward()
        return runner.backward(
            self.layer, runner.Run(y, residuals), dy, self.call_kwargs
        )

    def forward(self) -> tuple[Arrays, Any]:
        """Its forward alone."""
        return runner.forward(
            self.layer,
            self.inputs,
            training=self.training,
            mask=self.mask,
            call_kwargs=self.call_kwargs,
        )


def random_weights(
    names: list[tuple[str, tuple[int, ...]]], rng: np.random.Generator
) -> list[np.ndarray]:
    """Random values for all weights; variances are positive, as they must be."""
    values = []
    for path, shape in names:
        value = rng.standard_normal(shape) * 0.5
        values.append(np.abs(value) + 0.1 if "variance" in path else value)
    return values


def check_layer(
    make: Callable[[], Any],
    keras_make: Callable[[], Any],
    inputs: Arrays,
    *,
    dtype: str,
    training: bool = False,
    mask: Arrays = None,
    call_kwargs: dict[str, Any] | None = None,
    train_steps: int = 3,
    seed: int = 0,
    weights: Callable[..., list[np.ndarray]] | None = None,
    empty_batch: bool = True,
    config: bool = True,
    numeric: bool = True,
    referee: bool = True,
    name: str | None = None,
) -> None:
    """The battery for one layer with one config and one input.

    Args:
        make, keras_make: construct the layer, from the same config. They are called
            under a default policy of `dtype`; do not pass `dtype=` yourself.
        inputs: arrays (or `strategies.Values`) in the structure of the first argument;
            floats are cast to `dtype`.
        dtype: `"float32"` or `"float64"`.
        training: of the forward and gradient comparison. The training steps are always
            with `training=True`.
        mask: boolean arrays in the structure of `inputs`.
        call_kwargs: further arguments of the call, such as `initial_state=[h, c]`.
            Float arrays among them get gradients.
        train_steps: how many SGD steps to compare weights after.
        seed: of the weights and of the random cotangents.
        weights: `weights(names_and_shapes, rng)` to choose other values than
            `random_weights`.
        empty_batch: whether a batch of no examples must work.
        config: whether `get_config` must equal Keras's.
        numeric: whether to compare with numeric derivatives: False only for layers that
            are piecewise constant.
        referee: whether Keras may be asked for its own rounding error (referee.py):
            False for layers that select. Where elements are equal, a changed rounding
            selects another, and its error would then excuse any slip.
        name: for the report; by default the class name.
    """
    case = LayerCase(
        make,
        keras_make,
        runner.frozen(runner.cast(inputs, dtype)),
        dtype,
        training,
        mask,
        runner.frozen(runner.cast(call_kwargs or {}, dtype)),
        seed,
        referee=referee,
    )
    with default_dtype(dtype):
        case.build(weights)
        with parity_case("layer", name or type(case.layer).__name__, dtype):
            if config:
                descriptions.assert_same_config(case.layer, case.twin)
            descriptions.assert_same_output_shapes(
                case.layer, case.twin, case.inputs, case.call_kwargs
            )
            _compare_one_call(case)
            _compare_training(case, train_steps)
        battery.check_contract(
            case.layer,
            case.inputs,
            training=training,
            mask=mask,
            call_kwargs=case.call_kwargs,
            seed=seed,
            empty_batch=empty_batch,
            numeric=numeric,
        )


def _compare_one_call(case: LayerCase) -> None:
    """Forward, mask, state afterwards, and every gradient, against Keras."""
    before = oracle.variables_of(case.twin)
    reference = case.keras(lambda y: runner.random_like(y, case.rng))
    dy = reference.dy
    with runner.preserved(case.layer):
        run = case.ours(dy)
        states = runner.state_of(case.layer)
    after = oracle.variables_of(case.twin)
    oracle.set_variables(case.twin, before)
    battery.assert_same_nesting(run.y, reference.y, f"{case.layer.name}: output")
    referee = Referee(case, before, dy)
    expected, actual = _forward_arrays(reference), runner.by_name("y", run.y)
    _compare(case, actual, expected, "forward", referee)
    variables = oracle.all_variables(case.twin)
    for variable, ours, theirs in zip(variables, states, after, strict=True):
        name = f"{variable.path} afterwards"
        _compare(case, {name: ours}, {name: theirs}, "forward", referee)
    _compare_masks(case, run.y, reference)
    _compare_losses(case, reference, referee)
    expected = _gradient_arrays(case, reference)
    _compare(case, _our_gradients(case, run, expected), expected, "gradients", referee)


def _forward_arrays(reference: oracle.Reference) -> dict[str, np.ndarray]:
    return runner.by_name("y", reference.y)


def _gradient_arrays(
    case: LayerCase, reference: oracle.Reference
) -> dict[str, np.ndarray]:
    """Keras's gradients by name. A weight without gradient has gradient zero."""
    found = runner.by_name("dx", reference.dx)
    for name, gradient in reference.dkwargs.items():
        found |= runner.by_name(f"d{name}", gradient)
    pairs = zip(case.twin.trainable_weights, reference.dweights, strict=True)
    for variable, gradient in pairs:
        zero = np.zeros(variable.shape, case.dtype)
        found[f"d {variable.path}"] = zero if gradient is None else gradient
    return found


def _our_gradients(
    case: LayerCase, run: runner.Run, expected: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    found = runner.by_name("dx", run.dx)
    for name, gradient in run.dkwargs.items():
        found |= runner.by_name(f"d{name}", gradient)
    pairs = zip(case.twin.trainable_weights, case.layer.trainable_weights, strict=True)
    for twin, variable in pairs:
        gradient = run.grads.get(variable)
        zero = np.zeros(variable.shape, case.dtype)
        found[f"d {twin.path}"] = zero if gradient is None else np.asarray(gradient)
    # Where Keras has no gradient (the output does not depend on the input), zeros and
    # None mean the same.
    for name in list(found):
        if name not in expected and not found[name].any():
            del found[name]
    return found


def _compare(
    case: LayerCase,
    actual: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    depth: str,
    referee: Referee,
) -> None:
    for name, array in expected.items():
        if name not in actual and not array.any():
            continue
        if name not in actual:
            raise AssertionError(f"{case.layer.name}: Keras has {name}, we have None.")
    for name in actual:
        if name not in expected:
            raise AssertionError(f"{case.layer.name}: we have {name}, Keras has None.")
    if not actual:
        records.add(depth, None)  # compared: neither has any
    sizes = [a.size for a in tree.flatten(case.inputs) if a is not None]
    sizes += [v.size for v in case.layer.weights]
    sizes += [a.size for a in expected.values()]
    for name in actual:
        assert_close_to_reference(
            actual[name],
            expected[name],
            lambda name=name: referee.scale(name),
            name=f"{case.layer.name}: {name}",
            k=max(sizes),
            depth=depth,
        )


def _compare_masks(case: LayerCase, y: Arrays, reference: oracle.Reference) -> None:
    """The mask a layer passes on, in inference and training alike."""
    ours = None
    if case.layer.supports_masking:
        ours = case.layer.compute_mask(case.inputs, case.mask)
    ours, theirs = runner.by_name("mask", ours), runner.by_name("mask", reference.mask)
    if not theirs and len(ours) == 0:
        return
    assert_equal(sorted(ours), sorted(theirs), name=f"{case.layer.name}: masks")
    for name in theirs:
        assert_equal(ours[name], theirs[name], name=f"{case.layer.name}: {name}")


def _compare_losses(
    case: LayerCase, reference: oracle.Reference, referee: Referee
) -> None:
    """The penalties that the layer reports after a call: of outputs and weights."""
    if not reference.losses:
        return
    options = {"training": case.training, "mask": case.mask}
    with runner.preserved(case.layer):
        case.layer(
            case.inputs,
            **case.call_kwargs,
            **runner.accepted(case.layer.forward, **options),
        )
        ours = [np.asarray(loss) for loss in case.layer.losses]
    assert_equal(len(ours), len(reference.losses), name=f"{case.layer.name}.losses")
    for i, (a, b) in enumerate(zip(ours, reference.losses, strict=True)):
        sizes = [v.size for v in case.layer.weights]
        sizes += [y.size for y in tree.flatten(reference.y)]
        assert_close_to_reference(
            a,
            b,
            lambda i=i: referee.scale(f"losses[{i}]"),
            name=f"{case.layer.name}.losses[{i}]",
            k=max(sizes),
            depth="forward",
        )


def _compare_training(case: LayerCase, steps: int) -> None:
    """Weights after each SGD step, re-synchronised: an error cannot hide in drift."""
    if not case.layer.trainable_weights:
        return
    case.training, training = True, case.training
    start = oracle.variables_of(case.twin)
    for _ in range(steps):
        before = oracle.variables_of(case.twin)
        reference = case.keras(lambda y: runner.random_like(y, case.rng), losses=True)
        grads = _our_training_gradients(case, reference.dy)
        rate = _learning_rate(reference)
        optimizer = minikeras.optimizers.SGD(rate)
        optimizer.apply(grads, case.layer.trainable_weights)
        oracle.apply_gradients(oracle.keras.optimizers.SGD(rate), case.twin, reference)
        referee = Referee(case, before, reference.dy, rate)
        ours, theirs = runner.state_of(case.layer), oracle.variables_of(case.twin)
        variables = oracle.all_variables(case.twin)
        for variable, a, b in zip(variables, ours, theirs, strict=True):
            name = f"{variable.path} afterwards"
            _compare(case, {name: a}, {name: b}, "weights", referee)
        case.synchronize()
    oracle.set_variables(case.twin, start)
    case.synchronize()
    case.training = training


def _learning_rate(reference: oracle.Reference) -> float:
    """A step that does not carry the weights away, however large the gradients."""
    sizes = [np.abs(g).max(initial=0) for g in reference.dweights if g is not None]
    largest = max([float(s) for s in sizes if np.isfinite(s)], default=0.0)
    return LEARNING_RATE / max(1.0, largest)


def _our_training_gradients(case: LayerCase, dy: Arrays) -> Gradients:
    """Gradients of sum(dy * y) + penalties on weights and outputs."""
    y, residuals = case.forward()
    regularizer = getattr(case.layer, "activity_regularizer", None)
    if regularizer is not None:
        dy = tree.map_structure(
            lambda d, out: d + regularizer.gradient(out) / out.dtype.type(len(out)),
            dy,
            y,
        )
    run = runner.backward(case.layer, runner.Run(y, residuals), dy, case.call_kwargs)
    for variable in case.layer.trainable_weights:
        if variable.regularizer is not None:
            run.grads.add(variable, variable.regularizer.gradient(variable.value))
    return run.grads
