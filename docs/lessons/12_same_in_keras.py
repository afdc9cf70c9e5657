"""
12. The same model in Keras
===========================

minikeras promises the numbers of Keras. Two programs that do the same arithmetic still
do not print the same digits, so what can be promised? Some things are equal, to the
last bit: names, shapes, the first weights, which numbers dropout hits. Some are only
nearly equal, and this lesson finds out how nearly, and why.

It runs the same training twice, here and in Keras. If Keras is not installed, it
compares with what Keras found when this lesson was written.
"""

# %%
# One script, two libraries
# -------------------------
# A convolution, dropout and a softmax on images of digits. Every name in ``script``
# exists in both libraries, so the library can be an argument:

import hashlib
import importlib
import os
import tempfile
import warnings

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras

(images, labels), _ = keras.datasets.digits.load_data()
images = images[..., None].astype("float32") / 16
labels = labels.astype("int64")


def script(keras):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    first_weights = model.get_weights()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(images, labels, epochs=5, verbose=0)
    return model, {
        # a fingerprint: one other bit, and it is another one
        "first_weights": [hashlib.sha256(w).hexdigest()[:16] for w in first_weights],
        "loss": history.history["loss"],
        "accuracy": history.history["accuracy"],
        "last_bias": model.get_weights()[-1].tolist(),
        "first_image": model.predict(images[:1], verbose=0)[0].tolist(),
    }


model, ours = script(keras)
for epoch, loss in enumerate(ours["loss"], start=1):
    print(f"epoch {epoch}: loss {loss:.7f}")

# %%
# What Keras 3.15.1 on TensorFlow 2.21 made of it on one day, on one machine:

KERAS_FOUND = {
    "first_weights": [
        "b84ea613906ccb36",
        "66687aadf862bd77",
        "db95ba60c9cd95cd",
        "2c34ce1df23b838c",
    ],
    "loss": [
        2.164902925491333,
        1.6407413482666016,
        1.0301960706710815,
        0.6530879139900208,
        0.46888676285743713,
    ],
    "accuracy": [
        0.292767733335495,
        0.7267037630081177,
        0.8324061036109924,
        0.8720445036888123,
        0.9061195850372314,
    ],
    "last_bias": [
        *(0.01482656691223383, -0.007636695634573698, 0.02017228491604328),
        *(-0.02550666034221649, -0.01185510866343975, 0.007837191224098206),
        *(0.03053957410156727, 0.0011442328104749322, -0.008852189406752586),
        -0.012585138902068138,
    ],
    "first_image": [
        *(0.956627607345581, 0.00015333616465795785, 0.0018100054003298283),
        *(0.002989924279972911, 0.005492188036441803, 0.0088368384167552),
        *(0.003447638126090169, 0.0023918470833450556, 0.003426077775657177),
        0.014824537560343742,
    ],
}

# %%
# If Keras is here, run the same function with it, and see whether that still holds:

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # GPUs round in their own way
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real_keras = importlib.import_module("keras")
        _, theirs = script(real_keras)
    print("measured now, with Keras", real_keras.version())
except ImportError as error:
    real_keras, theirs = None, KERAS_FOUND
    print(f"from the list above: {error}")

assert theirs["first_weights"] == KERAS_FOUND["first_weights"]
assert np.allclose(theirs["loss"], KERAS_FOUND["loss"], atol=1e-5)

# %%
# What is equal
# -------------
# The first weights, to the last bit: minikeras has Keras's random streams, so the same
# seed draws the same numbers. The fingerprints of the four arrays:

for name, a, b in zip(
    ("conv kernel", "conv bias", "dense kernel", "dense bias"),
    ours["first_weights"],
    theirs["first_weights"],
    strict=True,
):
    print(f"{name:13} {a}  {b}  {'equal' if a == b else 'NOT EQUAL'}")
assert ours["first_weights"] == theirs["first_weights"]

# %%
# So are the order of the examples and the masks of the dropout. You see it from the
# accuracy of each epoch: of 1,438 images exactly as many were right.

for a, b in zip(ours["accuracy"], theirs["accuracy"], strict=True):
    print(f"{a:.7f}  {b:.7f}")

# %%
# What is nearly equal
# --------------------
# The losses, the trained weights, the predictions:

print("loss here      loss in Keras  difference")
for a, b in zip(ours["loss"], theirs["loss"], strict=True):
    print(f"{a:.10f}   {b:.10f}   {a - b:+.1e}")

for what in ("loss", "last_bias", "first_image"):
    a, b = np.array(ours[what]), np.array(theirs[what])
    difference = np.abs(a - b).max()
    print(f"{what:12} largest difference {difference:.1e}")
    assert difference < 1e-5

# %%
# At least six digits are the same after 225 training steps. Why not all?
#
# Why: sums are rounded
# ---------------------
# A float32 has 24 binary digits. Every addition rounds its result to them, so it
# matters what is added first:

big, small = np.float32(1e8), np.float32(1)
print("(big + small) - big =", (big + small) - big)
print("(big - big) + small =", (big - big) + small)
assert (big + small) - big != (big - big) + small

# %%
# The distance from one float32 to the next is called an ULP, a unit in the last place.
# Around 1 it is about 0.0000001; around a thousand, 512 times that:

for value in (1.0, 1000.0):
    print(f"an ULP of {value:6}: {np.spacing(np.float32(value)):.2e}")

# %%
# A matrix product is full of sums, and nobody says in which order they are to be added.
# A processor adds eight or sixteen at once, and BLAS in minikeras and Eigen or oneDNN
# in TensorFlow each choose a way that is fast. Three orders of the same 10,000
# products:

rng = np.random.default_rng(0)
a = rng.normal(size=10_000).astype("float32")
b = rng.normal(size=10_000).astype("float32")

one_by_one = np.float32(0)
for product in a * b:
    one_by_one += product
orders = {
    "one by one": one_by_one,
    "NumPy's sum, in pairs": (a * b).sum(),
    "BLAS": a @ b,
}
exact = a.astype("float64") @ b.astype("float64")
print(f"{'in float64':22} {exact:.6f}")
for name, value in orders.items():
    print(f"{name:22} {value:.6f}  off by {abs(value - exact):.1e}")

# %%
# None is wrong; none is the exact one. How far apart may two be that are both right?
# The errors of K additions go both ways and cancel in part. They grow like the root of
# K as a rule, as a share of the sizes that were added, and less where the sum is made
# of blocks, as in BLAS:

lengths = 2 ** np.arange(2, 15)
errors = []
for k in lengths:
    x = rng.normal(size=(20, k)).astype("float32")
    w = rng.normal(size=(k, 20)).astype("float32")
    true = x.astype("float64") @ w.astype("float64")
    errors.append(np.abs(x @ w - true).max() / np.abs(true).max())
allowed = 4 * np.finfo("float32").eps * np.sqrt(lengths)
assert np.all(errors < allowed)

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.loglog(lengths, errors, marker="o", color="#0072b2", label="largest error found")
ax.loglog(lengths, allowed, color="#e69f00", label="4 eps sqrt(K), the tests' limit")
ax.set(xlabel="K, products in each sum", ylabel="relative error")
ax.legend(frameon=False)
plt.show()

# %%
# That line is what the tests of minikeras allow of a single layer in float32. A wrong
# formula is off by far more.
#
# What becomes of a rounding error
# --------------------------------
# Training feeds every error back into the next step. Change one weight of our model by
# one ULP and train it beside the unchanged one, in float32 and in float64:


def weights_after_each_step(dtype, nudge):
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    weights = model.get_weights()
    if nudge:
        weights[0].flat[0] += np.spacing(weights[0].flat[0])
        model.set_weights(weights)
    model.compile("adam", "sparse_categorical_crossentropy")
    found = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: found.append(
            np.concatenate([w.ravel() for w in model.get_weights()])
        )
    )
    model.fit(images, labels, epochs=5, verbose=0, callbacks=[note])
    return np.array(found)


figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for dtype, colour in (("float32", "#0072b2"), ("float64", "#009e73")):
    plain, nudged = (weights_after_each_step(dtype, nudge) for nudge in (False, True))
    apart = np.abs(nudged - plain).max(axis=1)
    print(f"{dtype}: {apart[0]:.0e} apart after 1 step, {apart[-1]:.0e} after 225")
    assert apart[-1] < 1e5 * np.finfo(dtype).eps
    ax.semilogy(1 + np.arange(len(apart)), apart, color=colour, label=dtype)
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")
ax.set(xlabel="training step", ylabel="largest difference of a weight")
ax.legend(frameon=False)
plt.show()

# %%
# An error grows slowly as a rule, and suddenly where a relu goes from 0 to just above
# in one run and not in the other. So there is a simple test of whether a difference is
# rounding or a mistake: **do it in float64**. Rounding shrinks by a factor of 500
# million. A mistake stays as large as it was.
#
# Which is which
# --------------
# ==================================================  ==================================
# equal                                               nearly equal
# ==================================================  ==================================
# names, shapes and order of all weights              outputs and gradients of layers
# first weights (but ``Orthogonal``: last bits)       losses and metrics
# dropout masks, noise, order of the examples         weights after training
# files: what one saves, the other reads              long runs, but less and less
# which examples are right, as a rule                 \
# ==================================================  ==================================
#
# And *not* equal is what was set otherwise. If your numbers are off by more than a part
# in a hundred thousand, it is hardly rounding; look for another ``epsilon``, another
# default (:doc:`/differences`), weights in another order, an input with other scaling,
# ``training=True``.
#
# The file, opened by Keras
# -------------------------
# A saved model takes everything along. Here it goes to Keras, if Keras is here:

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "digits.keras")
    model.save(path)
    print(f"saved: {os.path.getsize(path):,} bytes")
    if real_keras is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = real_keras.models.load_model(path)
            predicted = loaded.predict(images, verbose=0)
        difference = np.abs(predicted - model.predict(images, verbose=0)).max()
        print(f"predictions of Keras from this file: {difference:.1e} apart")
        assert difference < 1e-5
        for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
            assert np.array_equal(a, b)

# %%
# For a model of your own there is a command. It runs the model in both libraries and
# compares each layer, each gradient and some training steps:
#
# .. code-block:: text
#
#     $ python -m minikeras verify digits.keras
#                                forward      in training  gradients    after steps
#      layer                     rel.   ulp   rel.   ulp   rel.   ulp   rel.   ulp
#      (the model) (Sequential)  1e-07     2  6e-08     1               equal
#      conv2d (Conv2D)           8e-08     1  8e-08     1  2e-07     3  2e-07     2
#      flatten (Flatten)         8e-08     1  8e-08     1
#      dropout (Dropout)         8e-08     1  1e-07     2
#      dense (Dense)             1e-07     2  6e-08     1  2e-07     3  2e-07     3
#     ...
#     The same as Keras 3.15.1 in every layer, gradient and update (3 training steps).
#
# ``python -m parity_tests.report`` does it for every class there is; :doc:`/parity` has
# the outcome.
#
# Try it
# ------
# 1. Give ``script`` an LSTM. (This needs Keras; take out the ``assert`` lines of the
#    fingerprints and of ``KERAS_FOUND``.) Is the fingerprint of every first weight
#    still equal? Which one is not, and what draws it?
# 2. Make the sum of ``a * b`` one by one from the product nearest to zero to the one
#    farthest from it, and the other way. Which is nearer to the exact one?
# 3. Replace the relu by tanh where one weight is changed, and train for 50 epochs.
#    Which difference grows faster?
# 4. Set ``epsilon=1e-8`` in Adam on one side only. After how many steps can you tell it
#    from rounding, in float32 and in float64?
#
# Exercise: Adam's step as Keras takes it, with its epsilon in the right place::
#
#     python -m minikeras exercises start adam_step
#
# Next: :doc:`13_keras_file`, to see what both libraries read in it.
