"""The operators of symbolic tensors: `a + b`, `a @ b`, `x[:, 0]`, as graph nodes.

Importing this module gives `KerasTensor` its operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minikeras import config, naming
from minikeras.ops.elementwise import (
    getitem_grad,
    matmul_grad,
    power_grad,
    unbroadcast,
)
from minikeras.registry import public
from minikeras.symbolic import KerasTensor, Node, Operation, is_keras_tensor
from minikeras.variables import Variable

if TYPE_CHECKING:
    from minikeras.gradients import Gradients

MODULE = "keras.src.ops.numpy"  # where Keras's files say these classes are


class ReadVariable(Operation):
    """The value of a variable, as a tensor of a graph: y = v; dv = dy."""

    def __init__(self, variable: Variable):
        super().__init__(name=naming.auto_name("read_variable"))
        self.variable = variable

    @property
    def weights(self) -> list[Variable]:
        """The variable."""
        return [self.variable]

    def forward(self, variable: Variable) -> tuple[np.ndarray, None]:
        """Its value when the graph runs."""
        return variable.value, None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> tuple:
        """Adds dy; no tensor came in."""
        grads.add(self.variable, dy)
        return ()


def read(variable: Variable) -> KerasTensor:
    """A symbolic tensor that stands for the variable's value."""
    tensor = KerasTensor(variable.shape, variable.dtype)
    Node(ReadVariable(variable), (variable,), {}, tensor)
    return tensor


class BinaryResiduals(NamedTuple):
    """What the gradient of an operator between two arrays needs."""

    a: np.ndarray
    b: np.ndarray
    y: np.ndarray
    tensors: tuple[bool, bool]  # which of the two carries a gradient


class Binary(Operation):
    """`y = a (op) b`; one of the two may be a number, an array or a `Variable`."""

    function: Callable[[Any, Any], Any]

    def __init__(self, name: str | None = None):
        super().__init__(name=name)

    def __call__(self, x1: Any, x2: Any) -> Any:
        """Records which of the two are tensors of the graph."""
        x1, x2 = (read(x) if isinstance(x, Variable) else x for x in (x1, x2))
        if not is_keras_tensor(x1):
            x1 = _like(x1, x2)
        elif not is_keras_tensor(x2):
            x2 = _like(x2, x1)
        return super().__call__(x1, x2)

    def forward(self, x1: Any, x2: Any) -> tuple[np.ndarray, BinaryResiduals]:
        """Broadcasts as NumPy does."""
        node = self._inbound_nodes[0] if self._inbound_nodes else None
        tensors = (True, True)
        if node is not None:
            tensors = tuple(is_keras_tensor(a) for a in node.args)  # type: ignore
        a, b = _promoted(np.asarray(x1), np.asarray(x2))
        with np.errstate(all="ignore"):  # 1 / 0 is inf, as in Keras
            y = self.function(a, b)
        return y, BinaryResiduals(a, b, y, tensors)

    def compute_output_spec(self, x1: Any, x2: Any) -> KerasTensor:
        """The shape by a formula, the dtype by a trial with single numbers."""
        x1, x2 = (x if is_keras_tensor(x) else np.asarray(x) for x in (x1, x2))
        ones = (np.ones((), x.dtype) for x in (x1, x2))
        y = self.of_numbers(*_promoted(*ones))
        found = KerasTensor(self.output_shape(x1.shape, x2.shape), y.dtype.name)
        found._probes = self._of_probes(x1, x2)
        return found

    def _of_probes(self, x1: Any, x2: Any) -> tuple[int, int] | None:
        """What is computed of symbolic sizes (see `sizes.py`), in both trials."""
        values = [getattr(x, "_probes", None) for x in (x1, x2)]
        if values == [None, None]:
            return None
        for i, x in enumerate((x1, x2)):
            if values[i] is None:
                if is_keras_tensor(x) or x.shape != () or x.dtype.kind not in "iu":
                    return None
                values[i] = (int(x), int(x))
        found = self.function(*map(np.asarray, values))
        return tuple(found.tolist()) if found.dtype.kind in "iu" else None

    def of_numbers(self, a: np.ndarray, b: np.ndarray) -> Any:
        """y for two single numbers."""
        return self.function(a, b)

    def output_shape(self, a: tuple, b: tuple) -> tuple:
        """The shape of `y` for those of the arguments; None for unknown sizes."""
        return broadcast_shapes(a, b)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """(da, db), still in the shape of `y`."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> Any:
        """Undoes the broadcasting; one gradient per argument that is a tensor."""
        da, db = self.gradients(dy, residuals)
        both = (
            None if da is None else unbroadcast(da, residuals.a.shape),
            None if db is None else unbroadcast(db, residuals.b.shape),
        )
        found = [g for g, wanted in zip(both, residuals.tensors, strict=True) if wanted]
        return found[0] if len(found) == 1 else tuple(found)

    def get_config(self) -> dict[str, Any]:
        """Only a name."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Binary:
        """The inverse of `get_config`."""
        return cls(**config)


def broadcast_shapes(a: tuple, b: tuple) -> tuple:
    """The shape of `a + b`. NB: as in Keras, an unknown size beside a known one, which
    is not 1, takes the known one.

    >>> broadcast_shapes((None, 1, 3), (5, 1))
    (None, 5, 3)
    """
    rank = max(len(a), len(b))
    pairs = zip(
        (1,) * (rank - len(a)) + tuple(a),
        (1,) * (rank - len(b)) + tuple(b),
        strict=True,
    )
    shape = []
    for m, n in pairs:
        if m is not None and n is not None and m != n and 1 not in (m, n):
            raise ValueError(
                f"Cannot broadcast shape, the failure dim has value {m}, which cannot "
                f"be broadcasted to {n}. Input shapes are: {list(a)} and {list(b)}."
            )
        if m == 1:
            shape.append(n)
        elif m is None:
            shape.append(None if n == 1 else n)
        else:
            shape.append(m)
    return tuple(shape)


def matmul_shape(a: tuple, b: tuple) -> tuple:
    """The shape of `a @ b`.

    >>> matmul_shape((None, 2, 3), (3, 4))
    (None, 2, 4)
    """
    if not a or not b:
        raise ValueError(f"`@` needs at least one axis. Received: {a} @ {b}")
    inner = b[-2] if len(b) > 1 else b[-1]
    if a[-1] != inner and None not in (a[-1], inner):
        raise ValueError(
            f"The last axis of the first and the last but one of the second factor of "
            f"`@` must have the same size. Received: shapes {tuple(a)} and {tuple(b)}."
        )
    batch = broadcast_shapes(a[:-2], b[:-2])
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _promoted(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NB: beside a float an integer takes its dtype; NumPy would go to float64."""
    if a.dtype.kind == "f" and b.dtype.kind in "iub":
        return a, b.astype(a.dtype)
    if b.dtype.kind == "f" and a.dtype.kind in "iub":
        return a.astype(b.dtype), b
    return a, b


def _like(constant: Any, tensor: KerasTensor) -> Any:
    """A constant beside a tensor: numbers take its dtype where that can hold them."""
    if not isinstance(constant, bool | int | float):
        return constant
    dtype = tensor.dtype
    if isinstance(constant, float) and "float" not in dtype:
        dtype = config.floatx()
    elif dtype == "bool" and not isinstance(constant, bool):
        dtype = "int32"
    return np.asarray(constant, dtype)


@public(MODULE)
class Add(Binary):
    """y = a + b; da = dy, db = dy."""

    function = staticmethod(np.add)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy, db = dy."""
        return dy, dy


@public(MODULE)
class Subtract(Binary):
    """y = a - b; da = dy, db = -dy."""

    function = staticmethod(np.subtract)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy, db = -dy."""
        return dy, -dy


@public(MODULE)
class Multiply(Binary):
    """y = a b; da = dy b, db = dy a."""

    function = staticmethod(np.multiply)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy b, db = dy a."""
        return dy * r.b, dy * r.a


@public(MODULE, "Divide")
@public(MODULE)
class TrueDivide(Binary):
    """y = a / b; da = dy / b, db = -dy y / b."""

    @staticmethod
    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Integers give floats of the default dtype."""
        y = np.divide(a, b)
        return y if "f" in (a.dtype.kind, b.dtype.kind) else y.astype(config.floatx())

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy / b, db = -dy y / b."""
        da = dy / r.b
        return da, -da * r.y


@public(MODULE)
class Power(Binary):
    """y = a ** b; da = dy b a**(b-1), db = dy y log a."""

    function = staticmethod(np.power)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy b a**(b-1), db = dy y log a."""
        return power_grad(dy, r.a, r.b, r.y)


@public(MODULE)
class Matmul(Binary):
    """y = a @ b; da = dy @ b.T, db = a.T @ dy."""

    function = staticmethod(np.matmul)

    def of_numbers(self, a: np.ndarray, b: np.ndarray) -> Any:
        """A single number is a matrix of one."""
        return a.reshape(1, 1) @ b.reshape(1, 1)

    def output_shape(self, a: tuple, b: tuple) -> tuple:
        """(..., m, k) @ (..., k, n) is (..., m, n)."""
        return matmul_shape(a, b)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy @ b.T, db = a.T @ dy."""
        return matmul_grad(dy, r.a, r.b)


class Unary(Operation):
    """`y = op(x)`."""

    def get_config(self) -> dict[str, Any]:
        """Only a name."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Unary:
        """The inverse of `get_config`."""
        return cls(**config)


@public(MODULE)
class Negative(Unary):
    """y = -x; dx = -dy."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """-x."""
        return -x, None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> Any:
        """dx = -dy."""
        return -dy


@public(MODULE)
class Absolute(Unary):
    """y = |x|; dx = dy sign(x), 0 at 0."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|x|."""
        return np.abs(x), x

    def backward(self, dy: np.ndarray, residuals: np.ndarray, grads: Gradients) -> Any:
        """dx = dy sign(x)."""
        return dy * np.sign(residuals)


class GetItemResiduals(NamedTuple):
    """What the gradient of a slice needs."""

    shape: tuple[int, ...]  # of x
    key: Any


@public(MODULE)
class GetItem(Unary):
    """y = x[key]; dx is dy at the places that were read."""

    def forward(self, x: np.ndarray, key: Any) -> tuple[np.ndarray, GetItemResiduals]:
        """x[key]; a key from a file comes as a list."""
        key = tuple(key) if isinstance(key, list) else key
        return x[key], GetItemResiduals(x.shape, key)

    def backward(self, dy: np.ndarray, residuals: Any, grads: Gradients) -> Any:
        """Scatters dy."""
        return getitem_grad(dy, residuals.key, residuals.shape)


def install_operators(table: dict[str, type[Binary]], reflected: bool = True) -> None:
    """Gives `KerasTensor` the methods `__name__` and, if wanted, `__rname__`."""

    def binary(cls: type[Binary], swapped: bool) -> Callable[[Any, Any], Any]:
        def method(self: KerasTensor, other: Any) -> Any:
            return cls()(other, self) if swapped else cls()(self, other)

        return method

    for name, cls in table.items():
        setattr(KerasTensor, f"__{name}__", binary(cls, swapped=False))
        if reflected:
            setattr(KerasTensor, f"__r{name}__", binary(cls, swapped=True))


def _checked_key(key: Any) -> Any:
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, KerasTensor):
            raise TypeError("A symbolic tensor cannot be indexed by another.")
        ends = [part.start, part.stop] if isinstance(part, slice) else []
        if any(isinstance(end, KerasTensor) for end in ends):
            raise TypeError("A KerasTensor cannot be an end of a slice.")
        if not (part is None or part is Ellipsis or isinstance(part, slice)):
            operator.index(part)  # TypeError for lists and arrays
    return key


install_operators(
    {
        "add": Add,
        "sub": Subtract,
        "mul": Multiply,
        "truediv": TrueDivide,
        "pow": Power,
        "matmul": Matmul,
    }
)
KerasTensor.__neg__ = lambda self: Negative()(self)  # type: ignore[attr-defined]
KerasTensor.__abs__ = lambda self: Absolute()(self)  # type: ignore[attr-defined]
KerasTensor.__getitem__ = (  # type: ignore[attr-defined]
    lambda self, key: GetItem()(self, _checked_key(key))
)
