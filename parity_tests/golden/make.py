"""Writes the golden files of one library: `python make.py tf_keras` (or `keras`).

Run it where that library is installed, such as in a virtual environment of its own; the
zip is named after library and version. `expected.npz` has for each file an input and
the output of the library that wrote it. The weights after one more training step tell
whether the optimizer was read as well.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
keras = importlib.import_module(sys.argv[1])
L = keras.layers
OLD = keras.__version__.startswith("2.")
FOLDER = Path(tempfile.mkdtemp())
TARGET = Path(__file__).parent / f"{sys.argv[1]}_{keras.__version__}.zip"
expected: dict[str, np.ndarray] = {}


def keep(name: str, model, x: np.ndarray) -> None:
    expected[f"{name}.x"] = x
    expected[f"{name}.y"] = np.asarray(model.predict(x, verbose=0))


def train(model, x: np.ndarray, steps: int) -> None:
    y = np.ones(model.output_shape[1:], "float32")[None].repeat(len(x), 0)
    for _ in range(steps):
        model.train_on_batch(x, y)


def main() -> None:
    keras.utils.set_random_seed(1)
    draw = np.random.default_rng(0)

    model = keras.Sequential(
        [
            L.Input((4,)),
            # A bias before the normalization would have a gradient of mere rounding.
            L.Dense(
                3, activation="hard_sigmoid", kernel_regularizer="l2", use_bias=False
            ),
            L.BatchNormalization(),
            L.Dense(2, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x = draw.normal(size=(8, 4)).astype("float32")
    train(model, x, 3)
    model.save(FOLDER / "dense.keras")  # NB: Keras 3 forgets the optimizer in `.h5`
    model.save(FOLDER / "dense.h5")
    if OLD:
        model.save_weights(FOLDER / "dense_weights.h5")
    text = json.loads(model.to_json())
    (FOLDER / "dense.json").write_text(json.dumps(text, indent=1) + "\n")
    keep("dense", model, x)
    train(model, x, 1)
    for i, w in enumerate(model.get_weights()):
        expected[f"dense.after.{i}"] = w

    model = keras.Sequential(
        [
            L.Embedding(6, 3, mask_zero=True),
            L.LSTM(2, recurrent_activation="hard_sigmoid"),
            L.LeakyReLU(0.1),
        ]
    )
    ids = draw.integers(0, 6, (5, 4)).astype("float32")
    model(ids)
    keep("lstm", model, ids)
    model.save(FOLDER / "lstm.h5")

    inner_in = keras.Input((5,), name="inner_in")
    inner = keras.Model(inner_in, L.Dense(5, name="shared")(inner_in), name="inner")
    a, b = keras.Input((6, 6, 1), name="a"), keras.Input((5,), name="b")
    y = L.Conv2D(2, 3, name="block/conv" if OLD else "conv")(a)
    y = L.BatchNormalization(axis=3)(y)
    y = L.Flatten()(L.MaxPooling2D()(y))
    y = L.Dense(5, activation="relu", name="block/dense" if OLD else "dense")(y)
    y = inner(y)
    z = inner(b)
    model = keras.Model([a, b], [y, z], name="two")
    images = draw.normal(size=(2, 6, 6, 1)).astype("float32")
    rows = draw.normal(size=(2, 5)).astype("float32")
    out = model.predict([images, rows], verbose=0)
    expected.update(
        {"two.x": images, "two.x2": rows, "two.y": out[0], "two.y2": out[1]}
    )
    model.save(FOLDER / "two.h5")

    if OLD:
        model = keras.Sequential([L.Input((3,)), L.Dense(2)])
        model.compile(keras.optimizers.legacy.Adam(0.01, decay=0.1), "mse")
        x = draw.normal(size=(4, 3)).astype("float32")
        train(model, x, 3)
        model.save(FOLDER / "old_adam.h5")
        keep("old_adam", model, x)
        train(model, x, 1)
        for i, w in enumerate(model.get_weights()):
            expected[f"old_adam.after.{i}"] = w
    np.savez(FOLDER / "expected.npz", **expected)
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(FOLDER.iterdir()):
            archive.write(path, path.name)


main()
