"""Row lookup in a table, and its gradient: a sum of rows per identifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def embedding_lookup(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The rows `table[ids]`.

    **Formula**: `y[..., :] = table[ids[...], :]`, the product of a one-hot matrix and
    the table without forming the former.

    Args:
        table: (V, D).
        ids: integers of any shape, each in [0, V).

    Returns:
        Array of shape `ids.shape + (D,)`.

    >>> embedding_lookup(np.array([[1.0], [2.0]]), np.array([1, 1, 0]))[:, 0]
    array([2., 2., 1.])
    """
    return np.take(table, ids, axis=0)


def embedding_grad_plain(dy: np.ndarray, ids: np.ndarray, rows: int) -> np.ndarray:
    """The gradient of the table, said directly: add each row of `dy` to its own row.

    `np.add.at` adds repeated ids one after the other; `dtable[ids] += dy` would keep
    only the last. `embedding_grad` is the same sum, faster.
    """
    dtable = np.zeros((rows, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, ids.ravel(), dy.reshape(ids.size, dy.shape[-1]))
    return dtable


class RowGroups(NamedTuple):
    """Which lookups went to the same row.

    Attributes:
        rows: the rows looked up, each once, in ascending order.
        order: the lookups sorted by row; those of one row in their own order.
        starts, counts: where in `order` each row's lookups begin, and how many.
    """

    rows: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


# Rows looked up more often than this are added up one row at a time.
FEW = 8


def row_groups(ids: np.ndarray) -> RowGroups:
    """Groups the lookups by row.

    >>> groups = row_groups(np.array([7, 4, 7]))
    >>> groups.rows, groups.order, groups.counts
    (array([4, 7]), array([1, 0, 2]), array([1, 2]))
    """
    ids = ids.reshape(-1)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    new = np.ones(len(ids), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=len(ids))
    return RowGroups(ordered[starts], order, starts, counts)


def embedding_grad(
    dy: np.ndarray, ids: np.ndarray, rows: int, groups: RowGroups | None = None
) -> np.ndarray:
    """The gradient of the table, a row at a time.

    **Gradient**: `dtable[v] = sum of dy[i] over all i with ids[i] == v`.

    Most rows are looked up once in a batch: they are copied, all at once. Then the
    second lookups of all rows that have one are added, all at once, then the third, up
    to `FEW`. The few rows that are looked up more often are summed one by one. Every
    sum is taken in the order of the lookups, so the result is that of
    `embedding_grad_plain` to the last bit, in a quarter of the time.

    Args:
        dy: ids.shape + (D,).
        ids: integers in [0, rows).
        rows: V, the number of rows of the table.
        groups: `row_groups(ids)`, if known.

    Returns:
        (V, D); rows whose id does not occur are zero.

    >>> embedding_grad(np.array([[1.0], [10.0], [100.0]]), np.array([2, 0, 2]), 3)[:, 0]
    array([ 10.,   0., 101.])
    """
    if dy.shape[-1] == 1:  # np.add.reduce would add up a single column pairwise
        return embedding_grad_plain(dy, ids, rows)
    dy = dy.reshape(ids.size, dy.shape[-1])  # ids.shape + (D,) -> (n, D)
    found, order, starts, counts = row_groups(ids) if groups is None else groups
    dtable = np.zeros((rows, dy.shape[-1]), dy.dtype)
    # in forward: y[i] = table[ids[i]]
    few = counts <= FEW
    for k in range(min(FEW, counts.max(initial=0))):
        chosen = few & (counts > k)
        lookups = order[starts[chosen] + k]
        if k == 0:
            dtable[found[chosen]] = dy[lookups]
        else:
            dtable[found[chosen]] += dy[lookups]  # no row occurs twice here
    for k in np.flatnonzero(~few):
        lookups = order[starts[k] : starts[k] + counts[k]]
        np.add.reduce(dy[lookups], axis=0, out=dtable[found[k]])
    return dtable
