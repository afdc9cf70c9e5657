"""Writes `old/<library>_<version>.zip`: files of Keras 2, by the versions themselves.

`python make_old.py keras` (or `tensorflow.keras`), where that library is installed; for
the oldest that is Python 3.6, so nothing newer is used here. Multi-backend Keras takes
its backend from KERAS_BACKEND. `expected.npz` has for each file an input, the output,
and for trained models the weights before and after one more step.
"""

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
FOLDER = Path(tempfile.mkdtemp())
try:
    VERSION = keras.__version__
except AttributeError:  # tensorflow.keras
    VERSION = importlib.import_module("keras").__version__
BACKEND = keras.backend.backend() if hasattr(keras.backend, "backend") else "tensorflow"
LIBRARY = sys.argv[1].replace("tensorflow.keras", "tf_keras")
NAME = f"{LIBRARY}_{VERSION}" + ("" if BACKEND == "tensorflow" else f"_{BACKEND}")
TARGET = Path(__file__).parent / "old" / f"{NAME}.zip"
ZIPPED = VERSION.startswith(("2.12", "2.13", "2.14", "2.15"))  # these have `.keras`
DRAW = np.random.default_rng(0)
expected = {}
notes = {}


def draw(*shape):
    return DRAW.normal(size=shape).astype("float32")


def spread(model):
    """Random weights for what begins as zeros or ones: biases, BatchNormalization."""
    model.set_weights(
        [
            w + np.abs(DRAW.normal(size=w.shape)).astype(w.dtype) / 4
            for w in model.get_weights()
        ]
    )


def keep(name, model, x):
    """The file, what it predicts, and if it is compiled one more step of training."""
    spread(model)
    compiled = getattr(model, "optimizer", None) is not None
    y = np.ones((len(x), *model.output_shape[1:]), "float32")
    if compiled:
        for _ in range(3):
            model.train_on_batch(x, y)
    if ZIPPED and name in ("dense", "adam_amsgrad", "rmsprop_centered_momentum"):
        model.save(str(FOLDER / f"{name}.keras"))
    model.save(str(FOLDER / f"{name}.h5"))
    expected[f"{name}.x"] = x
    expected[f"{name}.y"] = np.asarray(model.predict(x, batch_size=64))
    if compiled:
        model.train_on_batch(x, y)
        for i, w in enumerate(model.get_weights()):
            expected[f"{name}.after.{i}"] = w


def clear():
    if hasattr(keras.backend, "clear_session"):  # Theano has none
        keras.backend.clear_session()


def attempt(name, make, x):
    """Notes which models this version cannot make."""
    clear()
    try:
        keep(name, make(), x)
    except Exception as error:
        notes[name] = f"{type(error).__name__}: {error}"[:200]
        print(name, notes[name])


def compiled(model, optimizer):
    model.compile(optimizer, "mse")
    return model


def dense():
    model = keras.models.Sequential()
    # A bias before the normalization would have a gradient of mere rounding.
    first = L.Dense(3, activation="hard_sigmoid", use_bias=False, input_shape=(4,))
    model.add(first)
    model.add(L.BatchNormalization())
    model.add(L.LeakyReLU(0.1))
    model.add(L.Dense(2, activation="sigmoid", kernel_regularizer="l2"))
    return model


def convolutions():
    """Two kinds of them, so that Theano's turned kernels show."""
    model = keras.models.Sequential()
    model.add(L.Conv2D(2, 3, padding="same", input_shape=(6, 5, 2)))
    model.add(L.BatchNormalization(axis=-1))
    model.add(L.Activation("relu"))
    model.add(L.MaxPooling2D())
    model.add(L.Reshape((3, 4)))
    model.add(L.Conv1D(2, 2))
    model.add(L.Flatten())
    return model


def recurrent(name, **options):
    def make():
        model = keras.models.Sequential()
        layer = getattr(L, name)
        model.add(layer(3, return_sequences=True, input_shape=(4, 2), **options))
        model.add(layer(2, go_backwards=True, **options))
        return model

    return make


def masked():
    model = keras.models.Sequential()
    model.add(L.Embedding(6, 3, mask_zero=True, input_length=4))
    model.add(L.LSTM(2))
    return model


def both_ways():
    model = keras.models.Sequential()
    lstm = L.LSTM(2, return_sequences=True)
    model.add(L.Bidirectional(lstm, input_shape=(4, 2)))
    model.add(L.TimeDistributed(L.Dense(2)))
    return model


def time_major():
    inputs = L.Input(batch_shape=(4, 3, 2))
    x = L.LSTM(3, time_major=True, return_sequences=True)(inputs)
    return keras.models.Model(inputs, L.LSTM(2, time_major=True)(x))


def graph():
    """A nested model called twice, a shared layer, names with "/"."""
    inner_in = L.Input((3,))
    inner = keras.models.Model(inner_in, L.Dense(3, name="d")(inner_in), name="inner")
    a = L.Input((3,), name="a")
    shared = L.Dense(3, name="block/shared")
    return keras.models.Model(a, inner(shared(inner(shared(a)))))


def optimizers():
    """Optimizer arguments, of those that there are."""
    yield "Adam", {"decay": 0.1}
    yield "Adam", {"amsgrad": True}
    yield "SGD", {"momentum": 0.9, "nesterov": True}
    yield "RMSprop", {"rho": 0.8}
    yield "RMSprop", {"centered": True, "momentum": 0.5}
    for name in ("Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl"):
        yield name, {}


def small(make, options):
    def build():
        model = keras.models.Sequential()
        model.add(L.Dense(3, activation="tanh", input_shape=(4,)))
        model.add(L.Dense(2))
        return compiled(model, make(**options))

    return build


def main():
    attempt("dense", lambda: compiled(dense(), "adam"), draw(8, 4))
    attempt("conv", convolutions, draw(2, 6, 5, 2))
    attempt("masked", masked, DRAW.integers(0, 6, (5, 4)).astype("float32"))
    for name in ("LSTM", "GRU", "SimpleRNN"):
        attempt(name.lower(), recurrent(name), draw(4, 4, 2))
    attempt("gru_after", recurrent("GRU", reset_after=True), draw(4, 4, 2))
    attempt("both_ways", both_ways, draw(4, 4, 2))
    attempt("graph", graph, draw(4, 3))
    attempt("time_major", time_major, draw(4, 3, 2))
    kinds = {"": keras.optimizers}
    if hasattr(keras.optimizers, "legacy"):
        kinds["legacy_"] = keras.optimizers.legacy
    for prefix, module in kinds.items():
        for name, options in optimizers():
            label = "_".join([prefix + name.lower(), *options])
            if hasattr(module, name):
                attempt(label, small(getattr(module, name), options), draw(4, 4))
    clear()
    model = dense()
    spread(model)
    model.save_weights(str(FOLDER / "weights_only.h5"))
    expected["weights_only.x"] = x = draw(4, 4)
    expected["weights_only.y"] = np.asarray(model.predict(x))
    (FOLDER / "dense.json").write_text(model.to_json())
    about = {"version": VERSION, "backend": BACKEND, "not made": notes}
    (FOLDER / "about.json").write_text(json.dumps(about, indent=1))
    np.savez(str(FOLDER / "expected.npz"), **expected)
    TARGET.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(str(TARGET), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(FOLDER.iterdir()):
            archive.write(str(path), path.name)
    print(TARGET, TARGET.stat().st_size)


main()
