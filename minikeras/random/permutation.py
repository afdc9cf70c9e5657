"""The order of examples in `fit`: TensorFlow's `tf.random.shuffle`.

Fisher and Yates: for i = 0, 1, ..., n - 2 exchange the elements i and
i + x_i % (n - i), with x_i the consecutive words of one Philox stream under the seed of
`set_random_seed`.

NB: Keras restarts this stream at every epoch, so in a seeded process all epochs of all
`fit` calls see their n examples in *one and the same* shuffled order. Without a seed
every epoch has its own.
"""

from __future__ import annotations

import random as python_random
import secrets
from collections.abc import Iterable

import numpy as np

from minikeras.random import philox
from minikeras.random.seed_generator import get_data_seed

_DATA_MODULUS = 2**31 - 1


def fit_permutation(n: int) -> np.ndarray:
    """The order of `n` examples for one epoch of `fit(shuffle=True)`, int64 (n,).

    >>> from minikeras.random import set_random_seed
    >>> set_random_seed(5)
    >>> fit_permutation(10)
    array([7, 4, 5, 9, 1, 2, 8, 6, 0, 3])
    """
    return fit_batch_permutations([n])[0]


def fit_batch_permutations(sizes: Iterable[int]) -> list[np.ndarray]:
    """The order inside each batch for one epoch of `fit(shuffle="batch")`.

    Args:
        sizes: the batches' sizes, in order.

    Returns:
        one int64 array per batch, a permutation of `range(size)`.
    """
    seed = get_data_seed()
    stream = _data_stream(secrets.randbits(62) if seed is None else seed)
    permutations, first_block = [], 0
    for size in sizes:
        draws = max(size - 1, 0)
        words = philox.words(stream, draws, first_block)
        permutations.append(_fisher_yates(size, words))
        first_block += -(-draws // philox.WORDS)  # the rest of a block is not used
    return permutations


def py_dataset_order(n: int) -> list[int]:
    """The order of the `n` batches of a `PyDataset` for one epoch.

    NB: Keras draws it from Python's `random`, so it changes with every epoch.
    """
    order = list(range(n))
    python_random.shuffle(order)
    return order


def _data_stream(seed: int) -> philox.Stream:
    """NB: TensorFlow takes the pair (seed, 0), but (0, 2**31 - 1) for seed 0."""
    seed %= _DATA_MODULUS
    return philox.raw_stream(seed, 0 if seed else _DATA_MODULUS)


def _fisher_yates(n: int, words: np.ndarray) -> np.ndarray:
    # The exchanges depend on each other; on a Python list they cost 0.15 us each.
    steps = np.arange(max(n - 1, 0))
    partners = (steps + words % (n - steps)).tolist()
    order = list(range(n))
    for i, j in enumerate(partners):
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)
