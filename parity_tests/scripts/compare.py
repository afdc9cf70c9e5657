"""`python -m parity_tests.scripts.compare [SCRIPT ...]`: how far apart the scripts end.

Starts the two libraries in processes of their own, and compares what they wrote.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from parity_tests import tolerance
from parity_tests.scripts.run_under import SCRIPTS

ROOT = Path(__file__).parents[2]
Arrays = Mapping[str, np.ndarray]


def results(
    dtype: str, names: Sequence[str] = (), ours: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What the scripts return under minikeras and under Keras.

    Args:
        dtype: `"float32"` or `"float64"`.
        names: the scripts; default all.
        ours: further ones, with arguments, that only minikeras runs.
    """
    names = list(names or SCRIPTS)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{library}.npz" for library in ("minikeras", "keras")]
        runs = [_start("minikeras", dtype, paths[0], [*names, *ours])]
        runs.append(_start("keras", dtype, paths[1], names))
        said = [process.communicate()[1] for process in runs]  # both to their ends
        for process, errors in zip(runs, said, strict=True):
            if process.returncode:
                raise AssertionError(f"{process.args}\n{errors}")
        return _load(paths[0]), _load(paths[1])


def _start(library: str, dtype: str, out: Path, names: Sequence[str]):
    command = [sys.executable, "-m", "parity_tests.scripts.run_under"]
    return subprocess.Popen(
        [*command, library, dtype, str(out), *names],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def of_script(arrays: Arrays, script: str) -> dict[str, np.ndarray]:
    """The arrays of one script, without its name."""
    parts = {name: name.split("/", 1) for name in arrays}
    return {parts[n][1]: a for n, a in arrays.items() if parts[n][0] == script}


def problems(actual: Arrays, expected: Arrays, dtype: str) -> list[str]:
    """What is not as promised, of one script in one dtype; empty if all is well."""
    if list(actual) != list(expected):
        odd = sorted(set(actual) ^ set(expected))
        return [f"other names, or in another order: {odd}"]
    found = []
    for name, array in expected.items():
        try:
            if is_exact(name):
                tolerance.assert_equal(actual[name], array, name=name)
            else:
                tolerance.assert_run_close(actual[name], array, dtype, name=name)
        except AssertionError as error:
            found.append(str(error))
    return found


def is_exact(name: str) -> bool:
    """Whether these numbers must agree bit for bit."""
    parts = name.split("/")
    # Orthogonal: two QR decompositions round differently.
    return "exact" in parts or ("initial" in parts and parts[-1] != "recurrent_kernel")


def distances(actual: Arrays, expected: Arrays) -> dict[str, float]:
    """The largest distance, relative to the largest value of its array, by kind."""
    found = {"history": 0.0, "weights": 0.0}
    for name, array in expected.items():
        if array.dtype.kind == "f" and array.size and not is_exact(name):
            # Differences of values that are all but zero mean nothing relatively.
            gap = float(np.abs(np.asarray(actual[name], np.float64) - array).max())
            scale = max(float(np.abs(array).max()), np.finfo(np.float32).tiny)
            kind = "weights" if "final" in name.split("/") else "history"
            found[kind] = max(found[kind], gap / scale)
    return found


def main(names: Sequence[str]) -> int:
    """Prints a table; 1 if a promise is broken."""
    names, broken = list(names or SCRIPTS), 0
    print("| script | dtype | history | weights |\n|---|---|---:|---:|")
    for dtype in ("float32", "float64"):
        ours, theirs = results(dtype, names)
        for name in names:
            pair = of_script(ours, name), of_script(theirs, name)
            for problem in problems(*pair, dtype):
                broken = 1
                print(f"{name}, {dtype}: {problem}", file=sys.stderr)
            far = distances(*pair) if list(pair[0]) == list(pair[1]) else {}
            cells = " | ".join(f"{value:.1e}" for value in far.values())
            print(f"| {name} | {dtype} | {cells} |")
    return broken


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
