"""
2. Reading and setting weights
==============================

``get_weights()`` gives the arrays of a layer, ``set_weights()`` takes them. With these
two one can look at what a layer has learned, and make a layer that computes what one
says. This lesson does both, ends with a network whose every weight was set by hand, and
shows what happens when an array does not fit.
"""

# %%
# Reading
# -------
# A model of two Dense layers, for images of 28 x 28 = 784 pixels:

import matplotlib.pyplot as plt
import numpy as np

import minikeras as keras
from minikeras import plot

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(10, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
print(len(model.layers), "layers")  # a Sequential leaves its Input out

# %%
# Each layer lists its weights: the kernel first, then the bias.

first = model.layers[0]
kernel, bias = first.get_weights()
print("kernel", kernel.shape, "bias", bias.shape)

# %%
# ``model.get_weights()`` is the same for all layers, one after the other.
# ``model.weights`` has them as variables, which know their names. The path says which
# layer a weight belongs to.

for variable, array in zip(model.weights, model.get_weights(), strict=True):
    print(f"{variable.path:28} {array.shape!s:10} {array.dtype}")

# %%
# How many numbers is that? Each unit has a weight per input and a bias:

count = (784 * 10 + 10) + (10 * 1 + 1)
print(count, model.count_params())

assert count == model.count_params()

# %%
# How weights begin
# -----------------
# The bias of a Dense layer begins at zero. Its kernel begins at random, evenly between
# two limits, minus and plus ``sqrt(6 / (inputs + units))``. They depend on the number
# of inputs and of units, so that what comes out of a layer is about as large as what
# goes in, on the way forward and on the way back (Glorot and Bengio, 2010).

limit = np.sqrt(6 / (784 + 10))
print(f"limit {limit:.4f}, largest {np.abs(kernel).max():.4f}, biases {bias.max()}")
print(np.array2string(kernel[0, :4], precision=4))

assert np.abs(kernel).max() <= limit and np.all(bias == 0)

# %%
# A layer that does not know how many inputs it will see cannot have a kernel yet. Its
# list of weights is empty until it is built, by ``build``, by its first call, or by the
# ``Input`` of a model:

layer = keras.layers.Dense(10)
print("before", layer.get_weights())
layer.build((None, 784))  # any number of examples, of 784 numbers each
print("after", [w.shape for w in layer.get_weights()])

assert len(layer.get_weights()) == 2

# %%
# What you get are copies. Changing one changes nothing in the layer:

kernel[:] = 0
print(f"{np.abs(first.get_weights()[0]).max():.4f}")

assert np.any(first.get_weights()[0] != 0)

# %%
# Setting
# -------
# ``set_weights`` takes what ``get_weights`` gives: a list of arrays, in the same order
# and of the same shapes. Here is a layer of five units that see two inputs, with
# weights that one can recognize:

layer = keras.layers.Dense(5)
layer.build((None, 2))
kernel = np.array([[1, 2, 3, 4, 5], [10, 20, 30, 40, 50]], "float32")
bias = np.array([0.1, 0.2, 0.3, 0.4, 0.5], "float32")
layer.set_weights([kernel, bias])

ax = plot.heatmap(kernel, rows="input", columns="unit", title="kernel (2, 5)")
plt.show()

# %%
# Now the layer is what you made it. Unit ``j`` computes ``x[0] * kernel[0, j] + x[1] *
# kernel[1, j] + bias[j]``. Inputs with a single 1 read the rows of the kernel out; two
# ones give their sum:

x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], "float32")
y = np.asarray(layer(x))
print(np.round(y, 3))

assert np.allclose(y, x @ kernel + bias)

# %%
# The layer keeps a copy, too: your array is yours.

kernel[:] = 0
print(layer.get_weights()[0][1])

assert layer.get_weights()[0][1, 4] == 50

# %%
# A single weight is a variable, and can be assigned:

layer.bias.assign([0, 0, 0, 0, 1])
print(np.asarray(layer(np.zeros((1, 2)))))

# %%
# What does not fit
# -----------------
# A list of the wrong length, or an array of the wrong shape, is a ``ValueError``. The
# usual mistake is a kernel that is transposed, because it comes from PyTorch or from a
# formula with ``W @ x``:

kernel, bias = layer.get_weights()
for weights in ([kernel], [kernel.T, bias]):
    try:
        layer.set_weights(weights)
    except ValueError:
        print("refused:", [w.shape for w in weights])

assert np.array_equal(layer.get_weights()[0], kernel)

# %%
# (In minikeras the message says which weight it is and that it looks transposed, and
# either all arrays are set or none.)
#
# Two mistakes cannot be noticed, since the shapes fit: a kernel with as many inputs as
# units that is transposed, and arrays of the same shape in the wrong order. Where a
# layer has several of the same shape, as BatchNormalization has (lesson 11), look at
# the names in ``layer.weights``.
#
# A network set by hand
# ---------------------
# Exclusive or: the answer is 1 if exactly one of two inputs is 1. No single unit can do
# it, since each unit only adds up, and both inputs must count for 1 when alone and
# for 0 together. Two layers can:
#
# * the first unit counts how many inputs are 1: weights 1 and 1;
# * the second unit counts how many there are above one: the same with a bias of -1, and
#   ``relu``, which makes negative numbers zero;
# * the output takes the first, minus twice the second.

xor = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(2, activation="relu"), keras.layers.Dense(1)]
)
xor.set_weights(
    [
        np.array([[1.0, 1.0], [1.0, 1.0]]),  # kernel (inputs, units)
        np.array([0.0, -1.0]),  # bias (units,)
        np.array([[1.0], [-2.0]]),  # kernel of the output
        np.array([0.0]),
    ]
)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
hidden = np.asarray(xor.layers[0](x))
y = np.asarray(xor(x))
for inputs, units, output in zip(x, hidden, y, strict=True):
    print(inputs, "-> hidden", units, "-> output", output)

assert y.ravel().tolist() == [0, 1, 1, 0]

# %%
# Nine numbers, and every one has a reason. Training finds such numbers without being
# told the reasons, which is why looking at them is worth it.
#
# From one model to another
# -------------------------
# Two models of the same architecture compute the same once they have the same weights.
# This is how a model is copied, and how weights get here from a model of Keras:
# ``ours.set_weights(theirs.get_weights())`` works in both directions.

keras.utils.set_random_seed(2)
other = keras.models.clone_model(model)  # same layers, new weights
x = np.random.default_rng(0).random((3, 784)).astype("float32")
different = np.abs(np.asarray(other(x)) - np.asarray(model(x))).max()
other.set_weights(model.get_weights())
same = np.abs(np.asarray(other(x)) - np.asarray(model(x))).max()
print(f"outputs differ by {different:.2f} before, and by {same:.0f} after")

assert different > 0 and same == 0

# %%
# Try it
# ------
# 1. Make a Dense layer of one unit that computes the mean of its four inputs.
# 2. Make one that sorts nothing but swaps its two inputs. What does its kernel look
#    like, and what does the kernel of a layer look like that changes nothing?
# 3. Set the weights of ``xor`` for "and", and for "or". Which of them can one unit with
#    ``relu`` do alone, answering exactly 0 and 1?
# 4. What does ``keras.layers.LSTM(4)`` have in ``get_weights()`` once it is built for
#    inputs ``(None, 10, 3)``? In minikeras,
#    ``print(keras.teach.explain(layer))`` says what each array is.
#
# These lines print the same with ``import keras`` in the place of minikeras.
#
# Next: :doc:`03_what_training_changes`.
