"""`keras.random`: the same numbers as Keras on TensorFlow, from the same seeds.

    philox.py          counters to random bits
    glibc.py           float32 logarithm, sine and cosine to the last bit
    streams.py         bits to uniforms, normals, integers; any slice of a stream
    seed_generator.py  seeds, and who draws them when
    distributions.py   the public functions
    permutation.py     the order of examples in `fit`

Nothing else in minikeras draws random numbers.
"""

from minikeras.random.distributions import (
    beta,
    binomial,
    categorical,
    dropout,
    dropout_mask,
    gamma,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)
from minikeras.random.permutation import (
    fit_batch_permutations,
    fit_permutation,
    py_dataset_order,
)
from minikeras.random.seed_generator import (
    SeedGenerator,
    draw_seed,
    get_random_seed,
    global_seed_generator,
    make_default_seed,
    set_random_seed,
)

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "draw_seed",
    "dropout",
    "dropout_mask",
    "fit_batch_permutations",
    "fit_permutation",
    "gamma",
    "get_random_seed",
    "global_seed_generator",
    "make_default_seed",
    "normal",
    "py_dataset_order",
    "randint",
    "set_random_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
