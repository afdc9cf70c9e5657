"""Training goes on: fit, evaluate, predict, fit again, single steps, another seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity_tests.scripts.values import run, values


def main(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(6)
    x = np.random.normal(size=(100, 5))  # noqa: NPY002
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(20, activation="gelu")(inputs)
    hidden = keras.layers.Dropout(0.3)(hidden)
    hidden = keras.layers.BatchNormalization()(hidden)
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile("adamw", "binary_crossentropy", metrics=["accuracy"])
    results: dict[str, Any] = {"first": run(model, x, y, epochs=3)}
    results["evaluated"] = model.evaluate(x, y, verbose=0)
    results["predicted"] = model.predict(x[:9], verbose=0)
    history = model.fit(x, y, batch_size=25, epochs=6, initial_epoch=3, verbose=0)
    results["second"] = [history.history, values(model)]
    results["step"] = [
        model.train_on_batch(x[:10], y[:10]),
        model.test_on_batch(x, y),
        np.asarray(model(x[:10], training=True)),  # draws as well
        values(model),
    ]
    keras.utils.set_random_seed(7)  # another order, but the layers keep their seeds
    results["third"] = [model.fit(x, y, epochs=2, verbose=0).history, values(model)]
    clone = keras.models.clone_model(model)  # new seeds
    clone.compile("adam", "binary_crossentropy")
    results["clone"] = run(clone, x, y, epochs=2)
    return results
