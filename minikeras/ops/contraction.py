"""Einstein sums of two arrays, through one matrix product, and their gradients.

`np.einsum` multiplies in a loop of its own; here axes are brought into the order
(batch, rows, inner) @ (batch, inner, columns), and BLAS does the rest.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """How the labels of `"a,b->out"` take part.

    Attributes:
        a, b, out: one letter per axis.
        batch: in all three: one product for each.
        inner: in a and b only: summed over.
        rows, columns: in a and out, or in b and out.
    """

    a: str
    b: str
    out: str
    batch: str
    inner: str
    rows: str
    columns: str


@functools.lru_cache(maxsize=256)
def plan(equation: str, a_rank: int) -> Plan:
    """Reads an equation; `...` in a and in the output stands for the other axes.

    >>> plan("...x,xy->...y", 3)[:3]
    ('ABx', 'xy', 'ABy')
    """
    inputs, out = equation.split("->")
    a, b = inputs.split(",")
    others = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    dots = "".join(others[: a_rank - len(a.replace("...", ""))])
    a, out = a.replace("...", dots), out.replace("...", dots)
    for labels in (a, b, out):
        if len(set(labels)) != len(labels):
            raise NotImplementedError(
                "minikeras sums products of different axes only: no letter twice in "
                f"one array. Received: equation {equation!r}"
            )
    return Plan(
        a,
        b,
        out,
        batch="".join(c for c in a if c in b and c in out),
        inner="".join(c for c in a if c in b and c not in out),
        rows="".join(c for c in a if c not in b and c in out),
        columns="".join(c for c in b if c not in a and c in out),
    )


def einsum(equation: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of products that the equation says, for two arrays.

    Args:
        equation: such as `"abc,cd->abd"`: letters name axes; those that are not in the
            output are summed over. `...` may stand for further axes of a.

    **Formula** For `"abc,cd->abd"`: `out[a, b, d] = sum_c A[a, b, c] * B[c, d]`.

    **Gradient** Write the sum down and derive it by one entry: dA[a, b, c] collects
    dout * B over all entries that A[a, b, c] went into, and these are told apart by the
    letters that A does not have. So it is an Einstein sum again, with the subscripts
    swapped:

        out = einsum("abc,cd->abd", A, B)
        dA  = einsum("abd,cd->abc", dout, B)
        dB  = einsum("abc,abd->cd", A, dout)

    A letter that stands in one array only, and not in the output, was summed over
    before anything else: all its entries get the same gradient.

    >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    >>> einsum("ab,bc->ac", a, b)
    array([[11.]])
    """
    p = plan(equation, a.ndim)
    a, a_labels = _sum_away(a, p.a, p.b + p.out)
    b, b_labels = _sum_away(b, p.b, p.a + p.out)
    sizes = dict(zip(a_labels + b_labels, a.shape + b.shape, strict=True))
    left = _arrange(a, a_labels, p.batch, p.rows, p.inner)
    right = _arrange(b, b_labels, p.batch, p.inner, p.columns)
    product = left @ right  # ([batch,] rows, inner) @ ([batch,] inner, columns)
    labels = p.batch + p.rows + p.columns
    product = product.reshape([sizes[c] for c in labels])
    return product.transpose([labels.index(c) for c in p.out])


def einsum_grad_a(
    equation: str, dy: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """The gradient with respect to the first array."""
    p = plan(equation, a.ndim)
    alone = [c for c in p.a if c not in p.b + p.out]
    kept = "".join(c for c in p.a if c not in alone)
    # in forward: out = einsum("a,b->out")
    da = einsum(f"{p.out},{p.b}->{kept}", dy, b)
    return _spread(da, kept, p.a, a.shape)


def einsum_grad_b(
    equation: str, dy: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """The gradient with respect to the second array."""
    p = plan(equation, a.ndim)
    alone = [c for c in p.b if c not in p.a + p.out]
    kept = "".join(c for c in p.b if c not in alone)
    # in forward: out = einsum("a,b->out")
    db = einsum(f"{p.a},{p.out}->{kept}", a, dy)
    return _spread(db, kept, p.b, b.shape)


def sum_to(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of broadcasting from `shape`: the sum over what was repeated.

    >>> sum_to(np.ones((2, 3)), (3,)), sum_to(np.ones((2, 3)), (2, 1))
    (array([2., 2., 2.]), array([[3.],
           [3.]]))
    """
    extra = dy.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1))
    return dy.sum(axis=axes).reshape(shape) if axes else dy


def _sum_away(x: np.ndarray, labels: str, others: str) -> tuple[np.ndarray, str]:
    """Sums over the axes that nobody else knows."""
    alone = tuple(i for i, c in enumerate(labels) if c not in others)
    if not alone:
        return x, labels
    return x.sum(axis=alone), "".join(c for c in labels if c in others)


def _arrange(
    x: np.ndarray, labels: str, batch: str, first: str, second: str
) -> np.ndarray:
    """x as ([batch,] first, second), each group of axes as one."""
    sizes = dict(zip(labels, x.shape, strict=True))
    x = x.transpose([labels.index(c) for c in batch + first + second])
    lengths = [math.prod(sizes[c] for c in group) for group in (first, second)]
    return x.reshape([sizes[c] for c in batch] + lengths)


def _spread(
    dx: np.ndarray, kept: str, labels: str, shape: tuple[int, ...]
) -> np.ndarray:
    """The gradient of `_sum_away`: the same for all that was summed."""
    if kept == labels:
        return dx
    missing = [i for i, c in enumerate(labels) if c not in kept]
    return np.broadcast_to(np.expand_dims(dx, tuple(missing)), shape).copy()
