"""`keras.ops`: products of matrices and other sums of products."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import operations
from minikeras.ops.stable import as_array
from minikeras.tensors.base import NUMPY, TensorOperation, apply, operation
from minikeras.tensors.pairs import _binary


def matmul(x1: Any, x2: Any) -> Any:
    """`x1 @ x2`."""
    return _binary(operations.Matmul, x1, x2)


class Pair(TensorOperation):
    """A product of two tensors."""

    def _both(self, x1: Any, x2: Any) -> tuple[np.ndarray, np.ndarray]:
        return operations._promoted(as_array(x1), as_array(x2))


@operation(NUMPY, axes=2)
class Tensordot(Pair):
    """The sum of products over some axes of each; both gradients are tensordots."""

    axes: Any

    def _axes(self, a: np.ndarray, b: np.ndarray) -> tuple[list[int], list[int]]:
        if isinstance(self.axes, int):
            n = self.axes
            return list(range(a.ndim - n, a.ndim)), list(range(n))
        first, second = (np.atleast_1d(axes).tolist() for axes in self.axes)
        return [i % a.ndim for i in first], [i % b.ndim for i in second]

    def forward(self, x1: Any, x2: Any) -> tuple[np.ndarray, Any]:
        """(y, (a, b))."""
        a, b = self._both(x1, x2)
        return np.asarray(np.tensordot(a, b, self._axes(a, b))), (a, b)

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[Any, Any]:
        """Of a as (free, summed), b as (summed, free): da = dy b.T, db = a.T dy."""
        a, b = residuals
        axes_a, axes_b = self._axes(a, b)
        free_a = [i for i in range(a.ndim) if i not in axes_a]
        free_b = [i for i in range(b.ndim) if i not in axes_b]
        n = len(free_a)
        da = np.tensordot(dy, b, (list(range(n, dy.ndim)), free_b))
        db = np.tensordot(a, dy, (free_a, list(range(n))))
        # da: the free axes of a, then the summed ones in the order of b
        order_b = np.argsort(axes_b)
        summed_a = [axes_a[i] for i in order_b]
        order_a = np.argsort(axes_a)
        summed_b = [axes_b[i] for i in order_a]
        da = np.transpose(da, np.argsort([*free_a, *summed_a]))
        db = np.transpose(db, np.argsort([*summed_b, *free_b]))
        return da, db


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sums of products over the last `axes` axes of `x1` and the first of `x2`, or over
    a pair of lists of axes."""
    return apply(Tensordot, x1, x2, axes=axes)


def dot(x1: Any, x2: Any) -> Any:
    """Sums of products over the last axis of `x1` and the last but one of `x2`."""
    rank1, rank2 = (
        len(np.shape(x1) if not hasattr(x1, "shape") else x1.shape),
        len(np.shape(x2) if not hasattr(x2, "shape") else x2.shape),
    )
    if rank1 == 0 or rank2 == 0:
        return _binary(operations.Multiply, x1, x2)
    return tensordot(x1, x2, axes=([-1], [-1 if rank2 == 1 else -2]))


def vdot(x1: Any, x2: Any) -> Any:
    """The sum of products of all elements."""
    from minikeras.tensors.shapes import ravel

    return tensordot(ravel(x1), ravel(x2), axes=1)


def outer(x1: Any, x2: Any) -> Any:
    """The product of every element of one with every element of the other."""
    from minikeras.tensors.shapes import ravel

    return tensordot(ravel(x1), ravel(x2), axes=0)


@operation(NUMPY, subscripts=None)
class Einsum(TensorOperation):
    """Sums of products by Einstein's rule.

    The gradient of each operand is an einsum too: of dy and the other operands, with
    the operand's own subscripts as the result. An axis of the operand that appears
    nowhere else was summed alone: dy is repeated along it.
    """

    subscripts: str

    def forward(self, *operands: Any) -> tuple[np.ndarray, Any]:
        """(y, operands)."""
        found = [as_array(o) for o in operands]
        dtype = np.result_type(*found)
        found = [o.astype(dtype, copy=False) for o in found]
        return np.asarray(np.einsum(self.subscripts, *found, optimize=True)), found

    def gradients(self, dy: np.ndarray, residuals: Any) -> tuple[Any, ...]:
        """One for each operand."""
        shapes = [o.shape for o in residuals]
        inputs, output = explicit(self.subscripts, [len(s) for s in shapes])
        found = []
        for i, own in enumerate(inputs):
            if len(set(own)) != len(own):
                raise NotImplementedError(
                    f"The gradient of a diagonal is not implemented: '{own}' in "
                    f"subscripts='{self.subscripts}'"
                )
            others = [s for j, s in enumerate(inputs) if j != i]
            arrays = [o for j, o in enumerate(residuals) if j != i]
            present = set(output).union(*others)
            kept = "".join(c for c in own if c in present)
            terms = ",".join([output, *others])
            dx = np.einsum(f"{terms}->{kept}", dy, *arrays, optimize=True)
            sizes = dict(zip(own, shapes[i], strict=True))
            dx = dx.reshape([sizes[c] if c in kept else 1 for c in own])
            found.append(np.broadcast_to(dx, shapes[i]).astype(dy.dtype))
        return tuple(found)


def explicit(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """(the subscripts of each operand, those of the result), without `...`.

    >>> explicit("...ij,jk", [3, 2])
    (['Aij', 'jk'], 'Aik')
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    pairs = zip(terms, ranks, strict=True)
    most = max((r - len(t) + 3 for t, r in pairs if "..." in t), default=0)
    dots = "".join(free[:most])
    inputs = [
        t.replace("...", dots[len(dots) - (r - len(t) + 3) :] if r - len(t) + 3 else "")
        for t, r in zip(terms, ranks, strict=True)
    ]
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        once = sorted(c for c in set(letters) if letters.count(c) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    return inputs, right.replace("...", dots)


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's rule, `einsum("ij,jk->ik", a, b)`."""
    return apply(Einsum, *operands, subscripts=subscripts)
