"""What the gradient checker checks: a number that depends on arrays, and its gradient.

`LayerProblem` and `FunctionProblem` give a layer, a loss or a function the same face:
named float64 arrays in, the number `sum(w * y)` out, with a random cotangent `w`.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.gradients import Gradients
from minikeras.layers.calls import pair_of


class _AnyShape(Gradients):
    """Keeps gradients of wrong shapes aside, where others refuse them."""

    def __init__(self, variables: Iterable[Any]):
        super().__init__(variables)
        self.misfits: dict[int, np.ndarray] = {}

    def add(self, variable: Any, gradient: np.ndarray) -> None:
        if np.shape(gradient) == variable.shape:
            super().add(variable, gradient)
        elif self.wants(variable):
            self.misfits[id(variable)] = np.asarray(gradient)


class Problem:
    """`value(arrays)` is sum(w * y), `answers(arrays)` what backward says of it.

    `arrays` is a dict from name to float64 array: everything with a gradient. In the
    answers a name is missing where backward gave nothing, and a shape may be wrong.
    """

    title: str
    arrays: dict[str, np.ndarray]
    w: Any  # the cotangent, in the structure of the output

    def value(self, arrays: dict[str, np.ndarray]) -> Any:
        raise NotImplementedError

    def answers(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise NotImplementedError


class FunctionProblem(Problem):
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

    def answers(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        _, residuals = self.forward(arrays)
        return {self.name: np.asarray(self.target.backward(self.w, residuals))}


class LayerProblem(Problem):
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
        order = sorted(
            given, key=lambda n: names.index(n) if n in names else len(names)
        )
        self.given = {n: tree.map_structure(_to_float64, given[n]) for n in order}
        options = {"training": training} | ({} if mask is None else {"mask": mask})
        self.options = {k: v for k, v in options.items() if k in names}
        self.carriers = [n for n in order if _leaves("", self.given[n])]
        self.variables = {v.path: v for v in layer.trainable_weights}
        self.arrays = {}
        for name in self.carriers:
            self.arrays |= _leaves(self._label(name), self.given[name])
        for given_array in self.arrays.values():
            given_array.flags.writeable = False
        self.arrays |= {path: v.numpy() for path, v in self.variables.items()}
        self.stored = stored_variables(layer)
        self.state = [v.numpy() for v in self.stored]
        y, _ = self.forward(self.arrays)
        self.w = _cotangent(y, np.random.default_rng(seed))

    def _label(self, name: str) -> str:
        return "input" if name == self.first else name

    def forward(self, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
        """Sets the weights, calls forward, and restores what the call changed."""
        for variable, value in zip(self.stored, self.state, strict=True):
            variable.assign(value)
        for path, variable in self.variables.items():
            variable.assign(arrays[path])
        values = {
            name: _fill(self._label(name), value, arrays)
            for name, value in self.given.items()
        }
        first = values.pop(self.first)
        try:
            with _writes_named(self.title, "forward"):
                y = self.layer.forward(first, **values, **self.options)
            return pair_of(self.layer, y)
        finally:
            for variable, value in zip(self.stored, self.state, strict=True):
                if variable.path not in self.variables:
                    variable.assign(value)

    def value(self, arrays: dict[str, np.ndarray]) -> Any:
        y, _ = self.forward(arrays)
        pairs = zip(tree.flatten(self.w), tree.flatten(y), strict=True)
        return sum(np.sum(w * out) for w, out in pairs if w is not None)

    def answers(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        _, residuals = self.forward(arrays)
        grads = _AnyShape(self.variables.values())
        with _writes_named(self.title, "backward"):
            dx = self.layer.backward(self.w, residuals, grads)
        parts = dx if len(self.given_tensors) > 1 else (dx,)
        found: dict[str, np.ndarray] = {}
        for name, part in zip(self.given_tensors, parts, strict=True):
            if part is not None:
                found |= _leaves(self._label(name), part)
        for path, variable in self.variables.items():
            gradient = grads.misfits.get(id(variable), grads.get(variable))
            if gradient is not None:
                found[path] = np.asarray(gradient)
        return found

    @property
    def given_tensors(self) -> list[str]:
        """The arguments backward returns gradients for: the first, and the floats."""
        return list(dict.fromkeys([self.first, *self.carriers]))


def _cotangent(y: Any, rng: np.random.Generator) -> Any:
    def one(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        if leaf.dtype.kind not in "fc":
            return None
        w = np.asarray(rng.standard_normal(leaf.shape))
        w.flags.writeable = False
        return w

    return tree.map_structure(one, y)


@contextlib.contextmanager
def _writes_named(title: str, method: str) -> Iterator[None]:
    """An error of NumPy for writing into a given array says what to do instead."""
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(
            f"`{method}` of {title} writes into an array that it was given, and that "
            "others still need. Make a new one: `dz = dy * 2`, not `dy *= 2`. Cause: "
            f"{error}"
        ) from error


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


@contextlib.contextmanager
def in_float64(target: Any) -> Iterator[None]:
    """Whatever a layer, model or loss holds in float32 is float64 inside: weights, the
    dtype policies of all layers in it, the symbolic tensors of its graphs."""
    from minikeras.dtype_policies import DTypePolicy

    restore: list[Callable[[], None]] = []

    def replace(thing: Any, name: str, value: Any) -> None:
        old = getattr(thing, name)
        restore.append(lambda: object.__setattr__(thing, name, old))
        object.__setattr__(thing, name, value)

    for one in _with_sublayers(target):
        policy = getattr(one, "_dtype_policy", None)
        if policy is not None and policy.compute_dtype == "float32":
            replace(one, "_dtype_policy", DTypePolicy("float64"))
        if getattr(one, "_input_dtype", None) == "float32":  # of an `Input`
            replace(one, "_input_dtype", "float64")
        for tensor in _graph_tensors(one):
            if tensor.dtype == "float32":
                replace(tensor, "dtype", "float64")
    storage = [(v, v._array) for v in stored_variables(target)]
    for variable, array in storage:
        dtype = np.float64 if array.dtype == np.float32 else array.dtype
        variable._set_array(array.astype(dtype))
    try:
        yield
    finally:
        for variable, array in storage:
            variable._set_array(array)
        for undo in reversed(restore):
            undo()


def _graph_tensors(layer: Any) -> list[Any]:
    graph = getattr(layer, "_graph", None)
    if graph is None:
        return []
    return [*graph.inputs, *(t for step in graph.steps for t in step.node.outputs)]


def _with_sublayers(layer: Any) -> list[Any]:
    found = {id(layer): layer}
    sublayers = list(layer._sublayers()) if hasattr(layer, "_sublayers") else []
    if getattr(layer, "_functional", None) is not None:
        sublayers.append(layer._functional)  # the graph that a Sequential makes
    for inner in sublayers:
        found |= {id(one): one for one in _with_sublayers(inner)}
    return list(found.values())


def stored_variables(layer: Any) -> list[Any]:
    """`layer.variables`, and the states of stateful RNNs, which no list contains."""
    found = {id(v): v for v in getattr(layer, "variables", ())}
    for one in _with_sublayers(layer):
        for state in tree.flatten(getattr(one, "states", None)):
            if state is not None:
                found.setdefault(id(state), state)
    return list(found.values())
