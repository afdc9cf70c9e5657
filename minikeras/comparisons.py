"""Operators of symbolic tensors whose result has no gradient: `a > b`, `a & b`, `~a`.

Masks are made of them: the mask of `Embedding(mask_zero=True)` is `ids != 0`. Importing
this module gives `KerasTensor` the operators. `a == b` stays identity, as in Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minikeras import naming
from minikeras.operations import (
    MODULE,
    Binary,
    BinaryResiduals,
    Unary,
    install_operators,
)
from minikeras.registry import public
from minikeras.symbolic import KerasTensor

if TYPE_CHECKING:
    from minikeras.gradients import Gradients


class Comparison(Binary):
    """A binary operator that is constant between its jumps: no gradient."""

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[None, None]:
        """None for both."""
        return None, None


@public(MODULE)
class Equal(Comparison):
    """y = (a == b)."""

    function = staticmethod(np.equal)


@public(MODULE)
class NotEqual(Comparison):
    """y = (a != b)."""

    function = staticmethod(np.not_equal)


@public(MODULE)
class Less(Comparison):
    """y = (a < b)."""

    function = staticmethod(np.less)


@public(MODULE)
class LessEqual(Comparison):
    """y = (a <= b)."""

    function = staticmethod(np.less_equal)


@public(MODULE)
class Greater(Comparison):
    """y = (a > b)."""

    function = staticmethod(np.greater)


@public(MODULE)
class GreaterEqual(Comparison):
    """y = (a >= b)."""

    function = staticmethod(np.greater_equal)


@public(MODULE)
class LogicalAnd(Comparison):
    """y = a and b."""

    function = staticmethod(np.logical_and)


@public(MODULE)
class LogicalOr(Comparison):
    """y = a or b."""

    function = staticmethod(np.logical_or)


@public(MODULE)
class LogicalXor(Comparison):
    """y = either a or b."""

    function = staticmethod(np.logical_xor)


@public(MODULE)
class FloorDivide(Comparison):
    """y = floor(a / b)."""

    function = staticmethod(np.floor_divide)


@public(MODULE)
class Mod(Binary):
    """y = a - b floor(a / b); da = dy, db = -dy floor(a / b)."""

    function = staticmethod(np.mod)

    def gradients(self, dy: np.ndarray, r: BinaryResiduals) -> tuple[Any, Any]:
        """da = dy, db = -dy floor(a / b)."""
        return dy, -dy * np.floor_divide(r.a, r.b)


@public(MODULE)
class LogicalNot(Unary):
    """y = not x."""

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """Not x."""
        return np.logical_not(x), None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> None:
        """No gradient."""
        return None


@public(MODULE, "Any")
class AnyTrue(Unary):
    """y = whether any x along the axes is true."""

    def __init__(
        self, axis: Any = None, keepdims: bool = False, name: str | None = None
    ):
        super().__init__(name=name or naming.auto_name("any"))
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.keepdims = keepdims

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """The reduction."""
        return np.any(x, axis=self.axis, keepdims=self.keepdims), None

    def backward(self, dy: np.ndarray, residuals: None, grads: Gradients) -> None:
        """No gradient."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "axis": self.axis, "keepdims": self.keepdims}


@public("keras.src.ops.core")
class ConvertToTensor(Unary):
    """y = x: Keras's Attention has its mask pass through this."""

    def __init__(
        self,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name or naming.auto_name("convert_to_tensor"))
        if sparse or ragged:
            raise ValueError(
                "minikeras has no sparse or ragged tensors. Received: "
                f"sparse={sparse}, ragged={ragged} in '{self.name}'"
            )
        self.dtype = dtype

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.dtype]:
        """The array itself, cast to `dtype` if there is one."""
        return x.astype(self.dtype or x.dtype, copy=False), x.dtype

    def backward(
        self, dy: np.ndarray, residuals: np.dtype, grads: Gradients
    ) -> np.ndarray | None:
        """dy, in the dtype of x; None for integers and booleans."""
        return dy.astype(residuals, copy=False) if residuals.kind == "f" else None

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        given = {"dtype": self.dtype, "sparse": None, "ragged": None}
        return {**super().get_config(), **given}


AnyTrue.__name__ = "Any"  # what summaries show; in this file that name is taken

install_operators(
    {
        "lt": Less,
        "le": LessEqual,
        "gt": Greater,
        "ge": GreaterEqual,
        "ne": NotEqual,
    },
    reflected=False,
)
install_operators(
    {
        "and": LogicalAnd,
        "or": LogicalOr,
        "xor": LogicalXor,
        "floordiv": FloorDivide,
        "mod": Mod,
    }
)
KerasTensor.__invert__ = lambda self: LogicalNot()(self)  # type: ignore[attr-defined]
