"""Where seeds come from: `set_random_seed`, `SeedGenerator`, the global generator.

The streams of `streams.py` are functions of a pair of integers. Keras deals out such
pairs, and this module deals out the same ones at the same moments:

- an object that needs a seed and is given none draws one from Python's `random`, when
  it is constructed: every random initializer, every SeedGenerator;
- a SeedGenerator yields (seed, 0), (seed, 1), (seed, 2), ...;
- functions called with `seed=None` ask one global generator, made when first needed.
"""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from minikeras import micro_batch, naming
from minikeras.registry import public
from minikeras.symbolic import KerasTensor, Node, Operation
from minikeras.tracing import tracing
from minikeras.variables import Variable

# NB: Keras on TensorFlow reduces seeds modulo int32's maximum minus one.
_SEED_MODULUS = 2**31 - 2
_INT64 = range(-(2**63), 2**63)

_random_seed: int | None = None
_data_seed: int | None = None
_global_generator: SeedGenerator | None = None


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, `numpy.random` and everything drawn in minikeras.

    Call it first: from then on initial weights, dropout masks and the order of examples
    in `fit` are those of a Keras script that begins with the same call.

    Args:
        seed: integer in [0, 2**32 - 1].

    Raises:
        ValueError: for anything else; nothing has been seeded then.

    >>> set_random_seed(7)
    >>> make_default_seed()
    347712783
    """
    global _random_seed, _data_seed, _global_generator
    if not isinstance(seed, int):
        raise ValueError(
            "Expected `seed` argument to be an integer. "
            f"Received: seed={seed} (of type {type(seed)})"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"Seed must be between 0 and 2**32 - 1. Received: seed={seed}")
    _random_seed = _data_seed = int(seed)
    _global_generator = None
    python_random.seed(seed)
    # Scripts make their data with it; Keras seeds it too.
    np.random.seed(seed)  # noqa: NPY002


def get_random_seed() -> int | None:
    """The seed of the last `set_random_seed` since `clear_session`, or None."""
    return _random_seed


def get_data_seed() -> int | None:
    """The seed that orders examples in `fit`, or None: a new order each time.

    NB: Keras's `clear_session` forgets the seed of `set_random_seed`, but TensorFlow,
    which shuffles, does not. So this one stays.
    """
    return _data_seed


@naming.on_clear_session
def _forget() -> None:
    global _random_seed, _global_generator
    _random_seed = _global_generator = None


@public("keras.random")
class SeedGenerator:
    """Deals out a new pair of seeds at each call of `next`.

    A function such as `random.normal(shape, seed=3)` is stateless: it returns the same
    numbers every time. With `seed=SeedGenerator(3)` it returns new ones every time.

    Args:
        seed: integer, or None: one is drawn from Python's `random`, now.
        name: defaults to `seed_generator`, `seed_generator_1`, ...

    **Keeps**
        `state`: a Variable (2,) int64, [seed, number of pairs dealt out].

    >>> generator = SeedGenerator(3)
    >>> generator.next(), generator.next()
    (array([3, 0]), array([3, 1]))
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        self.name = name or naming.auto_name(type(self).__name__)
        backend = kwargs.pop("backend", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        if backend is not None:
            raise ValueError(
                "minikeras has one backend, NumPy; `backend` must be None. "
                f"Received: backend={backend}"
            )
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        _check_seed(seed, "Argument `seed` must be an integer.")
        with naming.name_scope(self.name, caller=self):
            self.state = Variable(
                np.array([seed, 0], np.int64),
                trainable=False,
                aggregation="none",
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> np.ndarray:
        """Returns the state and moves it on.

        Args:
            ordered: count the second number up by one; otherwise hop through a sequence
                of numbers below a million, as the global generator does.
        """
        if tracing():  # a pair for each run of the graph
            return _NextPair(self, ordered).record()
        part = micro_batch.current()
        if part is not None:  # all parts of a batch get the same pair
            return part.pair(self, lambda: self._move_on(ordered))
        return self._move_on(ordered)

    def _move_on(self, ordered: bool) -> np.ndarray:
        pair = self.state.numpy()
        if ordered:
            self.state.assign(pair + np.array([0, 1]))
        else:
            with np.errstate(over="ignore"):  # int64 wraps around, as in TensorFlow
                self.state.assign((pair + 1) * 5387 % 933199)
        return pair

    def get_config(self) -> dict[str, Any]:
        """The seed as it was given (None stays None) and the name."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A generator that starts again from the configured seed."""
        return cls(**config)


class _NextPair(Operation):
    """`SeedGenerator.next` in a `call` that is traced."""

    def __init__(self, generator: SeedGenerator, ordered: bool):
        super().__init__(name=naming.auto_name("next_seed"))
        self.ordered = ordered
        self.generator = generator

    def record(self) -> Any:
        """The symbolic pair."""
        pair = KerasTensor((2,), "int64")
        Node(self, (self.generator,), {}, pair)
        return pair

    def forward(self, generator: SeedGenerator) -> tuple[np.ndarray, None]:
        """The next pair."""
        return generator.next(self.ordered), None


def global_seed_generator() -> SeedGenerator:
    """The generator behind `seed=None`; made, and seeded, when first asked for."""
    global _global_generator
    if _global_generator is None:
        _global_generator = SeedGenerator()
    return _global_generator


def make_default_seed() -> int:
    """A seed for an object that was given none, from Python's `random`."""
    return python_random.randint(1, 10**9)


def draw_seed(seed: int | SeedGenerator | np.ndarray | None) -> np.ndarray:
    """The pair of seeds, int64 (2,), for one call of a random function.

    A SeedGenerator and the global generator (None) move on; an integer gives the same
    pair always; a pair drawn before is returned as it is.

    >>> draw_seed(42)
    array([42,  0])
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next(ordered=False)
    if isinstance(seed, np.ndarray) and seed.dtype == np.int64 and seed.shape == (2,):
        return seed
    if not isinstance(seed, int):
        raise ValueError(
            "Argument `seed` must be either an integer or an instance of "
            f"`SeedGenerator`. Received: seed={seed} (of type {type(seed)})"
        )
    _check_seed(seed, "Argument `seed` must be an integer or a `SeedGenerator`.")
    return np.array([seed, 0], np.int64)


def stream_seed(pair: np.ndarray) -> tuple[int, int]:
    """The pair as the streams take it: reduced the way Keras reduces it."""
    first, second = (int(s) % _SEED_MODULUS for s in pair)
    return first, second


def _check_seed(seed: Any, message: str) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"{message} Received: seed={seed}")
    if seed not in _INT64:
        raise ValueError(f"{message} It must fit in 64 bits. Received: seed={seed}")
