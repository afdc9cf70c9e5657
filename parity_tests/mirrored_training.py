"""Trains one model in minikeras and, handed over, under TensorFlow's MirroredStrategy.

    python -m parity_tests.mirrored_training OUT.npz

It is a program of its own because the devices of a TensorFlow process are fixed when
it first computes. It writes the weights of both runs; test_interop_keras.py compares.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

import minikeras
from minikeras.interop import from_keras, to_keras
from parity_tests.oracle import tf

EXAMPLES, BATCH, EPOCHS = 24, 8, 3


def make() -> minikeras.Model:
    """A small ConvNet, compiled, with one step of training behind it."""
    minikeras.utils.set_random_seed(3)
    layers = minikeras.layers
    model = minikeras.Sequential(
        [
            minikeras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    adam = minikeras.optimizers.Adam(0.01)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(path: str) -> None:
    """Both runs."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    )
    rng = np.random.default_rng(5)
    x = rng.standard_normal((EXAMPLES, 6, 6, 1)).astype("float32")
    y = rng.integers(0, 3, EXAMPLES)
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    ours = make()
    ours.fit(x, y, epochs=1, **options)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    with strategy.scope():
        theirs = to_keras(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras says of its own strategy support
        history = theirs.fit(x, y, epochs=EPOCHS, **options)
    back = from_keras(theirs)
    expected = ours.fit(x, y, epochs=EPOCHS, **options)
    arrays = {"replicas": np.asarray(strategy.num_replicas_in_sync)}
    for name, model in (("ours", ours), ("back", back)):
        variables = [*model.weights, *model.optimizer.variables]
        arrays.update({f"{name}_{i}": v.numpy() for i, v in enumerate(variables)})
    arrays["ours_loss"] = np.asarray(expected.history["loss"], "float32")
    arrays["back_loss"] = np.asarray(history.history["loss"], "float32")
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
