"""One layer alone: its forward, and its forward and backward, in any library.

minikeras has the two as methods. Keras leaves gradients to its backends, each of which
has its own way; all of them are compiled first, where they can be.
"""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.workloads import initial

SECONDS = 0.15  # of repetitions per measurement


class LayerCase(NamedTuple):
    """A layer and the shape of its input; `ids` if that is of integers below 10000."""

    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    ids: bool = False


CASES: dict[str, LayerCase] = {
    "Dense 512": LayerCase(lambda k: k.layers.Dense(512, "relu"), (128, 512)),
    "Conv2D 1 to 32": LayerCase(
        lambda k: k.layers.Conv2D(32, 3, activation="relu"), (128, 28, 28, 1)
    ),
    "Conv2D 32 to 64": LayerCase(
        lambda k: k.layers.Conv2D(64, 3, activation="relu"), (128, 13, 13, 32)
    ),
    "MaxPooling2D": LayerCase(lambda k: k.layers.MaxPooling2D(2), (128, 26, 26, 32)),
    "AveragePooling2D": LayerCase(
        lambda k: k.layers.AveragePooling2D(2), (128, 26, 26, 32)
    ),
    "BatchNormalization": LayerCase(
        lambda k: k.layers.BatchNormalization(), (128, 13, 13, 32)
    ),
    "LayerNormalization": LayerCase(
        lambda k: k.layers.LayerNormalization(), (32, 100, 128)
    ),
    "Dropout": LayerCase(lambda k: k.layers.Dropout(0.5, seed=1), (128, 1600)),
    "LSTM 128": LayerCase(lambda k: k.layers.LSTM(128), (32, 100, 128)),
    "LSTM 64, all steps": LayerCase(
        lambda k: k.layers.LSTM(64, return_sequences=True), (64, 50, 8)
    ),
    "Embedding 10000x128": LayerCase(
        lambda k: k.layers.Embedding(10000, 128), (32, 100), ids=True
    ),
}


class Calls(NamedTuple):
    """Two functions without arguments, which run and wait for the result."""

    forward: Callable[[], Any]
    both: Callable[[], Any]  # forward and backward; returns (y, gradients of weights)


def time_layer(keras: Any, name: str) -> dict[str, Any]:
    """Median seconds of both calls, and numbers to compare the results by."""
    case = CASES[name]
    calls, gradients = prepare(keras, case)
    return {
        "forward": _median_seconds(calls.forward),
        "both": _median_seconds(calls.both),
        "numbers": [] if name == "Dropout" else [_norm(g) for g in gradients()],
    }


def prepare(keras: Any, case: LayerCase) -> tuple[Calls, Callable[[], list]]:
    """(the two calls, what gives y and all gradients as arrays)."""
    generator = np.random.default_rng(4)
    if case.ids:
        x = generator.integers(0, 10000, case.shape).astype(np.int32)
    else:
        x = generator.standard_normal(case.shape, dtype=np.float32)
    layer = case.make(keras)
    layer.build(case.shape)
    if hasattr(layer, "cell") or hasattr(layer, "kernel") or case.ids:
        layer.set_weights([initial(generator, w.shape) for w in layer.get_weights()])
    dy = generator.standard_normal(
        tuple(layer.compute_output_shape(case.shape)), dtype=np.float32
    )
    calls = _MAKERS[keras.backend.backend()](keras, layer, x, dy)

    def gradients() -> list[np.ndarray]:
        y, found = calls.both()
        return [np.asarray(a) for a in (y, *found)]

    return calls, gradients


def _numpy(keras: Any, layer: Any, x: Any, dy: Any) -> Calls:
    from threadpoolctl import threadpool_limits

    # As in a training step, where the other core has another part of the batch.
    threadpool_limits(1, "blas")

    def forward() -> Any:
        return layer.run_forward((x,), {}, True, None)

    def both() -> Any:
        y, residuals = forward()
        grads = keras.Gradients(layer.trainable_variables)
        layer.run_backward(dy, residuals, grads, True)
        return y, [grads[v] for v in layer.trainable_variables]

    return Calls(forward, both)


def _tensorflow(keras: Any, layer: Any, x: Any, dy: Any) -> Calls:
    import tensorflow as tf

    x, dy = tf.constant(x), tf.constant(dy)
    inputs = [] if x.dtype.is_integer else [x]

    @tf.function
    def forward() -> Any:
        return layer(x, training=True)

    @tf.function
    def both() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        weights = [v.value for v in layer.trainable_variables]
        found = tape.gradient(y, [*weights, *inputs], dy)[: len(weights)]
        return y, [tf.convert_to_tensor(g) for g in found]

    return Calls(forward, both)


def _jax(keras: Any, layer: Any, x: Any, dy: Any) -> Calls:
    import jax

    weights = [v.value for v in layer.trainable_variables]
    state = [v.value for v in layer.non_trainable_variables]
    x, dy = jax.numpy.asarray(x), jax.numpy.asarray(dy)

    takes_training = "training" in inspect.signature(layer.call).parameters
    arguments = {"training": True} if takes_training else {}

    def call(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, state, x, **arguments)[0]

    @jax.jit
    def backward(weights: Any, x: Any) -> Any:
        if x.dtype.kind == "i":
            y, pull = jax.vjp(lambda w: call(w, x), weights)
            return y, (*pull(dy), None)
        y, pull = jax.vjp(call, weights, x)
        return y, pull(dy)

    forward = jax.jit(call)

    def both() -> Any:
        y, (found, _) = jax.block_until_ready(backward(weights, x))
        return y, found

    return Calls(lambda: forward(weights, x).block_until_ready(), both)


def _torch(keras: Any, layer: Any, x: Any, dy: Any) -> Calls:
    import torch

    x, dy = torch.from_numpy(x), torch.from_numpy(dy)
    weights = [v.value for v in layer.trainable_variables]

    def forward() -> Any:
        with torch.no_grad():
            return layer(x, training=True)

    def both() -> Any:
        inputs = x if not x.is_floating_point() else x.detach().requires_grad_()
        y = layer(inputs, training=True)
        wanted = weights if inputs is x else [inputs, *weights]
        found = torch.autograd.grad(y, wanted, dy)
        return y.detach(), list(found[len(wanted) - len(weights) :])

    return Calls(forward, both)


_MAKERS = {"numpy": _numpy, "tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def _median_seconds(call: Callable[[], Any]) -> float:
    call()
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(seconds) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _norm(array: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))
