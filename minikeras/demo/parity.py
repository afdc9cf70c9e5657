"""The same model in Keras: forward, gradients and training, side by side.

Keras is imported here, and only here, by name at run time: minikeras does not need it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minikeras import Gradients
from minikeras.demo.tasks import Task


class Difference(NamedTuple):
    """How far two sets of arrays are apart."""

    what: str
    largest: float  # max |a - b|
    ulp: float  # the same, in units of the last place of the largest |b|


def keras_is_installed() -> bool:
    """Whether Keras and TensorFlow can be imported."""
    return all(importlib.util.find_spec(name) for name in ("keras", "tensorflow"))


def _import_keras() -> tuple[Any, Any]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return importlib.import_module("keras"), importlib.import_module("tensorflow")


@contextmanager
def without_stderr() -> Iterator[None]:
    """TensorFlow's C++ code talks on standard error, whatever the log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def difference(what: str, ours: list[np.ndarray], theirs: list[Any]) -> Difference:
    """The largest difference over several pairs of arrays."""
    largest = ulp = 0.0
    for a, b in zip(ours, theirs, strict=True):
        b = np.asarray(b)
        gap = float(np.max(np.abs(a.astype("float64") - b.astype("float64"))))
        scale = np.max(np.abs(b)).astype(b.dtype)
        largest = max(largest, gap)
        ulp = max(ulp, gap / float(np.spacing(scale)))
    return Difference(what, largest, ulp)


def compare(task: Task, steps: int = 10) -> Iterator[Difference]:
    """Gives Keras the task's model, with the weights it has now, and compares.

    Args:
        task: model and data.
        steps: number of training steps for the last comparison.
    """
    keras, tf = _import_keras()
    model = task.model
    twin = keras.models.model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    twin.compile(type(model.optimizer).__name__.lower(), model.loss)
    x, y = task.train[0][:64], task.train[1][:64]

    yield difference("forward outputs", [model(x)], [twin(x)])

    with tf.GradientTape() as tape:
        loss = twin.compute_loss(y=tf.constant(y), y_pred=twin(x, training=True))
    expected = tape.gradient(loss, [v.value for v in twin.trainable_variables])
    yield difference("gradients", gradients(model, x, y), expected)

    count = steps * task.batch_size
    x, y = task.train[0][:count], task.train[1][:count]
    history = {}
    for name, each in (("ours", model), ("theirs", twin)):
        each.compile(type(model.optimizer).__name__.lower(), model.loss)
        run = each.fit(x, y, batch_size=task.batch_size, shuffle=False, verbose=0)
        history[name] = np.array(run.history["loss"], "float32")
    label = f"weights after {steps} steps"
    yield difference(label, model.get_weights(), twin.get_weights())
    yield difference("loss", [history["ours"]], [history["theirs"]])


def gradients(model: Any, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The gradient of the compiled loss with respect to every trainable weight."""
    from minikeras.trainers.step import run_step

    result = run_step(model, x, y, None, training=True, gradients=True)
    grads = result.grads or Gradients()
    return [grads[v] for v in model.trainable_variables]
