"""The libraries that are compared, each in processes of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

# name in the tables -> (module, Keras's backend, package that must be there)
BACKENDS = {
    "minikeras": ("minikeras", "", "minikeras"),
    "tensorflow": ("keras", "tensorflow", "tensorflow"),
    "jax": ("keras", "jax", "jax"),
    "torch": ("keras", "torch", "torch"),
}


def installed(names: list[str] | None = None) -> list[str]:
    """Those of the named backends (default all) that can run here."""
    return [
        name
        for name, (module, _, package) in BACKENDS.items()
        if (names is None or name in names)
        and importlib.util.find_spec(package)
        and importlib.util.find_spec(module)
    ]


def environment(backend: str) -> dict[str, str]:
    """The environment of a process of this backend."""
    return {
        **os.environ,
        "KERAS_BACKEND": BACKENDS[backend][1] or "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }


class Process:
    """A running `benchmarks.worker`; `process.time(name="cnn")` sends a command.

    Args:
        backend: a key of `BACKENDS`.
    """

    def __init__(self, backend: str):
        self.backend = backend
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", BACKENDS[backend][0]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(backend),
            text=True,
        )

    def send(self, command: str, **arguments: Any) -> None:
        """Sends a command without waiting for the answer."""
        try:
            self._process.stdin.write(
                json.dumps({"command": command, **arguments}) + "\n"
            )
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended; `answer` says why

    def answer(self) -> dict[str, Any]:
        """The answer to the last command."""
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            tail = "\n".join(self._errors.read().splitlines()[-15:])
            raise RuntimeError(f"The process of {self.backend} ended:\n{tail}")
        return json.loads(line)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Sends a command and waits for the answer."""
        self.send(command, **arguments)
        return self.answer()

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._errors.close()


class Processes(dict):
    """One process per backend, for a `with` block; they start side by side."""

    def __init__(self, backends: list[str]):
        super().__init__((name, Process(name)) for name in backends)

    def ask_all(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Asks one after the other: backend -> answer."""
        return {name: p.ask(command, **arguments) for name, p in self.items()}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.values():
            process.close()
