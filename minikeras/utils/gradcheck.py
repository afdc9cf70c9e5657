"""A gradient checker: every `backward` beside numeric derivatives, in float64.

Whoever writes a layer writes its gradient, and can be wrong in it. This compares it with
what the forward pass does when one number is moved a little:

    result = gradcheck(layers.Dense(3, activation="tanh"), x)
    print(result)                # one line per array: worst index, both values, verdict
    result.raise_if_failed()     # in a test

The output is weighted with a **random** cotangent `w`: the derivative of `sum(w * y)` is
what `backward(w, ...)` must return. (With all ones, errors that permute or sum to zero
cannot be seen.) Where the two disagree, the check is repeated at a point nearby: a
function with a kink just there (ReLU at 0, a tie in max pooling) agrees again, a wrong
gradient does not.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.gradients import Gradients

_EPS = float(np.finfo(np.float64).eps)
_STEPS = (1e-5, 1e-6, 1e-4, 1e-3)  # relative; the first that agrees decides
_NEARBY = 1e-3  # how far away, relatively, the check is repeated
_COMPLEX_STEP = 1e-30


@dataclass(frozen=True)
class ArrayCheck:
    """The verdict on the gradient of one array, and its worst derivative.

    Attributes:
        name: `"input"`, `"input[1]"`, `"initial_state[0]"` or a variable's path.
        shape: the array's shape.
        checked: how many derivatives were compared.
        index: where the worst one is; None if it is a derivative along a direction.
        analytic, numeric: from `backward`, and from differences.
        error: their distance, relative to the largest gradient in the array.
        kinks: how many derivatives differ only because of a kink.
        verdict: `"ok"`, `"kink"` or `"WRONG"`.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float
    kinks: int
    verdict: str


@dataclass(frozen=True)
class GradcheckResult:
    """What `gradcheck` found: prints as a table, `.ok` says whether all is well."""

    target: str
    method: str
    arrays: tuple[ArrayCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether no gradient is wrong. A kink is not wrong."""
        return all(check.verdict != "WRONG" for check in self.arrays)

    @property
    def wrong(self) -> list[str]:
        """The names of the arrays whose gradient is wrong."""
        return [check.name for check in self.arrays if check.verdict == "WRONG"]

    def raise_if_failed(self) -> GradcheckResult:
        """For tests: raises AssertionError with the table if a gradient is wrong."""
        if not self.ok:
            raise AssertionError(
                f"The gradient of {self.wrong} is wrong in {self.target}.\n{self}"
            )
        return self

    def __str__(self) -> str:
        rows = [
            ("array", "shape", "checked", "worst at", "backward", "numeric", "error", "")
        ]
        for c in self.arrays:
            where = "direction" if c.index is None else str(c.index)
            verdict = f"{c.verdict} ({c.kinks} at kinks)" if c.kinks else c.verdict
            rows.append(
                (
                    c.name,
                    str(c.shape),
                    str(c.checked),
                    where,
                    f"{c.analytic:.8g}",
                    f"{c.numeric:.8g}",
                    f"{c.error:.1e}",
                    verdict,
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        title = f"gradcheck of {self.target}, {self.method}, in float64"
        return "\n".join([title, *lines])

    __repr__ = __str__


class _Problem:
    """`value(arrays)` is the number sum(w * y), `gradient(arrays)` its claimed gradient.

    `arrays` is a dict from name to float64 array: everything with a gradient.
    """

    title: str
    arrays: dict[str, np.ndarray]

    def value(self, arrays: dict[str, np.ndarray]) -> Any:
        raise NotImplementedError

    def gradient(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise NotImplementedError


def gradcheck(
    target: Any,
    *inputs: Any,
    call_kwargs: dict[str, Any] | None = None,
    training: bool = False,
    mask: Any = None,
    seed: int = 0,
    max_entries: int = 60,
    directions: int = 0,
    method: str = "auto",
    tolerance: float = 1e-6,
) -> GradcheckResult:
    """Compares `backward` with numeric derivatives, in float64.

    Args:
        target: a layer or model, a loss, or a `@differentiable` function (activations
            and loss functions are).
        inputs: what to call it with. Floats are converted to float64. A layer takes its
            first argument here; a loss `y_true, y_pred` (and checks `y_pred`).
        call_kwargs: further arguments. Float arrays given to a layer this way, such as
            `initial_state=[h, c]`, are checked too.
        training, mask: passed to layers that take them.
        seed: of the random cotangent, and of the choice of entries.
        max_entries: at most so many derivatives per array, chosen at random.
        directions: if above 0, derivatives along so many random directions per array
            instead of along single entries: much cheaper, but cannot name an index.
        method: `"central"` differences; `"complex"` steps (exact to rounding; only for
            functions NumPy can evaluate on complex numbers); `"auto"`: complex for
            functions where it works, else central.
        tolerance: of the error relative to the largest gradient in the array.

    Returns:
        A `GradcheckResult`; nothing is raised for a wrong gradient.

    >>> from minikeras.differentiable import differentiable
    >>> @differentiable
    ... def cube(x):
    ...     return x**3, x
    >>> _ = cube.gradient(lambda dy, x: dy * 2 * x**2)     # 2 instead of 3
    >>> gradcheck(cube, np.array([1.0, 2.0])).wrong
    ['x']
    """
    if method not in ("auto", "central", "complex"):
        raise ValueError(
            "`method` must be 'auto', 'central' or 'complex'. "
            f"Received: method={method!r}"
        )
    call_kwargs = call_kwargs or {}
    if hasattr(target, "variables"):
        if not target.built:
            target(*inputs, **call_kwargs)
        with _in_float64(target):
            problem = _LayerProblem(target, inputs, call_kwargs, training, mask, seed)
            return _check(problem, seed, max_entries, directions, "central", tolerance)
    if not hasattr(target, "forward") or not hasattr(target, "backward"):
        raise TypeError(
            "gradcheck expects something with `forward` and `backward`: a layer, a "
            "model, a loss or a `@differentiable` function. "
            f"Received: {target!r} (of type {type(target).__name__})"
        )
    function = _FunctionProblem(target, inputs, call_kwargs, seed)
    if method == "auto":
        method = "complex" if _complex_works(function) else "central"
    return _check(function, seed, max_entries, directions, method, tolerance)


class _FunctionProblem(_Problem):
    """A `@differentiable` function, or a loss: the last argument has the gradient."""

    def __init__(
        self, target: Any, inputs: tuple, call_kwargs: dict[str, Any], seed: int
    ):
        self.target, self.kwargs = target, call_kwargs
        *self.others, x = (tree.map_structure(_to_float64, a) for a in inputs)
        names = list(inspect.signature(target.forward).parameters)
        self.name = names[len(self.others)] if len(names) > len(self.others) else "x"
        self.arrays = {self.name: x}
        label = getattr(target, "__name__", None) or type(target).__name__
        self.title = f"{label}"
        y, _ = self.forward(self.arrays)
        self.w = _cotangent(y, np.random.default_rng(seed))

    def forward(self, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
        return self.target.forward(*self.others, arrays[self.name], **self.kwargs)

    def value(self, arrays: dict[str, np.ndarray]) -> Any:
        return np.sum(self.w * self.forward(arrays)[0])

    def gradient(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        _, residuals = self.forward(arrays)
        return {self.name: np.asarray(self.target.backward(self.w, residuals))}


class _LayerProblem(_Problem):
    """A layer or model: inputs, further tensor arguments and trainable weights."""

    def __init__(
        self,
        layer: Any,
        inputs: tuple,
        call_kwargs: dict[str, Any],
        training: bool,
        mask: Any,
        seed: int,
    ):
        self.layer = layer
        self.title = f"{type(layer).__name__} '{layer.name}'"
        names = list(inspect.signature(layer.forward).parameters)
        given = dict(zip(names, inputs, strict=False)) | call_kwargs
        self.first = next(iter(given))
        order = sorted(given, key=lambda n: names.index(n) if n in names else len(names))
        self.given = {n: tree.map_structure(_to_float64, given[n]) for n in order}
        options = {"training": training} | ({} if mask is None else {"mask": mask})
        self.options = {k: v for k, v in options.items() if k in names}
        self.carriers = [n for n in order if _leaves("", self.given[n])]
        self.variables = {v.path: v for v in layer.trainable_weights}
        self.arrays = {}
        for name in self.carriers:
            self.arrays |= _leaves(self._label(name), self.given[name])
        self.arrays |= {path: v.numpy() for path, v in self.variables.items()}
        self.state = [v.numpy() for v in layer.variables]
        y, _ = self.forward(self.arrays)
        self.w = _cotangent(y, np.random.default_rng(seed))

    def _label(self, name: str) -> str:
        return "input" if name == self.first else name

    def forward(self, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
        """Sets the weights, calls forward, and restores what the call changed."""
        for variable, value in zip(self.layer.variables, self.state, strict=True):
            variable.assign(value)
        for path, variable in self.variables.items():
            variable.assign(arrays[path])
        values = {
            name: _fill(self._label(name), value, arrays)
            for name, value in self.given.items()
        }
        first = values.pop(self.first)
        try:
            return self.layer.forward(first, **values, **self.options)
        finally:
            for variable, value in zip(self.layer.variables, self.state, strict=True):
                if variable.path not in self.variables:
                    variable.assign(value)

    def value(self, arrays: dict[str, np.ndarray]) -> Any:
        y, _ = self.forward(arrays)
        pairs = zip(tree.flatten(self.w), tree.flatten(y), strict=True)
        return sum(np.sum(w * out) for w, out in pairs if w is not None)

    def gradient(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        _, residuals = self.forward(arrays)
        grads = Gradients(self.variables.values())
        dx = self.layer.backward(self.w, residuals, grads)
        parts = dx if len(self.given_tensors) > 1 else (dx,)
        found: dict[str, np.ndarray] = {}
        for name, part in zip(self.given_tensors, parts, strict=True):
            if part is not None:
                found |= _leaves(self._label(name), part)
        for path, variable in self.variables.items():
            gradient = grads.get(variable)
            found[path] = np.zeros(variable.shape) if gradient is None else gradient
        return {k: found.get(k, np.zeros(v.shape)) for k, v in arrays.items()}

    @property
    def given_tensors(self) -> list[str]:
        """The arguments backward returns gradients for: the first, and the floats."""
        return list(dict.fromkeys([self.first, *self.carriers]))


def _check(
    problem: _Problem,
    seed: int,
    max_entries: int,
    directions: int,
    method: str,
    tolerance: float,
) -> GradcheckResult:
    rng = np.random.default_rng(seed + 1)
    analytic = problem.gradient(problem.arrays)
    nearby: list[Any] = []  # the same problem a little further on, made when needed

    def check_nearby(name: str, direction: np.ndarray) -> bool:
        if not nearby:
            moved = {k: _move(a, rng) for k, a in problem.arrays.items()}
            nearby.extend([moved, problem.gradient(moved)])
        return _agree(problem, *nearby, name, direction, "central", tolerance)[0]

    checks = []
    for name, array in problem.arrays.items():
        worst = ArrayCheck(name, array.shape, 0, None, 0.0, 0.0, 0.0, 0, "ok")
        count = kinks = 0
        for index, direction in _directions(array, rng, max_entries, directions):
            count += 1
            ok, a, n, error = _agree(
                problem, problem.arrays, analytic, name, direction, method, tolerance
            )
            verdict = "ok"
            if not ok:
                verdict = "kink" if check_nearby(name, direction) else "WRONG"
                kinks += verdict == "kink"
            rank = ("ok", "kink", "WRONG").index
            if (rank(verdict), error) >= (rank(worst.verdict), worst.error):
                worst = ArrayCheck(
                    name, array.shape, 0, index, a, n, error, 0, verdict
                )
        checks.append(_with_counts(worst, count, kinks))
    title = {"central": "central differences", "complex": "complex steps"}[method]
    return GradcheckResult(problem.title, title, tuple(checks))


def _agree(
    problem: _Problem,
    arrays: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    name: str,
    direction: np.ndarray,
    method: str,
    tolerance: float,
) -> tuple[bool, float, float, float]:
    """(agrees, analytic, numeric, relative error) for one derivative."""
    gradient = gradients[name]
    analytic = float(np.sum(gradient * direction))
    along = np.abs(direction) > 0
    scale = float(np.abs(gradient).max(initial=0) * np.abs(direction).max())
    scale = max(scale, float(np.abs(gradient * direction)[along].sum()))
    array = arrays[name]
    if method == "complex":
        moved = arrays | {name: array + 1j * _COMPLEX_STEP * direction}
        numeric = float(np.imag(problem.value(moved))) / _COMPLEX_STEP
        error = abs(analytic - numeric)
        return error <= tolerance * scale, analytic, numeric, _relative(error, scale)
    best = (False, analytic, 0.0, np.inf)
    for step in _STEPS:
        h = step * _typical_size(array)
        up = float(problem.value(arrays | {name: array + h * direction}))
        down = float(problem.value(arrays | {name: array - h * direction}))
        numeric = (up - down) / (2 * h)
        error = abs(analytic - numeric)
        rounding = 16 * _EPS * (abs(up) + abs(down) + 1) / h
        ok = error <= tolerance * scale + rounding
        relative = _relative(error, max(scale, abs(numeric), rounding))
        if ok or relative < best[3]:
            best = (ok, analytic, numeric, relative)
        if ok:
            break
    return best


def _relative(error: float, scale: float) -> float:
    return error / scale if scale else float(error > 0)


def _with_counts(check: ArrayCheck, checked: int, kinks: int) -> ArrayCheck:
    fields = {**vars(check), "checked": checked, "kinks": kinks}
    return ArrayCheck(**fields)


def _directions(
    array: np.ndarray, rng: np.random.Generator, max_entries: int, directions: int
) -> Iterator[tuple[tuple[int, ...] | None, np.ndarray]]:
    """Unit vectors along single entries, or random directions."""
    if not array.size:
        return
    if directions:
        for _ in range(directions):
            yield None, rng.standard_normal(array.shape)
        return
    chosen = np.arange(array.size)
    if array.size > max_entries:
        chosen = np.sort(rng.choice(array.size, max_entries, replace=False))
    for flat in chosen:
        direction = np.zeros(array.shape)
        direction.flat[flat] = 1.0
        yield tuple(int(i) for i in np.unravel_index(flat, array.shape)), direction


def _typical_size(array: np.ndarray) -> float:
    """What a step is relative to: the median of the values that are not 0."""
    sizes = np.abs(array[array != 0])
    return float(np.median(sizes)) if sizes.size else 1.0


def _move(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return array + _NEARBY * _typical_size(array) * rng.standard_normal(array.shape)


def _cotangent(y: Any, rng: np.random.Generator) -> Any:
    def one(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        return rng.standard_normal(leaf.shape) if leaf.dtype.kind in "fc" else None

    return tree.map_structure(one, y)


def _to_float64(leaf: Any) -> Any:
    """Floats as float64; integers, booleans and None as they are."""
    if isinstance(leaf, float) or (
        hasattr(leaf, "dtype") and np.asarray(leaf).dtype.kind == "f"
    ):
        return np.array(leaf, np.float64)
    return leaf


def _leaves(name: str, structure: Any) -> dict[str, np.ndarray]:
    """`{"name[0]": array, ...}`: the float arrays of a structure."""
    if isinstance(structure, dict):
        items = [(f"{name}[{key!r}]", structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        items = [(f"{name}[{i}]", item) for i, item in enumerate(structure)]
    elif isinstance(structure, np.ndarray) and structure.dtype.kind == "f":
        return {name: structure}
    else:
        return {}
    return {k: v for key, item in items for k, v in _leaves(key, item).items()}


def _fill(name: str, structure: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The structure with the arrays of these names in their places."""
    if isinstance(structure, dict):
        return {k: _fill(f"{name}[{k!r}]", v, arrays) for k, v in structure.items()}
    if isinstance(structure, list | tuple):
        items = [_fill(f"{name}[{i}]", v, arrays) for i, v in enumerate(structure)]
        return type(structure)(items)
    return arrays.get(name, structure)


def _complex_works(problem: _FunctionProblem) -> bool:
    """Whether a complex step gives what a central difference gives, roughly."""
    (name, x), *_ = problem.arrays.items()
    direction = np.random.default_rng(7).standard_normal(x.shape)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Conversion to float would lose the derivative.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            moved = {name: x + 1j * _COMPLEX_STEP * direction}
            exact = float(np.imag(problem.value(moved))) / _COMPLEX_STEP
            h = _STEPS[0] * _typical_size(x)
            up = problem.value({name: x + h * direction})
            down = problem.value({name: x - h * direction})
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return False
    rough = float(up - down) / (2 * h)
    return abs(exact - rough) <= 1e-4 * max(abs(exact), abs(rough))


@contextlib.contextmanager
def _in_float64(layer: Any) -> Iterator[None]:
    """Weights and dtype policies of a layer, and of those inside, are float64."""
    from minikeras.dtype_policies import DTypePolicy

    layers = _with_sublayers(layer)
    policies = [one._dtype_policy for one in layers]
    storage = [(v, v._array) for v in layer.variables]
    restore: list[Callable[[], None]] = []
    for one, policy in zip(layers, policies, strict=True):
        if policy.compute_dtype == "float32":
            object.__setattr__(one, "_dtype_policy", DTypePolicy("float64"))
            restore.append(
                lambda one=one, p=policy: object.__setattr__(one, "_dtype_policy", p)
            )
    for variable, array in storage:
        dtype = np.float64 if array.dtype == np.float32 else array.dtype
        variable._set_array(array.astype(dtype))
    try:
        yield
    finally:
        for variable, array in storage:
            variable._set_array(array)
        for undo in restore:
            undo()


def _with_sublayers(layer: Any) -> list[Any]:
    found = [layer]
    for inner in layer._sublayers():
        found.extend(one for one in _with_sublayers(inner) if one not in found)
    return found
