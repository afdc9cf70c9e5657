"""Two models of two libraries, run side by side: every layer, gradient and step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minikeras import tree
from minikeras.row_gradient import RowGradient

# How far two correct programs may be apart, relative to the largest number of an array:
# far above the rounding of deep models (1e-6 and 1e-14), far below what a slip makes.
TOLERANCE = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
# Roundings of the numbers that cancel in a sum which the sum may be off.
_CANCELLED = 64


@dataclass
class Found:
    """How two arrays differ.

    Attributes:
        largest: the largest difference.
        relative: relative to the largest number of the expected array, or to the
            larger numbers that cancelled to make it.
        ulp: in units of the last place of that number.
        problem: in words, where they are too far apart; else empty.
        ours, theirs: the arrays, for the search for a cause; only where too far apart.
    """

    largest: float = 0.0
    relative: float = 0.0
    ulp: float = 0.0
    problem: str = ""
    ours: Any = None
    theirs: Any = None

    @property
    def ok(self) -> bool:
        """Whether they are close enough."""
        return not self.problem


def compare(
    ours: Any, theirs: Any, tolerance: float | None = None, room: Any = 0.0
) -> Found:
    """How two arrays differ. Integers must be equal, NaN in the same places.

    Args:
        ours, theirs: the arrays.
        tolerance: relative to the largest number; None: that of the dtype.
        room: what is allowed beyond that: a number, or one for each element.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return Found(problem=f"shape {ours.shape}, in Keras {theirs.shape}")
    if ours.dtype != theirs.dtype and "f" in (ours.dtype.kind, theirs.dtype.kind):
        return Found(problem=f"dtype {ours.dtype}, in Keras {theirs.dtype}")
    if theirs.dtype.kind != "f":
        wrong = ours != theirs
        if wrong.any():
            return Found(problem=_at(wrong, ours, theirs), ours=ours, theirs=theirs)
        return Found()
    finite = np.isfinite(theirs)
    strange = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)) | finite)
    strange |= finite & ~np.isfinite(ours)
    if strange.any():
        problem = "NaN or infinity in other places: " + _at(strange, ours, theirs)
        return Found(problem=problem, ours=ours, theirs=theirs)
    a = np.where(finite, ours, 0).astype("float64")
    b = np.where(finite, theirs, 0).astype("float64")
    gap, scale = np.abs(a - b), np.abs(b).max(initial=0.0)
    if tolerance is None:
        tolerance = TOLERANCE[theirs.dtype.name]
    # What cancelled is measured by the numbers that cancelled.
    scale = scale + np.asarray(room) / (tolerance or 1.0)
    scale = np.maximum(scale, np.finfo(theirs.dtype).smallest_normal)
    unit = np.spacing(np.asarray(scale, theirs.dtype)).astype("float64")
    found = Found(
        largest=float(gap.max(initial=0.0)),
        relative=float((gap / scale).max(initial=0.0)),
        ulp=float((gap / unit).max(initial=0.0)),
    )
    wrong = gap > tolerance * scale
    if wrong.any():
        found.problem = _at(wrong, ours, theirs)
        found.ours, found.theirs = ours, theirs
    return found


def _at(wrong: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> str:
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{int(wrong.sum()):,} of {wrong.size:,} values, the first at {list(index)}: "
        f"{ours[index]!s}, in Keras {theirs[index]!s}"
    )


def worst(found: list[Found]) -> Found:
    """Of several, the one that is furthest off."""
    return max(found, key=lambda f: (not f.ok, f.relative), default=Found())


# --- The layers of a model, as they run -----------------------------------------------


@dataclass
class Part:
    """A layer or operator, with the names of the models around it."""

    path: str
    operation: Any
    is_model: bool


def parts(model: Any, prefix: str = "") -> Iterator[Part]:
    """All layers and operators of a model of either library, nested ones too."""
    try:
        operations = list(model.operations)
    except AttributeError:
        operations = list(model.layers)
    for operation in operations:
        if type(operation).__name__ == "InputLayer":
            continue
        path = f"{prefix}{operation.name}"
        is_model = hasattr(operation, "layers") and hasattr(operation, "compile")
        yield Part(path, operation, is_model)
        if is_model:
            yield from parts(operation, f"{path}/")


Outputs = dict[str, list[Any]]  # path of a layer -> one entry for each of its calls


@contextmanager
def recording_ours(model: Any) -> Iterator[Outputs]:
    """Within it, what each layer of a model of minikeras returns is kept.

    Each layer becomes, for the time being, one of a subclass that takes notes. (Not by
    an attribute of the layer: a layer that ends in a softmax or sigmoid is run as a
    linear copy, which would take the attribute along; see `logits.py`.)
    """
    notes = _Notes()
    original: list[tuple[Any, type]] = []

    def watch(operation: Any) -> None:
        cls, name = type(operation), operation.name

        def run_forward(self: Any, *args: Any, **kwargs: Any) -> Any:
            with notes.call(name) as note:
                y, residuals = cls.run_forward(self, *args, **kwargs)
                note(y if self is operation else operation.activation(y))
                return y, residuals

        original.append((operation, cls))
        object.__setattr__(
            operation,
            "__class__",
            type(cls.__name__, (cls,), {"run_forward": run_forward}),
        )

    try:
        for operation in _once(part.operation for part in parts(model)):
            watch(operation)
        yield notes.outputs
    finally:
        for operation, cls in original:
            object.__setattr__(operation, "__class__", cls)


@contextmanager
def recording_keras(model: Any) -> Iterator[Outputs]:
    """Within it, what each layer of a Keras model returns is kept."""
    notes = _Notes()
    watched: list[Any] = []

    def watch(operation: Any) -> None:
        run, name = operation.call, operation.name

        def call(*args: Any, **kwargs: Any) -> Any:
            with notes.call(name) as note:
                y = run(*args, **kwargs)
                note(y)
                return y

        watched.append(operation)
        object.__setattr__(operation, "call", call)

    try:
        for operation in _once(part.operation for part in parts(model)):
            watch(operation)
        yield notes.outputs
    finally:
        for operation in watched:
            operation.__dict__.pop("call", None)


class _Notes:
    """Outputs by path; the path is made of the calls that are under way."""

    def __init__(self) -> None:
        self.outputs: Outputs = {}
        self.around: list[str] = []

    @contextmanager
    def call(self, name: str) -> Iterator[Callable[[Any], None]]:
        """Around one call of a layer; what it returned is to be noted inside."""
        self.around.append(name)
        path = "/".join(self.around)

        def note(y: Any) -> None:
            flat = [np.array(t) for t in tree.flatten(y) if t is not None]
            self.outputs.setdefault(path, []).append(flat)

        try:
            yield note
        finally:
            self.around.pop()


def _once(operations: Iterable[Any]) -> list[Any]:
    return list({id(operation): operation for operation in operations}.values())


# --- Training -------------------------------------------------------------------------


@dataclass
class Step:
    """What one training step did: in Keras's order of variables."""

    loss: float
    gradients: list[np.ndarray | None] = field(default_factory=list)

    @property
    def noise(self) -> float:
        """How far off any gradient may be, because larger numbers cancelled in it:
        those of other weights, or those of single examples, which are of the size of
        the loss."""
        arrays = [g for g in self.gradients if g is not None]
        if not arrays:
            return 0.0
        largest = max(float(np.abs(g).max(initial=0.0)) for g in arrays)
        eps = float(np.finfo(arrays[0].dtype).eps)
        noise = _CANCELLED * eps * largest + 8 * eps * abs(self.loss)
        return noise if np.isfinite(noise) else 0.0


def our_step(model: Any, x: Any, y: Any) -> Step:
    """One step in minikeras, with its gradients."""
    kept: list[Any] = []
    optimizer, apply = model.optimizer, model.optimizer.apply

    def recorded(grads: Any, variables: Any = None) -> Any:
        for v in variables:
            g = grads.get(v)
            kept.append(g.dense() if isinstance(g, RowGradient) else g)
        return apply(grads, variables)

    with _replaced(optimizer, "apply", recorded):
        logs = model.train_on_batch(x, y, return_dict=True)
    return Step(float(logs["loss"]), [None if g is None else np.array(g) for g in kept])


def keras_step(keras: Any, model: Any, x: Any, y: Any) -> Step:
    """The same in Keras."""
    kept: list[Any] = []
    optimizer, apply = model.optimizer, model.optimizer.apply_gradients

    def recorded(pairs: Any) -> Any:
        pairs = list(pairs)
        for g, _ in pairs:
            kept.append(None if g is None else keras.ops.convert_to_numpy(g))
        return apply(pairs)

    with _replaced(optimizer, "apply_gradients", recorded):
        logs = model.train_on_batch(x, y, return_dict=True)
    return Step(float(logs["loss"]), kept)


@contextmanager
def _replaced(obj: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    object.__setattr__(obj, name, function)
    try:
        yield
    finally:
        obj.__dict__.pop(name, None)


def rounding(dtype: Any) -> float:
    """How far off a result may be where larger numbers cancel, relative to those."""
    dtype = np.dtype(dtype)
    return _CANCELLED * float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def compare_gradients(
    ours: Step, theirs: Step, tolerance: float | None
) -> list[Found | None]:
    """One entry for each trained variable; None where neither has a gradient."""
    found: list[Found | None] = []
    for a, b in zip(ours.gradients, theirs.gradients, strict=True):
        if a is None and b is None:
            found.append(None)
            continue
        if a is None or b is None:  # no gradient and zero are the same
            a = np.zeros_like(b) if a is None else a
            b = np.zeros_like(a) if b is None else b
        found.append(compare(a, b, tolerance, theirs.noise))
    return found


def update_room(
    before: np.ndarray, after: list[np.ndarray], gradient: Any, noise: float
) -> Any:
    """How far apart an update of a weight may be because its gradient was rounded.

    An optimizer that divides by the size of the gradient makes a whole step of one that
    is nothing but rounding, such as that of a bias before a batch normalization.

    Args:
        before: the weight before the step.
        after: the weight after it, in both libraries.
        gradient: of this weight.
        noise: how far off the gradient may be.
    """
    if gradient is None:
        return 0.0
    step = max(float(np.abs(w - before).max(initial=0.0)) for w in after)
    with np.errstate(all="ignore"):
        share = np.minimum(2.0, noise / np.abs(gradient.astype("float64")))
    return step * np.nan_to_num(share, nan=2.0)
