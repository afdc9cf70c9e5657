"""
13. A ``.keras`` file opened by hand
====================================

A trained model is a file. There is no secret in it: a zip archive with some JSON, which
says what the layers are, and an HDF5 file, which holds the arrays. With ``zipfile``,
``json`` and ``h5py`` one can read it, compute its predictions, change it, and write one
from nothing. Keras and minikeras write the same files, so all of this holds for both.
"""

# %%
# A file
# ------
# A small model of handwritten digits, trained for a moment and saved.

import io
import json
import tempfile
import textwrap
import zipfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

(x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((8, 8)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
model.fit(x_train, y_train, epochs=10, verbose=0)

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
path = folder / "digits.keras"
model.save(path)
accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
print(f"{path.name}: {path.stat().st_size:,} bytes, accuracy {accuracy:.3f}")

# %%
# Three members
# -------------

with zipfile.ZipFile(path) as archive:
    for member in archive.infolist():
        print(f"{member.file_size:7,} bytes  {member.filename}")
    metadata = json.loads(archive.read("metadata.json"))
    config = json.loads(archive.read("config.json"))
    weights_file = archive.read("model.weights.h5")

print(metadata)
assert sorted(metadata) == ["date_saved", "keras_version"]

# %%
# ``config.json``: what the layers are
# ------------------------------------
# Every object is a dictionary of the same form: where its class lives, what it is
# called, and the arguments of its constructor. The model:

print(config["module"], config["class_name"], list(config["config"]))

# %%
# Its layers, with some of their arguments:

for layer in config["config"]["layers"]:
    given = {
        key: value
        for key, value in layer["config"].items()
        if key in ("batch_shape", "units", "activation", "scale")
    }
    print(f"{layer['class_name']:11} {given}")

# %%
# An object inside of an object has the same form again, such as the initializer of the
# first Dense layer. (Its seed is ``null``: a model made from this file draws a new
# one.)

dense = config["config"]["layers"][3]
print(json.dumps(dense["config"]["kernel_initializer"], indent=2))

# %%
# And how the model is trained:

compiled = config["compile_config"]
print("optimizer:", compiled["optimizer"]["class_name"])
print("loss:     ", compiled["loss"])
print("metrics:  ", compiled["metrics"])

# %%
# ``model.weights.h5``: the arrays
# --------------------------------
# HDF5 is a tree of folders ("groups") and arrays ("datasets"):

weights = h5py.File(io.BytesIO(weights_file))
arrays = {}


def collect(name, item):
    if isinstance(item, h5py.Dataset):
        arrays[name] = item[()]


weights.visititems(collect)
for name, array in arrays.items():
    print(f"{name:24} {array.dtype!s:8} {array.shape}")

# %%
# No path has the name of a layer, nor "kernel". (The names are there as notes, in
# ``attrs`` of each ``vars``, but arrays are not found by them.) A layer's folder is its
# class and a number, in the order of ``model.layers``: ``dense``, ``dense_1``. Its
# variables are numbered in the order in which they were made: ``vars/0`` is the kernel,
# ``vars/1`` the bias. So a model whose layers have other names still takes these
# weights, and one whose layers come in another order takes the wrong ones, or none.
#
# Four arrays are the model:

for name, array in zip(list(arrays)[:4], model.get_weights(), strict=True):
    assert np.array_equal(arrays[name], array), name

# %%
# The others are the optimizer's. ``optimizer/vars`` begins with the number of steps
# taken and the learning rate. Then come, for each weight, the two moving averages that
# Adam keeps: of the gradient, and of its square.

print("steps taken:  ", arrays["optimizer/vars/0"])
print("learning rate:", arrays["optimizer/vars/1"])
assert arrays["optimizer/vars/0"] == 10 * int(np.ceil(len(x_train) / 32))

momentum, velocity = arrays["optimizer/vars/2"], arrays["optimizer/vars/3"]
assert momentum.shape == velocity.shape == (64, 16)  # those of the first kernel
assert (velocity >= 0).all()  # an average of squares

# %%
# So a file of a model that Adam trains holds three numbers for each weight, and
# training goes on after loading as if nothing had happened.
#
# Prediction from the file alone
# ------------------------------
# Four arrays and five lines, without any framework:


def predict(images):
    x = images.reshape(-1, 64) / 16
    x = np.maximum(x @ arrays["layers/dense/vars/0"] + arrays["layers/dense/vars/1"], 0)
    x = x @ arrays["layers/dense_1/vars/0"] + arrays["layers/dense_1/vars/1"]
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


assert np.allclose(predict(x_test), model.predict(x_test, verbose=0), atol=1e-5)
print("the first five:", predict(x_test).argmax(axis=-1)[:5], "and truly", y_test[:5])

# %%
# The kernel of the first layer, straight from the file: each of its 16 columns is an
# image of weights, one for each pixel. Red adds to the unit, blue takes away.

kernel = arrays["layers/dense/vars/0"]
figure, axes = plt.subplots(2, 8, figsize=(10, 2.8), layout="constrained")
limit = np.abs(kernel).max()
for unit, ax in enumerate(axes.flat):
    image = kernel[:, unit].reshape(8, 8)
    picture = ax.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_title(f"unit {unit}", fontsize="small")
    ax.axis("off")
figure.colorbar(picture, ax=axes)
plt.show()

# %%
# Change one number
# -----------------
# HDF5 files can be written to in place. Say the model should never answer 3: take
# 100 from the bias of that class, and put the archive together again.

changed = io.BytesIO(weights_file)
with h5py.File(changed, "r+") as file:
    file["layers/dense_1/vars/1"][3] -= 100

without_3 = folder / "without_3.keras"
with zipfile.ZipFile(without_3, "w") as archive:
    archive.writestr("metadata.json", json.dumps(metadata))
    archive.writestr("config.json", json.dumps(config))
    archive.writestr("model.weights.h5", changed.getvalue())

loaded = keras.models.load_model(without_3)
answers = loaded.predict(x_test, verbose=0).argmax(axis=-1)
print("how often each digit is the answer:", np.bincount(answers, minlength=10))
assert not (answers == 3).any()

# %%
# A file from nothing
# -------------------
# No model made this one. A Dense layer that adds up its three inputs:

config = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "by_hand",
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "x"},
            },
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {"name": "sum", "units": 1},
            },
        ],
    },
}
weights_file = io.BytesIO()
with h5py.File(weights_file, "w") as file:
    file["layers/dense/vars/0"] = np.ones((3, 1), "float32")
    file["layers/dense/vars/1"] = np.zeros(1, "float32")

by_hand = folder / "by_hand.keras"
with zipfile.ZipFile(by_hand, "w") as archive:
    archive.writestr("config.json", json.dumps(config))
    archive.writestr("model.weights.h5", weights_file.getvalue())

adder = keras.models.load_model(by_hand)
print(adder.predict(np.array([[1.0, 2.0, 3.0], [0.5, 0.5, -1.0]]), verbose=0).ravel())
assert np.allclose(adder.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0), 6)

# %%
# Keras loads it too. What must be there: the three keys of each object, one way to know
# the shape of the input, and every array in its place. The rest has defaults.
#
# Whom do you trust?
# ------------------
# A config says which class to make, and that is a door. A loader that imports whatever
# class a file names, or that runs the code of a Lambda layer stored in it, hands your
# machine to whoever wrote the file. minikeras looks names up in a closed table of its
# own classes, and runs no code from a file:

config["config"]["layers"][1]["module"] = "subprocess"
config["config"]["layers"][1]["class_name"] = "Popen"
with zipfile.ZipFile(by_hand, "w") as archive:
    archive.writestr("config.json", json.dumps(config))
    archive.writestr("model.weights.h5", weights_file.getvalue())

try:
    keras.models.load_model(by_hand)
except ValueError as error:
    for line in str(error).replace(str(folder), "...").splitlines():
        print(textwrap.fill(line, 80))
else:
    raise AssertionError("this file must not be loaded")
temporary.cleanup()

# %%
# The same from the command line
# ------------------------------
# ``inspect`` prints what you have seen here, of any model file, with the meaning of
# each axis; ``diff`` says where two files differ, ``convert`` writes other
# formats::
#
#     python -m minikeras inspect digits.keras
#     python -m minikeras diff digits.keras without_3.keras
#
# :doc:`/files` is the reference, with older formats.
#
# Try it
# ------
# 1. Take the optimizer's arrays out of ``digits.keras`` and load it. Does it predict?
#    Does it go on training as before?
# 2. Exchange the folders ``dense`` and ``dense_1`` and load. What does the error say?
#    When would there be none?
# 3. Swap two columns of the last kernel and two entries of its bias. Which mistakes
#    does the model make now?
# 4. Some of the 16 images are pale. How often is such a unit above zero on the test
#    images? Would the model miss it?
# 5. Unzip a model of your own and find its largest array.
#
# Exercise: what an optimizer keeps an array per weight for, as code of your own::
#
#     python -m minikeras exercises start sgd_step
#
# Next: :doc:`14_numpy_keeps_up`, how plain NumPy computes all this in good time.
