"""What every layer owes by contract, whatever it computes. No Keras here.

Frozen arrays stay as they are, forward and backward keep nothing, backward can run
twice, unused outputs and unwanted gradients are left out, the gradient is that of the
forward pass (numerically), a shared layer's gradients add up, an empty batch works.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import models, tree
from minikeras.gradients import Gradients
from minikeras.layers.core.input_layer import Input
from minikeras.utils import gradcheck
from parity_tests import runner
from parity_tests.records import not_recorded
from parity_tests.tolerance import assert_alike, assert_close, assert_equal

Arrays = Any
# Kept on a layer between calls by design: the graphs of a `call`, traced once; the
# penalties of the last eager call, as in Keras.
_KEPT = ("_traces", "_call_losses", "_inbound_nodes", "_outbound_nodes")


class Contract:
    """The checks for one layer, one input and one random cotangent."""

    def __init__(
        self,
        layer: Any,
        inputs: Arrays,
        *,
        training: bool = False,
        mask: Arrays = None,
        call_kwargs: dict[str, Any] | None = None,
        seed: int = 0,
    ):
        self.layer = layer
        self.inputs = runner.frozen(inputs)
        self.training, self.mask = training, runner.frozen(mask)
        self.call_kwargs = runner.frozen(call_kwargs or {})
        self.seed = seed
        y, _ = self.forward()
        self.dy = runner.random_like(y, np.random.default_rng(seed + 1))

    def forward(self, inputs: Arrays = None) -> tuple[Arrays, Any]:
        """One forward from the present state, which is restored."""
        with runner.preserved(self.layer):
            return runner.forward(
                self.layer,
                self.inputs if inputs is None else inputs,
                training=self.training,
                mask=self.mask,
                call_kwargs=self.call_kwargs,
            )

    def run(self) -> runner.Run:
        """One forward and backward."""
        y, residuals = self.forward()
        return self.backward(runner.Run(y, residuals), self.dy)

    def backward(self, run: runner.Run, dy: Arrays, **options: Any) -> runner.Run:
        """One backward on frozen residuals."""
        runner.freeze_all(run.residuals)
        return runner.backward(self.layer, run, dy, self.call_kwargs, **options)

    def gradients(self, run: runner.Run) -> dict[str, np.ndarray]:
        """All gradients of a run by name."""
        found = runner.by_name("dx", run.dx)
        for name, gradient in run.dkwargs.items():
            found |= runner.by_name(f"d{name}", gradient)
        return found | _by_path(run.grads)

    def assert_same(
        self,
        a: dict,
        b: dict,
        name: str,
        exact: bool = True,
        scales: dict[str, float] | None = None,
    ) -> None:
        """Two sets of named arrays are equal, or equal up to rounding."""
        assert_equal(sorted(a), sorted(b), name=f"{self.layer.name}: {name}")
        for key in a:
            label = f"{self.layer.name}: {key}, {name}"
            if exact:
                assert_equal(a[key], b[key], name=label)
            else:
                scale = scales.get(key) if scales else None
                assert_close(a[key], b[key], name=label, k=self.size, scale=scale)

    @property
    def size(self) -> int:
        """A bound on the length of the sums in this layer."""
        arrays = tree.flatten([self.inputs, self.dy])
        return max([a.size for a in arrays if a is not None], default=1)

    # --- The checks -----------------------------------------------------------------

    def keeps_nothing(self) -> None:
        """Neither forward nor backward changes the layer."""
        before = self._fingerprint()
        state = runner.state_of(self.layer)
        y, residuals = runner.forward(
            self.layer,
            self.inputs,
            training=self.training,
            mask=self.mask,
            call_kwargs=self.call_kwargs,
        )
        after = runner.state_of(self.layer)
        may_change = self.training or getattr(self.layer, "stateful", False)
        variables = runner.all_variables(self.layer)
        for variable, a, b in zip(variables, state, after, strict=True):
            if variable.trainable or not may_change:
                assert_equal(b, a, name=f"{variable.path} after a forward")
        self.backward(runner.Run(y, residuals), self.dy)
        for variable, a in zip(variables, after, strict=True):
            assert_equal(variable.numpy(), a, name=f"{variable.path} after backward")
        runner.set_state(self.layer, state)
        changed = sorted(
            key
            for key in {*before, *self._fingerprint()}
            if before.get(key) != self._fingerprint().get(key)
        )
        if changed:
            raise AssertionError(
                f"{self.layer.name}: forward or backward left something on the layer: "
                f"{changed}. Whatever backward needs belongs in the residuals."
            )

    def _fingerprint(self) -> dict[str, Any]:
        found = runner.fingerprint(self.layer)
        return {
            key: value
            for key, value in found.items()
            if not any(f".{kept}" in key for kept in _KEPT)
        }

    def repeats(self) -> None:
        """Forward and backward give the same twice; dtypes and shapes are right."""
        first = self.run()
        again = self.backward(first, self.dy)
        self.assert_same(self.gradients(first), self.gradients(again), "second time")
        y, _ = self.forward()
        self.assert_same(
            runner.by_name("y", first.y), runner.by_name("y", y), "second time"
        )
        for name, array in (runner.by_name("y", y) | self.gradients(first)).items():
            if array.dtype.kind == "f":
                dtype = str(array.dtype)
                label = f"{self.layer.name}: dtype of {name}"
                assert_equal(dtype, self.layer.compute_dtype, name=label)
        x = runner.by_name("dx", self.inputs)
        for name, array in runner.by_name("dx", first.dx).items():
            assert_equal(array.shape, x[name].shape, name=f"shape of {name}")

    def leaves_out_what_nobody_wants(self) -> None:
        """need_dx=False, frozen weights, and outputs without a cotangent."""
        run = self.run()
        without = self.backward(run, self.dy, need_dx=False)
        self.assert_same(
            _by_path(run.grads), _by_path(without.grads), "with need_dx=False"
        )
        grads = Gradients([])
        self.layer.backward(self.dy, run.residuals, grads)
        assert_equal(len(grads), 0, name=f"{self.layer.name}: unwanted gradients")
        leaves = tree.flatten(self.dy)
        if len(leaves) < 2:
            return
        total: dict[str, np.ndarray] = {}
        sizes: dict[str, float] = {}  # of what is added: the parts may cancel
        for i, leaf in enumerate(leaves):
            if leaf is None:
                continue
            alone = [d if i == j else None for j, d in enumerate(leaves)]
            part = self.backward(run, tree.pack_sequence_as(self.dy, alone))
            for name, array in self.gradients(part).items():
                total[name] = total[name] + array if name in total else array
                size = float(np.abs(array).max(initial=0))
                sizes[name] = sizes.get(name, 0.0) + size
        expected = self.gradients(run)
        for name in expected:
            total.setdefault(name, np.zeros_like(expected[name]))
        self.assert_same(total, expected, "one output at a time", False, sizes)

    def takes_any_memory_layout(self) -> None:
        """Inputs and cotangents in column order: views and strides are followed."""

        def column_order(leaf: Any) -> Any:
            if not isinstance(leaf, np.ndarray):
                return leaf
            return np.asfortranarray(leaf)

        y, residuals = self.forward(tree.map_structure(column_order, self.inputs))
        dy = tree.map_structure(column_order, self.dy)
        run = self.backward(runner.Run(y, residuals), dy)
        expected = self.run()
        found = runner.by_name("y", y) | self.gradients(run)
        for name, array in self.gradients(expected).items():
            label = f"{self.layer.name}: {name}, arrays in column order"
            assert_alike(found[name], array, name=label)
        for name, array in runner.by_name("y", expected.y).items():
            label = f"{self.layer.name}: {name}, arrays in column order"
            assert_alike(found[name], array, name=label)

    def calls_as_it_forwards(self) -> None:
        """`layer(x)` is `forward` without the residuals."""
        options = {"training": self.training}
        options |= {} if self.mask is None else {"mask": self.mask}
        options = runner.accepted(self.layer.forward, **options)
        with runner.preserved(self.layer):
            called = self.layer(self.inputs, **self.call_kwargs, **options)
        called = runner.by_name("y", called)
        self.assert_same(called, runner.by_name("y", self.forward()[0]), "called")

    def matches_numeric_derivatives(self) -> None:
        """<J v, w> = <v, J' w>, numerically in float64, for each array."""
        gradcheck(
            self.layer,
            self.inputs,
            call_kwargs=self.call_kwargs,
            training=self.training,
            mask=self.mask,
            seed=self.seed,
            directions=1,
        ).raise_if_failed()

    def adds_up_when_shared(self) -> None:
        """Called twice in one graph, on other inputs, its gradients are the sum."""
        if self.call_kwargs or self.mask is not None or self.training:
            return
        if getattr(self.layer, "stateful", False) or self.layer.activity_regularizer:
            return  # a graph adds the gradient of the penalty

        def symbolic() -> Any:
            return tree.map_structure(
                lambda a: Input(batch_shape=a.shape, dtype=a.dtype.name),
                self.inputs,
            )

        a, b = symbolic(), symbolic()
        model = models.Model([a, b], [self.layer(a), self.layer(b)])
        other = tree.map_structure(_reversed, self.inputs)
        y, residuals = model.forward([self.inputs, other])
        runner.freeze_all(residuals)
        grads = Gradients(self.layer.trainable_weights)
        dy = [self.dy, tree.map_structure(_negated, self.dy)]
        da, db = model.backward(dy, residuals, grads)
        first = self.run()
        y_other, residuals = self.forward(other)
        second = self.backward(runner.Run(y_other, residuals), dy[1])
        self.assert_same(
            runner.by_name("y", y),
            runner.by_name("y", [first.y, y_other]),
            "in a graph",
        )
        for ours, run in ((da, first), (db, second)):
            if run.dx is not None:
                self.assert_same(
                    runner.by_name("dx", ours),
                    runner.by_name("dx", run.dx),
                    "in a graph",
                )
        for variable, gradient in first.grads.items():
            parts = np.asarray(gradient), np.asarray(second.grads[variable])
            scale = np.abs(parts).max(initial=0)  # their sum may be 0
            name = f"{variable.path}: gradient of a shared layer"
            total = np.asarray(grads[variable])
            assert_close(total, sum(parts), name=name, scale=scale, k=self.size)

    def treats_examples_alone(self) -> None:
        """One at a time they give what the batch gives: micro-batches rely on it."""
        batch = {len(a) for a in tree.flatten(self.inputs) if np.ndim(a)}
        if self.training or self.layer.couples_examples or self.call_kwargs:
            return
        if self.mask is not None or len(batch) != 1 or batch == {0}:
            return
        parts = []
        for i in range(batch.pop()):
            one = tree.map_structure(lambda a, i=i: a[i : i + 1], self.inputs)
            parts.append(runner.by_name("y", self.forward(one)[0]))
        joined = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        y, _ = self.forward()
        self.assert_same(runner.by_name("y", y), joined, "one at a time", exact=False)

    def takes_an_empty_batch(self) -> None:
        """No examples: shapes follow, gradients of weights are zero."""
        if self.call_kwargs or getattr(self.layer, "stateful", False):
            return
        if self.training and self.layer.couples_examples:
            return  # the mean of no examples is not a number
        inputs = runner.frozen(tree.map_structure(lambda a: a[:0], self.inputs))
        mask = None if self.mask is None else tree.map_structure(_none, self.mask)
        empty = Contract.__new__(Contract)
        empty.__dict__.update(self.__dict__, inputs=inputs, mask=mask)
        y, residuals = empty.forward()
        full, _ = self.forward()
        for (name, a), b in zip(
            runner.by_name("y", y).items(),
            runner.by_name("y", full).values(),
            strict=True,
        ):
            expected = (0, *b.shape[1:])
            assert_equal(
                a.shape, expected, name=f"{self.layer.name}: {name}, empty batch"
            )
        dy = runner.random_like(y, np.random.default_rng(0))
        run = empty.backward(runner.Run(y, residuals), dy)
        for name, array in runner.by_name("dx", run.dx).items():
            x = runner.by_name("dx", inputs)[name]
            assert_equal(array.shape, x.shape, name=f"{name}, empty batch")
        for variable, gradient in run.grads.items():
            gradient = np.asarray(gradient)
            zero = np.zeros_like(gradient)
            assert_equal(gradient, zero, name=f"d {variable.path}, empty batch")


def _by_path(grads: Gradients) -> dict[str, np.ndarray]:
    """Gradients of weights by name, as plain arrays."""
    return {f"d {v.path}": np.asarray(gradient) for v, gradient in grads.items()}


def _negated(array: Any) -> Any:
    return None if array is None else -array


def _none(array: Any) -> Any:
    return None if array is None else array[:0]


def _reversed(array: np.ndarray) -> np.ndarray:
    return array[::-1]


def assert_same_nesting(a: Arrays, b: Arrays, name: str) -> None:
    """Lists, tuples and dicts nest in the same way."""
    if not tree.same_structure(a, b):
        shape = tree.map_structure(np.shape, a), tree.map_structure(np.shape, b)
        raise AssertionError(f"{name}: nested like {shape[0]}, expected {shape[1]}.")


def check_contract(
    layer: Any,
    inputs: Arrays,
    *,
    training: bool = False,
    mask: Arrays = None,
    call_kwargs: dict[str, Any] | None = None,
    seed: int = 0,
    empty_batch: bool = True,
    numeric: bool = True,
) -> None:
    """All checks on a built layer. See `harness.check_layer` for the arguments."""
    contract = Contract(
        layer, inputs, training=training, mask=mask, call_kwargs=call_kwargs, seed=seed
    )
    with not_recorded():
        contract.keeps_nothing()
        contract.repeats()
        contract.calls_as_it_forwards()
        contract.takes_any_memory_layout()
        contract.leaves_out_what_nobody_wants()
        contract.treats_examples_alone()
        contract.adds_up_when_shared()
        if empty_batch:
            contract.takes_an_empty_batch()
        if numeric:
            contract.matches_numeric_derivatives()
