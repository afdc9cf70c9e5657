"""One library in a process of its own: `python -m benchmarks.worker minikeras`.

Reads commands from standard input and answers on standard output, one JSON object per
line, so that several libraries can take turns in being timed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import sys
import time
from typing import Any

import numpy as np

from benchmarks import layer_timing
from benchmarks.workloads import (
    ONE_HIDDEN,
    WORKLOADS,
    Workload,
    build,
    tokens,
    work,
)

CHECKED_STEPS = 4  # before anything is timed, so many steps are compared


class Worker:
    """Answers commands: each method is one."""

    def __init__(self, module: str):
        start = time.perf_counter()
        self.keras = importlib.import_module(module)
        if module == "keras":
            self.keras.backend.backend()
        self.import_seconds = time.perf_counter() - start
        self.models: dict[str, tuple[Workload, Any, Any]] = {}

    def hello(self) -> dict[str, Any]:
        """Versions, and how long the import took."""
        return {"versions": versions(), "import_s": self.import_seconds}

    def check(self, name: str) -> dict[str, Any]:
        """Losses of a few steps without dropout, or predictions, from equal weights."""
        workload = WORKLOADS[name]
        model = build(self.keras, workload, rate=0.0)
        x, y = _data(workload, CHECKED_STEPS * workload.batch)
        if workload.method == "predict":
            return {"numbers": model.predict(x, verbose=0).ravel().tolist()}
        history = fit(model, workload, x, y, epochs=2)
        after = model.evaluate(x, y, batch_size=workload.batch, verbose=0)
        return {"numbers": [*history.history["loss"], float(after)]}

    def prepare(self, name: str, **changes: Any) -> dict[str, Any]:
        """Makes model and data, and runs them once: the time includes compilation.

        Args:
            name: of the workload.
            changes: of `Workload` (batch, steps, ...); `units` and `length` change
                the model and the length of its sequences.
        """
        workload = WORKLOADS.get(name, ONE_HIDDEN)
        workload = changed(workload, **changes)
        start = time.perf_counter()
        model = build(self.keras, workload)
        x, y = _data(workload, workload.batch * workload.steps)
        self.models[name] = (workload, model, (x, y))
        first = 1 if workload.method == "predict" else 2 * workload.batch
        run(workload, model, x[:first], y[:first])
        seconds = time.perf_counter() - start
        run(workload, model, x, y)  # caches of the allocator fill, threads start
        return {"seconds": seconds}

    def work(self, name: str) -> dict[str, Any]:
        """What cannot be avoided: see `workloads.Work`."""
        workload, model, _ = self.models[name]
        return work(model, workload)._asdict()

    def time(self, name: str) -> dict[str, Any]:
        """Seconds per step, by the clock and of the processor."""
        workload, model, (x, y) = self.models[name]
        start, cpu = time.perf_counter(), time.process_time()
        run(workload, model, x, y)
        wall = (time.perf_counter() - start) / workload.steps
        return {
            "seconds": wall,
            "cpu": (time.process_time() - cpu) / workload.steps,
        }

    def weights_hash(self, name: str, threads: int) -> dict[str, Any]:
        """A digest of all weights after a few steps on so many threads."""
        workload = WORKLOADS[name]
        from minikeras.threads import set_num_threads

        set_num_threads(threads)
        model = build(self.keras, workload)
        x, y = _data(workload, CHECKED_STEPS * workload.batch)
        fit(model, workload, x, y, epochs=1)
        digest = hashlib.sha256()
        for weight in model.get_weights():
            digest.update(np.ascontiguousarray(weight).tobytes())
        return {"sha256": digest.hexdigest()}

    def memory(self) -> dict[str, Any]:
        """The largest size that this process has had in memory."""
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"bytes": kilobytes * (1 if sys.platform == "darwin" else 1024)}

    def layer(self, name: str) -> dict[str, Any]:
        """Seconds of one layer's forward, and of its forward and backward."""
        return layer_timing.time_layer(self.keras, name)


def changed(
    workload: Workload, units: int | None = None, length: int | None = None, **fields
) -> Workload:
    """The workload with other sizes."""
    workload = workload._replace(**fields)
    if units is not None:
        layers = workload.layers
        workload = workload._replace(
            layers=lambda keras, rate: layers(keras, rate, units=units)
        )
    if length is not None:
        workload = workload._replace(data=tokens(length))
    return workload


def run(workload: Workload, model: Any, x: np.ndarray, y: np.ndarray) -> None:
    """What is timed."""
    if workload.method == "fit":
        fit(model, workload, x, y)
        return
    for i in range(len(x)):
        model.predict(x[i : i + 1], verbose=0)


def fit(model: Any, workload: Workload, x: Any, y: Any, epochs: int = 1) -> Any:
    """`model.fit` in the order of the data."""
    return model.fit(
        x, y, batch_size=workload.batch, epochs=epochs, shuffle=False, verbose=0
    )


def _data(workload: Workload, n: int) -> tuple[np.ndarray, np.ndarray]:
    return workload.data(np.random.default_rng(3), n)


def versions() -> dict[str, str]:
    """Versions of all that was imported and has to do with speed."""
    found = {}
    for name in ("numpy", "minikeras", "keras", "tensorflow", "jax", "torch"):
        if name in sys.modules:
            found[name] = str(getattr(sys.modules[name], "__version__", "?"))
    return found


def main(module: str) -> None:
    """Answers until the input ends. What libraries print goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(module)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("command"))(**command)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
