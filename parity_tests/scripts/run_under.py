"""`python -m parity_tests.scripts.run_under LIBRARY DTYPE OUT.npz [SCRIPT ...]`.

Runs scripts under `keras` or `minikeras`, whose name is all that it knows, and writes
what they return. A script may be given arguments: `convnet:dropout_seed=8`.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

SCRIPTS = [
    "walks", "mlp", "convnet", "lstm", "noise", "data_order", "two_fits", "constants",
    "streams",
]  # fmt: skip
OTHER = {"keras": "minikeras", "minikeras": "tensorflow"}


def main(arguments: Sequence[str]) -> int:
    """Runs the scripts, all by default."""
    library, dtype, out, *names = arguments
    os.environ.update(
        KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1"
    )
    warnings.simplefilter("ignore")  # a script that runs out of data is told so
    keras = importlib.import_module(library)
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    found: dict[str, np.ndarray] = {}
    for name in names or SCRIPTS:
        start = time.perf_counter()
        for path, array in flat(run(keras, name)):
            found[f"{name}/{path}"] = array
        print(f"{name}: {time.perf_counter() - start:.1f} s")
    if OTHER[library] in sys.modules:
        raise RuntimeError(f"{OTHER[library]} was imported in a run of {library}.")
    np.savez(out, **found)
    return 0


def run(keras: Any, name: str) -> dict[str, Any]:
    """What a script returns, and what it left of the random generators."""
    script, *options = name.split(":")
    arguments = {key: int(value) for key, value in (o.split("=") for o in options)}
    module = importlib.import_module(f"parity_tests.scripts.{script}")
    keras.utils.clear_session()
    drawn = []
    original = random.randint

    def randint(low: int, high: int) -> int:
        drawn.append(original(low, high))
        return drawn[-1]

    random.randint = randint
    try:
        result = module.main(keras, **arguments)
    finally:
        random.randint = original
    exact = {
        "seeds drawn from Python's random": np.array(drawn, np.int64),
        "state of Python's random": np.array(random.getstate()[1], np.uint64),
        "state of NumPy's random": np.random.get_state()[1],  # noqa: NPY002
    }
    return {**result, "generators": {"exact": exact}}


def flat(structure: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in nested dicts and lists, with their places: `final/0/kernel`."""
    if isinstance(structure, dict):
        items = structure.items()
    elif isinstance(structure, list | tuple) and not _numbers(structure):
        items = enumerate(structure)
    else:
        yield path, np.asarray(structure)
        return
    for key, value in items:
        yield from flat(value, f"{path}/{key}" if path else str(key))


def _numbers(values: Any) -> bool:
    return all(isinstance(value, float) for value in values)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
