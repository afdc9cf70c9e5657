"""The same gradients from Keras, whatever its backend.

The inputs are made weights of a Keras layer whose output is the number to derive, and
one step of plain gradient descent with the learning rate 1 takes the gradient off them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from minikeras.teach.exercises.exercise import Exercise


def keras_answers(
    exercise: Exercise, keras: Any, inputs: dict[str, Any], names: list[str]
) -> dict[str, np.ndarray]:
    """What Keras says: outputs, or the gradients by their names."""
    if not exercise.is_gradient:
        v = SimpleNamespace(**inputs)
        found = exercise.keras(keras, v)
        return {n: keras.ops.convert_to_numpy(y) for n, y in found.items()}
    sources = {name: exercise.source(name) for name in names}
    floats = {s: inputs[s] for s in sources.values() if s in inputs}
    after = _one_step(exercise, keras, inputs, floats)
    return {n: inputs[s] - after[s] for n, s in sources.items() if s in after}


def _one_step(
    exercise: Exercise, keras: Any, inputs: dict[str, Any], floats: dict[str, Any]
) -> dict[str, Any]:
    """The inputs after `w <- w - gradient`."""

    class Probe(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.held = {
                name: self.add_weight(
                    name=name, shape=value.shape, initializer="zeros", dtype="float64"
                )
                for name, value in floats.items()
            }

        def call(self, unused: Any) -> Any:
            held = {n: keras.ops.convert_to_tensor(w) for n, w in self.held.items()}
            v = SimpleNamespace(**{**inputs, **held})
            total = 0.0
            for name, y in exercise.keras(keras, v).items():
                total = total + keras.ops.sum(inputs[f"d{name}"] * y)
            return keras.ops.reshape(total, (1, 1)) + 0 * unused

    probe = Probe(dtype="float64")
    model = keras.Sequential([keras.Input((1,), dtype="float64"), probe])
    for name, value in floats.items():
        probe.held[name].assign(value)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=lambda y_true, y_pred: keras.ops.mean(y_pred),
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    one = np.zeros((1, 1))
    model.train_on_batch(one, one)
    return {name: w.numpy() for name, w in probe.held.items()}
