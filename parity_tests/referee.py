"""How large is the rounding error of the reference itself?

A fixed number of eps of the largest value is enough for almost every array. It is not
where a result is small by cancellation, or where a rounding flips a ReLU. Then the
reference is asked: its float32 result against its float64 result, for the same float32
numbers, shows what rounding does to this very computation. And where all of an array is
saturated (1 - tanh(x)**2 with y = 0.99999...), a gradient may be off by a rounding of
the size it has where nothing is: the reference is asked for that one too, at inputs
scaled down to 1, times the factor, since an input may also multiply another.

Only asked when the plain tolerance fails, since it costs Keras calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minikeras import tree
from parity_tests import oracle, runner
from parity_tests.tolerance import eps

_PERTURBATIONS = 4
_RELATIVE_NOISE = 4  # eps


class Referee:
    """The error scale of each array of one call of a layer, by the array's name.

    Args:
        case: the harness's case: factories, inputs, training, mask, call_kwargs.
        before: values of the Keras layer's variables before the call.
        dy: the cotangent.
        step: whether names are variables after an SGD step (of the rate given).
    """

    def __init__(
        self, case: Any, before: list[np.ndarray], dy: Any, step: float | None = None
    ):
        self.case, self.before, self.dy, self.step = case, before, dy, step
        self.training = case.training
        self._scales: dict[str, float] | None = None

    def scale(self, name: str) -> float:
        """The size of the numbers that rounding acts on: an error in units of eps."""
        if not self.case.referee:
            return 0.0
        if self._scales is None:
            self._scales = self._measure()
        return self._scales.get(name, 0.0)

    def _measure(self) -> dict[str, float]:
        case = self.case
        narrow = [_rounded(a) for a in (case.inputs, self.before, self.dy)]
        kwargs = _rounded(case.call_kwargs)
        random = self.training and any(b.dtype.kind in "iu" for b in self.before)
        wide_dtype = case.dtype if random else "float64"
        wide = self._run(wide_dtype, *narrow, kwargs)
        scales = dict.fromkeys(wide, 0.0)
        inputs, before, dy = narrow
        for seed in range(_PERTURBATIONS):
            # Only the weights are moved: that shows which units stand on a kink by
            # rounding. Moved inputs would also part those that are equal on purpose,
            # and excuse any slip in what to do with ties.
            moved = [inputs, _perturbed(before, case.dtype, seed), dy, kwargs]
            if random:
                moved[0] = _perturbed(inputs, case.dtype, seed)
            _widen(scales, self._run(wide_dtype, *moved), wide, eps(case.dtype))
            if not random:  # with random draws the two dtypes draw different masks
                moved = _rounded(_perturbed([*narrow, kwargs], "float32", seed))
                runs = (self._run(dtype, *moved) for dtype in ("float32", "float64"))
                _widen(scales, *runs, eps("float32"))
        shrunk, factor = _shrunk(inputs)
        natural = self._run(wide_dtype, shrunk, before, dy, kwargs)
        for name in scales:
            if name.startswith("d") and not name.endswith(" afterwards"):
                size = factor * float(np.abs(natural[name]).max(initial=0))
                scales[name] = max(scales[name], size)
        return scales

    def _run(
        self, dtype: str, inputs: Any, before: Any, dy: Any, call_kwargs: Any
    ) -> dict[str, np.ndarray]:
        """All arrays of the call, by name, computed by Keras in `dtype`."""
        case = self.case
        inputs, before, dy, call_kwargs = (
            runner.cast(a, dtype) for a in (inputs, before, dy, call_kwargs)
        )
        with oracle.default_dtype(dtype):
            twin = case.keras_make()
            arguments = {"mask": case.mask, "call_kwargs": call_kwargs}
            oracle.run_layer(twin, inputs, **arguments)  # builds it
            oracle.set_variables(twin, before)
            reference = oracle.run_layer(
                twin,
                inputs,
                dy=dy,
                training=self.training,
                with_losses=self.step is not None,
                **arguments,
            )
            if self.step is not None:
                optimizer = oracle.keras.optimizers.SGD(self.step)
                oracle.apply_gradients(optimizer, twin, reference)
        paths = [v.path for v in oracle.all_variables(case.twin)]
        found = runner.by_name("y", reference.y) | runner.by_name("dx", reference.dx)
        found |= {f"losses[{i}]": loss for i, loss in enumerate(reference.losses)}
        for name, gradient in reference.dkwargs.items():
            found |= runner.by_name(f"d{name}", gradient)
        trainable = [v.path for v in case.twin.trainable_weights]
        for path, gradient in zip(trainable, reference.dweights, strict=True):
            if gradient is not None:
                found[f"d {path}"] = gradient
        for path, value in zip(paths, oracle.variables_of(twin), strict=True):
            found[f"{path} afterwards"] = value
        return found


def function_scale(
    what: str,
    function: Callable[[str], Callable[..., Any]],
    inputs: list[Any],
    dy: Any,
) -> float:
    """The same for a function: `what` is `"y"` or `"dx"` (of the last input).

    `function(dtype)` returns the Keras function for that dtype.
    """
    inputs, dy = _rounded(inputs), _rounded(dy)

    def run(dtype: str, inputs: list[Any]) -> np.ndarray:
        args = [runner.cast(a, dtype) for a in inputs]
        with oracle.default_dtype(dtype):
            y, gradient, _ = oracle.run_function(
                function(dtype),
                *args,
                dy=runner.cast(dy, dtype),
                wrt=-1,
                dtype=dtype,
            )
        return np.asarray(y if what == "y" else gradient, np.float64)

    scales = {what: 0.0}
    for seed in range(_PERTURBATIONS):
        moved = _rounded(_perturbed(inputs, "float32", seed))
        wide = {what: run("float64", moved)}
        _widen(scales, {what: run("float32", moved)}, wide, eps("float32"))
    if what == "dx":
        *rest, x = inputs
        shrunk, factor = _shrunk(x)
        natural = np.abs(run("float64", [*rest, shrunk])).max(initial=0)
        scales[what] = max(scales[what], factor * float(natural))
    return scales[what]


def _widen(
    scales: dict[str, float], run: dict[str, Any], exact: dict[str, Any], unit: float
) -> None:
    for name, array in exact.items():
        if array.dtype.kind == "f" and array.size:
            gap = np.abs(run[name].astype(np.float64) - array)
            gap = gap[np.isfinite(gap)]
            scales[name] = max(scales[name], float(gap.max(initial=0)) / unit)


def _rounded(structure: Any) -> Any:
    """Floats rounded to float32 numbers (kept as float64)."""

    def one(leaf: Any) -> Any:
        if runner.is_float(leaf):
            return leaf.astype(np.float32).astype(np.float64)
        return leaf

    return tree.map_structure(one, structure)


def _shrunk(structure: Any) -> tuple[Any, float]:
    """The arrays divided by a factor that leaves none above 1, and the factor."""
    sizes = [np.abs(a).max(initial=0) for a in tree.flatten(structure) if _finite(a)]
    factor = float(max([1.0, *sizes]))
    shrunk = tree.map_structure(
        lambda a: a / factor if runner.is_float(a) else a, structure
    )
    return shrunk, factor


def _finite(array: Any) -> bool:
    return runner.is_float(array) and bool(np.isfinite(array).all())


def _perturbed(structure: Any, dtype: str, seed: int) -> Any:
    """Floats changed by a few eps of `dtype`; as they are for seed 0."""
    rng = np.random.default_rng(seed)
    noise = eps(dtype) * _RELATIVE_NOISE * (seed > 0)

    def one(leaf: Any) -> Any:
        if runner.is_float(leaf):
            return leaf * (1 + noise * rng.uniform(-1, 1, leaf.shape))
        return leaf

    return tree.map_structure(one, structure)
